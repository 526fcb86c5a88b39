"""`python -m router [FILE] [--name value ...]`: the router, until it is told to stop."""

import argparse

import sys

import uvloop

from common.collector import settle
from common.config import Config, ConfigError
from common.log import set_up
from router.server import Router


def main() -> int:
    """Runs the router; its exit status, 0 if the server was told to stop."""
    parser = argparse.ArgumentParser(prog="python -m router", add_help=False, allow_abbrev=False)
    parser.add_argument("--supervisor-fd", type=int)
    ours, rest = parser.parse_known_args()
    try:
        config = Config.from_arguments(rest)
    except ConfigError as error:
        print(f"shardis: {error}", file=sys.stderr)
        return 1
    set_up(config, "router")
    try:
        return uvloop.run(run(config, ours.supervisor_fd))
    except OSError as error:
        print(f"shardis: {error}", file=sys.stderr)
        return 1


async def run(config: Config, supervisor_fd: int | None) -> int:
    router = Router(config)
    router.stop_on_signals(supervisor_fd)
    settle()
    await router.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
