"""shardis-apply: what the units of systemd are told that shardis.conf says; on a real systemd in tests/systemd."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from common.config import Config
from deploy import units
from tests.servers import ROOT

SOURCES = ROOT / "deploy" / "systemd"


class Machine:
    """A folder of units, and a systemctl that takes note of what it is told."""

    def __init__(self, folder: Path, *directives: str) -> None:
        self.units = folder / "units"
        self.units.mkdir()
        self.conf = folder / Path(units.CONFIG).name
        self.conf.write_text("# mine\n" + "".join(f"{line}\n" for line in ("bind 127.0.0.1", "shards 2", *directives)))
        self.calls: list[list[str]] = []
        self.active = True

    def systemctl(self, words: Sequence[str]) -> int:
        self.calls.append([*words])
        wants = self.units / "shardis.target.wants"
        for name in words[2:] if {"enable", "disable"} & {*words} else ():
            wants.mkdir(exist_ok=True)
            (wants / name).touch() if "enable" in words else (wants / name).unlink()
        return 0 if self.active or "is-active" not in words else 3

    def apply(self, *words: str) -> list[list[str]]:
        """What systemctl was told."""
        self.calls = []
        options = units.parser().parse_args(["--config", str(self.conf), *words])
        assert units.apply(options, self.units, self.systemctl) == 0
        return [call for call in self.calls if "is-active" not in call]

    def read(self, name: str) -> str:
        return (self.units / name).read_text()


RESTART = [
    ["daemon-reload"],
    ["stop", "shardis.target", "shardis.socket", "shardis-router.service", "shardis-shard@*.service",
     "shardis-metrics.service", "shardis-prepare.service"],
    ["start", "shardis.target"],
]  # fmt: skip
RELOAD = [["daemon-reload"], ["reload", "shardis.target"]]


def test_the_files_say_what_the_configuration_says(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "port 7000", "maxclients 500", "tcp-backlog 64")
    assert machine.apply() == [
        ["--quiet", "enable", "shardis-shard@0.service", "shardis-shard@1.service"],
        *RESTART,
    ]
    assert machine.read("shardis.socket.d/50-shardis.conf").endswith(
        "[Socket]\nListenStream=\nListenStream=127.0.0.1:7000\nBacklog=64\n"
    )
    assert machine.read("shardis-router.service.d/50-shardis.conf").endswith("[Service]\nLimitNOFILE=628\n")
    assert machine.apply() == RELOAD


def test_what_does_not_run_is_not_started(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.active = False
    assert machine.apply()[-1] == ["daemon-reload"]
    machine.active = True
    assert machine.apply("--shards", "3", "--no-restart")[-1] == ["daemon-reload"]


def test_another_number_of_shards(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.apply()
    assert machine.apply("--shards", "4")[1:] == RESTART
    assert units.enabled(machine.units) == {f"shardis-shard@{index}.service" for index in range(4)}
    assert "# mine\nbind 127.0.0.1\nshards 4\n" in machine.conf.read_text()
    assert machine.apply("--shards", "1")[0][1] == "disable"
    assert units.enabled(machine.units) == {"shardis-shard@0.service"}
    assert machine.apply("--shards", "1") == RELOAD


def test_metrics(tmp_path: Path) -> None:
    """The unit is there if the configuration says where, and follows it."""
    machine = Machine(tmp_path)
    machine.apply()
    conf = machine.conf.read_text()
    machine.conf.write_text(f"{conf}metrics-port 9121\n")
    assert machine.apply() == [["--quiet", "enable", "shardis-metrics.service"], *RESTART]
    assert machine.read("shardis-metrics.service.d/50-shardis.conf").endswith(
        "[Unit]\nDocumentation=http://127.0.0.1:9121/\n"
    )
    assert machine.apply() == RELOAD
    machine.conf.write_text(f"{conf}metrics-port 9122\nmetrics-bind 127.0.0.2\n")
    assert machine.apply() == RESTART
    machine.conf.write_text(conf)
    assert machine.apply() == [["--quiet", "disable", "shardis-metrics.service"], *RESTART]
    assert not (machine.units / "shardis-metrics.service.d").exists()


@pytest.mark.parametrize("shards", ["0", "-1", "1025"])
def test_a_number_of_shards_that_cannot_be(tmp_path: Path, shards: str) -> None:
    machine = Machine(tmp_path)
    with pytest.raises(ValueError, match="--shards is 1 to 1024"):
        machine.apply("--shards", shards)
    assert "shards 2\n" in machine.conf.read_text()


def test_cores(tmp_path: Path) -> None:
    """The pin stays until it is taken away, and follows the number of shards."""
    machine = Machine(tmp_path)
    assert machine.apply("--pin")[1:] == RESTART
    names = ["shardis-router.service", "shardis-shard@0.service", "shardis-shard@1.service"]
    assert all(re.search(r"^CPUAffinity=\d+$", machine.read(f"{name}.d/50-cpu.conf"), re.M) for name in names)
    machine.apply("--shards", "1")
    assert not (machine.units / "shardis-shard@1.service.d").exists()
    mine = machine.units / "shardis-shard@0.service.d" / "mine.conf"
    mine.touch()
    machine.apply("--no-pin")
    assert mine.exists() and not [*machine.units.glob("*/50-cpu.conf")]


def test_cores_are_given_away_in_turn() -> None:
    config = Config.from_arguments(["--shards", "3", "--bind", "127.0.0.1"])
    made = units.drop_ins(config, [0, 5])
    found = [made[f"{name}.d/50-cpu.conf"] for name in (units.ROUTER, *map(units.shard_unit, range(3)))]
    assert [text.strip()[-1] for text in found] == ["0", "5", "0", "5"]


def test_addresses() -> None:
    there = {"0.0.0.0", "::1"}
    found = units.hosts("* -::* -::1 10.0.0.7", there.__contains__)
    assert found == ["0.0.0.0", "::1", "10.0.0.7"]
    assert units.address_text("::1", 6379) == "[::1]:6379"
    assert units.is_there("127.0.0.1") and not units.is_there("192.0.2.1")


@pytest.mark.parametrize("port, streams", [("7000", ["127.0.0.1:7000", "127.0.0.1:7001"]), ("0", ["127.0.0.1:7001"])])
def test_the_port_of_tls_is_one_more_stream(port: str, streams: list[str]) -> None:
    config = Config.from_arguments(["--bind", "127.0.0.1", "--port", port, "--tls-port", "7001"])
    assert re.findall("ListenStream=(.+)", units.socket_text(config)) == streams


@pytest.mark.parametrize(
    "options, fault", [(["--port", "0"], "port 0"), (["--bind", "-192.0.2.1"], "names no address")]
)
def test_nothing_to_listen_on(options: list[str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        units.socket_text(Config.from_arguments(options))


def test_a_bad_configuration_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(tmp_path, "nonsense yes")
    monkeypatch.setattr("sys.argv", ["shardis-apply", "--config", str(machine.conf)])
    assert units.main() == 1
    assert "shardis.conf:4: unknown directive 'nonsense'" in capsys.readouterr().err


def test_the_configuration_that_is_shipped() -> None:
    config = Config.from_arguments([str(SOURCES / Path(units.CONFIG).name)])
    assert (config["dir"], config["rundir"], config["shards"]) == ("/var/lib/shardis", "/run/shardis", 1)
    assert config.without_effect() == []
    limit = f"LimitNOFILE={config['maxclients'] + units.FILES_BESIDE_CLIENTS}\n"
    assert limit in (SOURCES / "shardis-router.service").read_text()


def test_every_file_of_the_units_is_in_the_package() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert 'deploy = ["install.sh", "systemd/*"]' in text and 'shardis-apply = "deploy.units:main"' in text
    assert isinstance(units.parser(), argparse.ArgumentParser)
