"""What a service says to systemd, heard by a socket that a test holds."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.systemd import Systemd


class Manager:
    """The end of the socket that systemd has."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.path = path

    def heard(self) -> list[str]:
        """All words since the last time, in their order."""
        words: list[str] = []
        while True:
            try:
                words += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return words

    def systemd(self, **environment: str) -> Systemd:
        """As a process sees it that was started with this environment."""
        return Systemd({"NOTIFY_SOCKET": self.path, **environment}, 1)


@contextmanager
def listening(folder: Path) -> Iterator[Manager]:
    manager = Manager(f"{folder}/notify")
    try:
        yield manager
    finally:
        manager.socket.close()
