"""`python -m metrics [FILE] [--name value ...]`: serves metrics and the status page, until it is told to stop."""

import asyncio
import os
import signal
import socket
import sys

import uvloop
from setproctitle import setproctitle

from common.collector import settle
from common.config import Config, ConfigError
from common.log import set_up
from common.signals import hear_no_more
from common.systemd import Systemd, systemd
from metrics.door import SOCKET, Door
from metrics.http import HEAD_BYTES_MAX, HttpServer
from metrics.site import Site
from metrics.sockets import listening


def main(argv: list[str]) -> int:
    """Runs it; the exit status. What keeps it from starting is one line on standard error."""
    try:
        config = Config.from_arguments(argv, environ=os.environ)
        if not config["metrics-port"]:
            raise ConfigError("metrics-port says on which port the metrics are to be found: 0 is none")
        logger = set_up(config, "metrics")
        if config["set-proc-title"]:
            setproctitle("shardis: metrics")
        sockets = listening(config["metrics-bind"], config["metrics-port"])
        logger.info("metrics and status page on port %d (%s)", config["metrics-port"], config["metrics-bind"])
        return uvloop.run(run(config, sockets, systemd()))
    except (ConfigError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        sys.stderr.write(f"shardis: {why}\n")  # In one write: others write there, too.
        return 1


async def run(config: Config, sockets: list[socket.socket], manager: Systemd) -> int:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if config["supervisor-fd"] >= 0:
        loop.add_reader(config["supervisor-fd"], stopped.set)
    door = Door(f"{config['rundir']}/{SOCKET}")
    site = Site(door, config["shards"])
    server = HttpServer(site.answer)
    servers = [await asyncio.start_server(server.serve, sock=sock, limit=HEAD_BYTES_MAX) for sock in sockets]
    looking = asyncio.create_task(site.run())
    beating = asyncio.create_task(beat(manager, config["metrics-port"]))
    settle()
    await stopped.wait()
    manager.tell("STOPPING=1", status="stopping")
    for one in servers:
        one.close()
    looking.cancel()
    beating.cancel()
    server.close()
    await door.close()
    hear_no_more()
    return 0


async def beat(manager: Systemd, port: int) -> None:
    """Says to systemd that it is ready, and then that its loop runs."""
    manager.tell("READY=1", status=f"serves port {port}")
    while manager:
        await asyncio.sleep(manager.beat_s)
        manager.tell("WATCHDOG=1")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
