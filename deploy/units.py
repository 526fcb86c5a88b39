"""The command `shardis-apply`: has the units of systemd follow shardis.conf.

What the configuration says and systemd has to know stands in files beside the units, which only this writes:

    shardis.socket.d/50-shardis.conf             the addresses and the ports, and the backlog
    shardis-router.service.d/50-shardis.conf     how many files, which are clients
    shardis-metrics.service.d/50-shardis.conf    where the metrics are, with a metrics-port
    shardis-shard@2.service.d/50-cpu.conf        the core of a shard, with --pin; of the router the same
    shardis.target.wants/shardis-shard@2.service that there is a shard 2; of the metrics the same

Rule 1: it is the same however often it is done, and what has not changed is not touched.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from common import whole_file
from common.bind import addresses, tcp_socket
from common.config import Config, ConfigError, read_text
from common.open_files import FILES_BESIDE_CLIENTS

CONFIG = "/etc/shardis/shardis.conf"
UNITS = "/etc/systemd/system"
SHARDS_MAX = 1024

TARGET, SOCKET, ROUTER = "shardis.target", "shardis.socket", "shardis-router.service"
SHARDS, PREPARE, METRICS = "shardis-shard@*.service", "shardis-prepare.service", "shardis-metrics.service"
OWN, CPU = "50-shardis.conf", "50-cpu.conf"
HEAD = "# Written by shardis-apply from shardis.conf: what is changed here is written over.\n"

Run = Callable[[Sequence[str]], int]


def main() -> int:
    """Does it; the exit status. What keeps it from that is one line on standard error."""
    options = parser().parse_args()
    try:
        return apply(options, Path(UNITS), systemctl)
    except (ConfigError, OSError, ValueError) as error:
        sys.stderr.write(f"shardis-apply: {error}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="shardis-apply",
        description="Has the units of systemd follow shardis.conf, and restarts Shardis where that takes it.",
    )
    made.add_argument("--config", default=CONFIG, metavar="FILE", help=f"instead of {CONFIG}")
    made.add_argument(
        "--shards", type=int, metavar="N", help="write this number into the file; the data is re-hashed at the restart"
    )
    pin = made.add_mutually_exclusive_group()
    pin.add_argument("--pin", action="store_true", default=None, help="give each shard, and the router, a core")
    pin.add_argument("--no-pin", dest="pin", action="store_false", help="let them run on any core, as at first")
    made.add_argument("--no-restart", action="store_true", help="leave what runs as it is, until it is restarted")
    return made


def systemctl(arguments: Sequence[str]) -> int:
    """Runs it; its exit status."""
    return subprocess.run(["systemctl", *arguments], check=False).returncode


def apply(options: argparse.Namespace, units: Path, run: Run) -> int:
    """Writes what has changed and tells systemd; the exit status.  Raises ConfigError, OSError, ValueError."""
    config = Config.from_arguments([options.config])
    if options.shards is not None:
        set_shards(config, Path(options.config), options.shards)
    shards = config["shards"]
    pinned = is_pinned(units) if options.pin is None else options.pin
    changed = write_drop_ins(units, drop_ins(config, sorted(os.sched_getaffinity(0)) if pinned else []))
    changed |= enable(units, wanted_units(config), run)
    run(["daemon-reload"])
    if options.no_restart or run(["--quiet", "is-active", TARGET]):
        return 0
    if not changed:
        print("The units are as they should be; reloading shardis.conf.")
        return run(["reload", TARGET])
    print(f"Restarting Shardis with {shards} shards: the data is re-hashed first if there were others.")
    # Not "restart": that would start those again which are no longer wanted. All by name, for a target that has not
    # started yet is not waited for; and a start before its end would keep shards that know nothing of the new number.
    return run(["stop", TARGET, SOCKET, ROUTER, SHARDS, METRICS, PREPARE]) or run(["start", TARGET])


def set_shards(config: Config, path: Path, shards: int) -> None:
    """Writes the number of shards into the configuration file.  Raises ValueError."""
    if not 1 <= shards <= SHARDS_MAX:
        raise ValueError(f"--shards is 1 to {SHARDS_MAX}")
    config.override("shards", str(shards))
    config.given["shards"] = shards
    config.worked_out.discard("shards")
    old = read_text(str(path))
    new = config.rewrite(old)
    if new != old:
        whole_file.write(str(path), new)


def is_pinned(units: Path) -> bool:
    return (units / f"{ROUTER}.d" / CPU).exists()


# What the files say


def drop_ins(config: Config, cores: Sequence[int]) -> dict[str, str]:
    """The texts of the files, by their names below the folder of the units; `cores` are to be given away, if any."""
    made = {
        f"{SOCKET}.d/{OWN}": socket_text(config),
        f"{ROUTER}.d/{OWN}": f"[Service]\nLimitNOFILE={config['maxclients'] + FILES_BESIDE_CLIENTS}\n",
    }
    if config["metrics-port"]:
        first = address_text(next(iter(hosts(config["metrics-bind"], is_there)), ""), config["metrics-port"])
        made[f"{METRICS}.d/{OWN}"] = f"[Unit]\nDocumentation=http://{first}/\n"  # `systemctl status` shows it.
    if cores:
        # The router first: it is what all commands go through. Where there are more shards than cores they share.
        names = [ROUTER, *map(shard_unit, range(config["shards"]))]
        for place, name in enumerate(names):
            made[f"{name}.d/{CPU}"] = f"[Service]\nCPUAffinity={cores[place % len(cores)]}\n"
    return {name: HEAD + text for name, text in made.items()}


def shard_unit(index: int) -> str:
    return f"shardis-shard@{index}.service"


def socket_text(config: Config) -> str:
    """The addresses of `bind`, without those that it forgives and that are not there.  Raises ValueError."""
    ports = [config[name] for name in ("port", "tls-port") if config[name]]
    if not ports:
        raise ValueError("port 0 would leave shardis.socket nothing to listen on")
    streams = [address_text(host, port) for port in ports for host in hosts(config["bind"], is_there)]
    if not streams:
        raise ValueError(f"bind {config['bind']} names no address of this machine")
    lines = ["[Socket]", "ListenStream=", *(f"ListenStream={stream}" for stream in streams)]
    return "".join(f"{line}\n" for line in [*lines, f"Backlog={config['tcp-backlog']}"])


def hosts(bind: str, there: Callable[[str], bool]) -> list[str]:
    """The addresses to listen on, as numbers."""
    return [address.host for address in addresses(bind) if not address.may_miss or there(address.host)]


def is_there(host: str) -> bool:
    """Whether this machine has the address."""
    try:
        tcp_socket(host, 0, 1).close()
    except OSError:
        return False
    return True


def address_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# What is done


def write_drop_ins(units: Path, wanted: dict[str, str]) -> bool:
    """Writes the files and removes those that are not wanted; whether that changed something."""
    old = [*units.glob(f"shardis*.d/{OWN}"), *units.glob(f"shardis*.d/{CPU}")]
    changed = False
    for path in old:
        if path.relative_to(units).as_posix() not in wanted:
            path.unlink()
            if not any(path.parent.iterdir()):  # What the administrator wrote stays.
                path.parent.rmdir()
            changed = True
    for name, text in wanted.items():
        path = units / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed = True
    return changed


def enabled(units: Path) -> set[str]:
    """Of the units that depend on the configuration, those that the target wants."""
    names = (path.name for path in units.glob(f"{TARGET}.wants/shardis-*.service"))
    return {name for name in names if re.fullmatch(r"shardis-shard@\d+\.service", name) or name == METRICS}


def wanted_units(config: Config) -> set[str]:
    """Those that there have to be: a shard each, and the metrics if the configuration says where."""
    shards = {shard_unit(index) for index in range(config["shards"])}
    return shards | {METRICS} if config["metrics-port"] else shards


def enable(units: Path, wanted: set[str], run: Run) -> bool:
    """Has these units started with the target, and no others; whether that changed something.  Raises OSError."""
    found = enabled(units)
    for verb, names in (("disable", found - wanted), ("enable", wanted - found)):
        if names and run(["--quiet", verb, *sorted(names)]):
            raise OSError(f"systemctl {verb} has failed")
    return wanted != found


if __name__ == "__main__":
    sys.exit(main())
