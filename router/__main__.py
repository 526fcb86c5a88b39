"""`python -m router [FILE] [--name value ...]`: the router, until it is told to stop."""

import os
import sys

import uvloop
from setproctitle import setproctitle

from common.collector import settle
from common.config import Config, ConfigError
from common.log import last_words, set_up
from common.signals import hear_no_more
from router import metrics_door
from router.open_files import fit
from router.server import Router


def main(argv: list[str]) -> int:
    """Runs the router; its exit status, see service.py. What keeps it from starting is one line."""
    try:
        config = Config.from_arguments(argv, environ=os.environ)
        set_up(config, "router")
        if config["set-proc-title"]:
            setproctitle("shardis: router")
        fit(config)
        return uvloop.run(run(config, argv))
    except (ConfigError, OSError) as error:
        last_words(str(error))
        return 1


async def run(config: Config, argv: list[str]) -> int:
    router = Router(config)
    router.stop_on_signals(config["supervisor-fd"])
    router.reload_on_signal(argv)
    settle()
    async with metrics_door.listen(router):
        await router.serve()
    hear_no_more()
    if router.fault:
        raise ConfigError(router.fault)
    if router.users.fault is not None:
        raise router.users.fault
    return router.service.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
