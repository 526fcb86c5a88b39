"""CONFIG SET appendonly: the log turned on and off while the shard runs.

Rule 1: a log that is turned on counts once it has a base with all that was there, see rewrite.py. Until then, and after
        a crash, the files count that were there before.
Rule 2: a shard that is started again, while the other processes run on, goes by what was last: what it has in its log
        must not be forgotten because its arguments say that there is none, and what is in a log that was turned off
        long ago must not come back. So it is noted in the run directory, which a start of the whole server empties.
"""

import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.config import Config
from common.errors import RedisError
from shard import first_logs
from shard.aof import Aof
from shard.log_reader import LogDamaged

if TYPE_CHECKING:
    from shard.server import Shard

logger = logging.getLogger("shardis")

DIRECTIVE = "appendonly"
NOTES = {True: "yes\n", False: "no\n"}


def turn(shard: "Shard") -> None:
    """Does what the directive says.  Raises RedisError, and then the log is off."""
    if shard.config[DIRECTIVE] == shard.aof.enabled:
        return
    if shard.executor.log != shard.aof.append:
        # In a transaction: what it has done so far is not in any log. What is to be done with it is decided already.
        shard.loop.call_soon(partial(turn_or_say, shard))
    elif shard.config[DIRECTIVE]:
        _turn_on(shard)
    else:
        _turn_off(shard)


def turn_or_say(shard: "Shard") -> None:
    """Does so where nobody can be told but by the process's log, which it has."""
    with contextlib.suppress(RedisError):
        turn(shard)


def _turn_on(shard: "Shard") -> None:
    shard.rewriter.stop()
    shard.aof.close()
    aof = Aof.of_shard(shard.config, shard.index)
    try:
        first_logs.end(Path(shard.config["dir"]))
        aof.reserve()
        aof.begin_anew()
    except (OSError, LogDamaged) as error:
        logger.warning("the log can't be turned on: %s", error)
        aof.close()
        shard.config.values[DIRECTIVE] = False
        shard.use_log(Aof.of_shard(shard.config, shard.index))
        shard.rewriter.failed = True
        raise RedisError(
            f"ERR CONFIG SET failed (possibly related to argument '{DIRECTIVE}') - Unable to turn on AOF. Check server"
            " logs."
        ) from None
    shard.use_log(aof)
    shard.rewriter.limit.failures = 0
    if shard.snapshots.current is None:
        shard.rewriter.begin()
    else:
        logger.info("the log is turned on: it will be written when the snapshot that is being written is done")
        shard.rewriter.schedule()


def _turn_off(shard: "Shard") -> None:
    shard.rewriter.stop()
    shard.aof.close()
    shard.use_log(Aof.of_shard(shard.config, shard.index))
    note(shard)


def note(shard: "Shard") -> None:
    """Has a process that takes the place of this one do as this one does, Rule 2."""
    try:
        _path(shard.config, shard.index).write_text(NOTES[shard.aof.enabled])
    except OSError as error:
        logger.warning("it can't be noted that the log is on or off: %s", error)


def recall(config: Config, index: int) -> None:
    """Does as the process before this one did."""
    with contextlib.suppress(FileNotFoundError):
        text = _path(config, index).read_text()
        config.values[DIRECTIVE] = text == NOTES[True]


def _path(config: Config, index: int) -> Path:
    return Path(config["rundir"]) / f"shard-{index}.{DIRECTIVE}"
