"""What systemd and a service say to each other: sockets in, words out. Where there is no systemd, nothing happens.

The words are those of sd_notify(3): READY=1, STATUS=..., WATCHDOG=1, STOPPING=1, EXTEND_TIMEOUT_USEC=... Router and
shard each have a Systemd of their own, beat it from their loop, and say how they are: a loop that is stuck does not
beat, so systemd kills its process and starts it again.
"""

import contextlib
import os
import socket
from collections.abc import MutableMapping

FIRST_FD = 3
"""Where the sockets begin that systemd hands over: SD_LISTEN_FDS_START."""
BEAT_S = 5.0
"""How often a service says how it is."""
BEATS_PER_WATCHDOG = 3
"""So many beats have to be missed before systemd takes a loop for stuck."""
SEND_TIMEOUT_S = 1.0
"""systemd may be executing itself anew."""


class Systemd:
    """The way to systemd, as the environment names it. What is taken from there is removed: it is for no child."""

    def __init__(self, environment: MutableMapping[str, str], pid: int) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self.address = "\0" + address[1:] if address.startswith("@") else address
        watchdog_us = _number_for(environment, "WATCHDOG", "USEC", pid)
        self.beat_s = min(BEAT_S, watchdog_us / 1_000_000 / BEATS_PER_WATCHDOG) if watchdog_us else BEAT_S
        self.fds = list(range(FIRST_FD, FIRST_FD + _number_for(environment, "LISTEN", "FDS", pid)))
        """The listening sockets that systemd has opened."""
        environment.pop("LISTEN_FDNAMES", None)
        self.said = ""

    def __bool__(self) -> bool:
        """Whether somebody hears it."""
        return bool(self.address)

    def tell(self, *words: str, status: str = "") -> None:
        """Says some words, and the status if it is another one than the last."""
        if status and status != self.said:
            self.said = status
            words = (*words, f"STATUS={status}")
        if not self.address or not words:
            return
        # That systemd can't be told is no reason to stop.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(SEND_TIMEOUT_S)
            sock.connect(self.address)
            sock.send("\n".join(words).encode())


def systemd() -> Systemd:
    """The systemd of this process."""
    return Systemd(os.environ, os.getpid())


def _number_for(environment: MutableMapping[str, str], of: str, name: str, pid: int) -> int:
    """LISTEN_FDS or WATCHDOG_USEC, if it is for this process; else 0."""
    text, wanted = environment.pop(f"{of}_{name}", ""), environment.pop(f"{of}_PID", str(pid))
    return int(text) if text.isdigit() and wanted == str(pid) else 0
