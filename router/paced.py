"""A large reply on its way to its client: a piece in a turn, and what is written meanwhile behind it.

What a client reads as fast as it comes the kernel takes at once, as much as there is: of 512 MB some 20 MB in each
turn, for which all others wait 6 ms, turn after turn.

Rule 1: until all of it is with the transport the client counts as one that does not read: nothing more is begun for it,
        and what is left counts as unsent (see output.py).
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.session import Session

PACED_BYTES_MIN = 1 << 20
"""What is written at once is not more, or goes in pieces."""
PIECE_BYTES = 1 << 18
"""The kernel takes that in 0.1 ms."""


class Paced(asyncio.Transport):
    """The transport of a session, as long as something is left of what was written."""

    def __init__(self, session: "Session", transport: asyncio.Transport) -> None:
        super().__init__()
        self.session = session
        self.transport = transport
        self.left: deque[memoryview] = deque()
        self.left_bytes = 0
        self.closing = False
        """Whether the connection ends behind what is left."""
        self.due = False
        """Whether a turn will come."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends it behind all that is left."""
        self.left.append(memoryview(data))
        self.left_bytes += len(data)

    def go_on(self) -> None:
        """Has the next piece sent in a later turn: the first time, and when the transport has room."""
        if not self.due:
            self.due = True
            self.session.router.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.due = False
        session, transport = self.session, self.transport
        if session.transport is not self or transport.is_closing():
            return
        if self.left:
            view = self.left[0]
            piece = view[:PIECE_BYTES]
            if len(piece) < len(view):
                self.left[0] = view[len(piece) :]
            else:
                self.left.popleft()
            self.left_bytes -= len(piece)
            transport.write(piece)
            if transport.get_write_buffer_size() <= session.router.output.mark_of(session):
                self.go_on()
        else:
            session.transport = transport
            session.resume_writing()
            if self.closing:
                transport.close()

    def get_write_buffer_size(self) -> int:
        """What was written and is still in this process."""
        return self.left_bytes + self.transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the session is to hear that the client does not read."""
        self.transport.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self.transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether the connection is about to end."""
        return self.closing or self.transport.is_closing()

    def pause_reading(self) -> None:
        """Reads nothing more of the client."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        self.transport.resume_reading()

    def close(self) -> None:
        """Closes once all is sent."""
        self.closing = True

    def abort(self) -> None:
        """Closes at once."""
        self.transport.abort()


def paced(session: "Session") -> Paced:
    """The session's transport, if it is such a one already, or in the place of the one it has."""
    transport = session.transport
    if isinstance(transport, Paced):
        return transport
    assert transport is not None
    found = Paced(session, transport)
    session.pause_writing()
    found.go_on()
    return found
