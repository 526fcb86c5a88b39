"""A large reply leaves a piece in a turn; what comes behind it leaves behind it."""

import asyncio

import pytest

from router.paced import PACED_BYTES_MIN, PIECE_BYTES, Paced
from router.session import Session
from tests.bare_router import BareRouter, ClientEnd, on_a_loop

LARGE = bytes(range(256)) * (PACED_BYTES_MIN // 256) + b"end"
REPLY = b"$%d\r\n%b\r\n" % (len(LARGE), LARGE)
PIECES = -(-len(REPLY) // PIECE_BYTES)


class SlowEnd(ClientEnd):
    """A client whose kernel takes nothing more while it is `full`."""

    full = False
    pieces: list[int]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces = [*getattr(self, "pieces", []), len(data)]
        super().write(bytes(data))
        if self.full:
            self.session.pause_writing()

    def get_write_buffer_size(self) -> int:
        return 2 * PACED_BYTES_MIN if self.full else 0


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def connected(bare: BareRouter) -> SlowEnd:
    return SlowEnd(Session(bare.router))


def test_a_piece_in_a_turn() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        await bare.settle()
        client = connected(bare)
        client.send([b"ECHO", LARGE], [b"PING"])
        assert isinstance(client.session.transport, Paced) and client.received == b""
        for count in range(1, PIECES + 1):
            await turns(1)
            assert len(client.received) == min(count * PIECE_BYTES, len(REPLY) + 7)
        await turns(2)
        assert client.take() == REPLY + b"+PONG\r\n"
        assert max(client.pieces) == PIECE_BYTES
        assert client.session.transport is client and not client.session.writing_paused
        client.send([b"PING"])
        assert client.take() == b"+PONG\r\n"

    on_a_loop(scene)


def test_the_others_are_served_between_the_pieces() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        await bare.settle()
        client, other = connected(bare), bare.connect()
        client.send([b"ECHO", LARGE])
        await turns(2)
        other.send([b"PING"])
        assert other.take() == b"+PONG\r\n" and 0 < len(client.received) < len(REPLY)

    on_a_loop(scene)


def test_who_does_not_read_is_waited_for() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        await bare.settle()
        client = connected(bare)
        client.full = True
        client.send([b"ECHO", LARGE], [b"PING"])
        await turns(9)
        assert len(client.received) == PIECE_BYTES
        transport = client.session.transport
        assert transport is not None
        assert transport.get_write_buffer_size() == len(REPLY) + 7 - PIECE_BYTES + client.get_write_buffer_size()
        client.send([b"PING"])
        await turns(3)
        assert len(client.received) == PIECE_BYTES
        client.full = False
        client.session.resume_writing()
        await turns(PIECES + 2)
        assert client.take() == REPLY + b"+PONG\r\n" * 2

    on_a_loop(scene)


@pytest.mark.parametrize("ending", ["QUIT", "kill", "drop", "lost"])
def test_the_end(ending: str) -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        await bare.settle()
        client = connected(bare)
        session = client.session
        client.send([b"ECHO", LARGE], *([[b"QUIT"]] if ending == "QUIT" else []))
        await turns(1)
        assert not client.closed
        if ending == "kill":
            session.kill()
        elif ending == "drop":
            session.drop()
        elif ending == "lost":
            session.connection_lost(None)
        await turns(PIECES + 2)
        if ending == "QUIT":
            assert client.closed and client.received == REPLY + b"+OK\r\n"
        else:
            assert client.closed == (ending != "lost") and len(client.received) <= 2 * PIECE_BYTES

    on_a_loop(scene)
