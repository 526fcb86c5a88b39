"""The configuration as the processes get it from the supervisor: a file in the run directory, and the same anew after
SIGHUP.

Not as arguments, for everybody can read those, and a password is none of their business.

Rule 1: the router has the file read again as it does where there is no supervisor, and tells the shards; see
        router/config_reload.py. What only a start can change stays in the file as it was at the start, for a process
        that dies has to find the place that it had.
Rule 2: a configuration with a fault changes nothing.
"""

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from common.config import Config, ConfigError, read_text
from common.directives import BY_NAME

CONFIG_FILE = "shardis.conf"


def path_of(config: Config) -> str:
    """Where the file is."""
    return f"{config['rundir']}/{CONFIG_FILE}"


def hand_over(config: Config) -> None:
    """Writes it, in one step: who reads it meanwhile has the old one or the new one.  Raises OSError."""
    path = f"{path_of(config)}.new"
    if os.path.lexists(path):
        os.unlink(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(config.text())
    os.rename(path, path_of(config))


def read_again(config: Config, argv: Sequence[str], environ: Mapping[str, str], warn: Callable[[str], None]) -> bool:
    """Takes over what `[FILE] [--name value ...] [-]` and the environment say by now, and hands it over; whether the
    router has something to read."""
    try:
        fresh = Config.from_arguments(argv, read, environ)
        new = config.differing(fresh)
        fixed = sorted(name for name in new if BY_NAME[name].refusal and name not in config.worked_out)
        if fixed:
            warn(f"only a restart changes these directives: {', '.join(fixed)}")
        config.values.update({name: value for name, value in new.items() if not BY_NAME[name].refusal})
        config.given = fresh.given
        hand_over(config)
    except (ConfigError, OSError) as error:
        warn(f"the configuration is not reloaded: {error}")
        return False
    return True


def read(path: str) -> str:
    """A file, or standard input for "-", as redis-server has it."""
    return standard_input() if path == "-" else read_text(path)


@functools.cache
def standard_input() -> str:
    """All of it, which is there to be read once."""
    return sys.stdin.read()
