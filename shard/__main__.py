"""`python -m shard --index I [FILE] [--name value ...]`: one shard, until it is told to stop."""

import re
import sys

import uvloop
from setproctitle import setproctitle

from common.collector import settle
from common.config import Config, ConfigError
from common.log import set_up
from shard.layout import OtherLayout
from shard.log_reader import LogDamaged
from shard.server import Shard


def main(argv: list[str]) -> int:
    """Runs the shard; its exit status. What keeps it from starting is one line on standard error."""
    try:
        config = Config.from_arguments(argv)
        set_up(config, f"shard {config['index']}")
        if config["set-proc-title"]:
            setproctitle(f"shardis: shard {config['index']}")
        return uvloop.run(run(config))
    except (ConfigError, LogDamaged, OSError) as error:
        sys.stderr.write(f"shardis: {error}{advice(error)}\n")  # In one write: others write there, too.
        return 1


def advice(error: Exception) -> str:
    """What to do about it, where that is not plain."""
    if not isinstance(error, LogDamaged) or isinstance(error, OtherLayout):
        return ""
    if error.offset and error.file.endswith(".incr.aof"):
        manifest = re.sub(r"\.\d+\.incr\.aof$", ".manifest", error.file)
        return f"; restore a backup, or give up what follows there with: redis-check-aof --fix {manifest}"
    return "; restore a backup"


async def run(config: Config) -> int:
    shard = Shard(config, config["index"])
    shard.stop_on_signals(config["supervisor-fd"])
    settle()
    await shard.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
