"""`python -m shard --index I [FILE] [--name value ...]`: one shard, until it is told to stop."""

import argparse
import asyncio

import sys

import uvloop

from common.collector import settle
from common.config import Config, ConfigError
from common.log import set_up
from shard.server import Shard


def main() -> int:
    """Runs the shard; its exit status. What keeps it from starting is one line on standard error."""
    ours, rest = options().parse_known_args()
    try:
        config = Config.from_arguments(rest)
    except ConfigError as error:
        print(f"shardis: {error}", file=sys.stderr)
        return 1
    set_up(config, f"shard {ours.index}")
    try:
        return uvloop.run(run(config, ours.index, ours.supervisor_fd))
    except OSError as error:
        print(f"shardis: shard {ours.index}: {error}", file=sys.stderr)
        return 1


def options() -> argparse.ArgumentParser:
    """The options that are a shard's own; all others are directives."""
    parser = argparse.ArgumentParser(prog="python -m shard", add_help=False, allow_abbrev=False)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--supervisor-fd", type=int)
    return parser


async def run(config: Config, index: int, supervisor_fd: int | None) -> int:
    shard = Shard(config, index)
    shard.stop_on_signals(supervisor_fd)
    settle()
    await shard.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
