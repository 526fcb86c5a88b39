"""A client's connection over TLS: the protocol of its TCP transport, and the transport of its session.

Rule 1: nobody hears of a connection before its handshake is done; one that is not done in HANDSHAKE_S, or in which
        something is wrong, is closed without a word but for TLS's own alert. It counts as a client meanwhile.
Rule 2: what is written is encrypted at once, so that what the client does not read waits in the TCP transport: its
        marks, pauses and limits hold for a client over TLS as for any other. What is read is decrypted at once, and is
        at most what one read of the TCP transport brings.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from router.address import addresses_of
from router.session import Session

if TYPE_CHECKING:
    from router.server import Router
    from router.tls import Tls

HANDSHAKE_S = 10.0
"""How long a handshake may take."""
RECORD_BYTES_MAX = 16 * 1024
"""What one record holds at most (RFC 8446, 5.1)."""
SLICE_BYTES = 256 * 1024
"""Of a long reply so much is encrypted at a time: between two slices what is written can leave for the kernel."""


class Encrypted(asyncio.Transport):
    """One connection."""

    def __init__(self, router: "Router", tls: "Tls") -> None:
        super().__init__()
        self.tls = tls
        self.session = Session(router)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        assert tls.context is not None
        self.stream = tls.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.open = False
        """Whether the handshake is done, and so whether the session knows of its connection."""
        self.ended = False
        """Whether the client has said that it sends no more."""
        self.closed = False
        self.timer: asyncio.TimerHandle | None = None

    # The protocol of the TCP transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self.tls.begins(self):
            self.closed = True
            self.transport.close()
            return
        self.timer = self.session.router.loop.call_later(HANDSHAKE_S, self._fail, "the handshake took too long")

    def connection_lost(self, error: Exception | None) -> None:
        if self.open:
            self.session.connection_lost(error)
        elif not self.closed:
            self.tls.failed(self, str(error or "the client is gone"))
        self._handshake_over()
        self.closed = True

    def data_received(self, data: bytes) -> None:
        self.incoming.write(data)
        if self.open:
            self._decrypt()
        elif not self.closed:
            self._shake_hands()

    def eof_received(self) -> bool:
        """The client is gone, or has sent all and still reads: then it gets its replies first."""
        if self.closed or not self.open:
            return False
        return True if self.ended else self._end()

    def pause_writing(self) -> None:
        if self.open:
            self.session.pause_writing()

    def resume_writing(self) -> None:
        if self.open:
            self.session.resume_writing()

    def _shake_hands(self) -> None:
        try:
            self.stream.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # The alert.
            self._fail(words_of(error))
            return
        self._flush()
        self._handshake_over()
        self.open = True
        self.session.connection_made(self)
        if not self.session.closing:
            self.tls.sign_in(self.session, self.stream)
        self._decrypt()

    def _handshake_over(self) -> None:
        self.tls.over(self)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _fail(self, reason: str) -> None:
        """Ends a handshake that comes to nothing."""
        self.tls.failed(self, reason)
        self.closed = True
        self.transport.close()

    def _decrypt(self) -> None:
        """Hands over what has come, in one piece."""
        pieces: list[bytes] = []
        incoming, read = self.incoming, self.stream.read
        over = broken = False
        try:
            while incoming.pending:
                piece = read(RECORD_BYTES_MAX)
                if not piece:
                    over = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            broken = True
        if pieces and not self.closed:
            self.session.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if broken:
            self.abort()
        elif self.outgoing.pending and not self.closed:  # An answer of TLS itself, as to a change of keys.
            self._flush()
        if over and not self.ended and not self.closed and not self._end():
            self.close()

    def _end(self) -> bool:
        """The client has sent all; whether there is something to be answered first."""
        self.ended = True
        return self.session.eof_received()

    def _flush(self) -> None:
        self.transport.write(self.outgoing.read())

    # The transport of the session

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.closed:
            return
        try:
            if len(data) <= SLICE_BYTES:
                self.stream.write(data)
                self.transport.write(self.outgoing.read())
                return
            view = memoryview(data)
            for at in range(0, len(data), SLICE_BYTES):
                self.stream.write(view[at : at + SLICE_BYTES])
                self.transport.write(self.outgoing.read())
        except ssl.SSLError:
            self.abort()

    def close(self) -> None:
        """Closes once what was written is sent."""
        if not self.closed:
            self.closed = True
            with suppress(ssl.SSLError):  # It wants the client's word that it closes too, which nobody waits for.
                self.stream.unwrap()
            self._flush()
            self.transport.close()

    def abort(self) -> None:
        self.closed = True
        self.transport.abort()

    def addresses(self) -> tuple[bool, str, str]:
        return addresses_of(self.transport)

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self.transport.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.transport.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()


def words_of(error: ssl.SSLError) -> str:
    """What is wrong, as OpenSSL says it: "wrong version number"."""
    text = (error.reason or str(error)).replace("_", " ").lower()
    verify = getattr(error, "verify_message", "")
    return f"{text}: {verify}" if verify else text
