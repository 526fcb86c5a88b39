"""`python -m shard --index I [FILE] [--name value ...]`: one shard, until it is told to stop."""

import os
import sys

import uvloop
from setproctitle import setproctitle

from common.collector import settle
from common.config import Config, ConfigError
from common.log import last_words, set_up
from common.signals import hear_no_more
from shard.log_reader import LogDamaged
from shard.log_reading import advice
from shard.server import Shard

FAILED = 3
"""The exit status of a shard that can't go on, but can begin anew."""


def main(argv: list[str]) -> int:
    """Runs the shard; its exit status. What keeps it from starting is one line on standard error."""
    try:
        config = Config.from_arguments(argv, environ=os.environ)
        if not 0 <= config["index"] < config["shards"]:
            raise ConfigError(f"there is no shard {config['index']}: shards is {config['shards']}, the first is 0")
        set_up(config, f"shard {config['index']}")
        if config["set-proc-title"]:
            setproctitle(f"shardis: shard {config['index']}")
        return uvloop.run(run(config))
    except (ConfigError, LogDamaged, OSError) as error:
        last_words(f"{error}{advice(error)}")
        return 1


async def run(config: Config) -> int:
    shard = Shard(config, config["index"])
    shard.stop_on_signals(config["supervisor-fd"])
    settle()
    await shard.serve()
    hear_no_more()
    return FAILED if shard.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
