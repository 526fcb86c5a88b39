"""Large arguments are at their shards before their commands are begun, and nobody waits for them but their client."""

import pytest

from common.frame import LARGE_SIZE_BYTES
from router.commands.table import TABLE
from router.freight import PIECE_SIZE_BYTES
from router.staging import brings
from router.transaction import LONG_WORDS, Transaction
from tests.bare_router import on_a_loop
from tests.freight_router import FreightRouter, parcels_alive

pytestmark = pytest.mark.usefixtures("without_collections")

LARGE = bytes(range(256)) * (LARGE_SIZE_BYTES // 256) + b"end"
OTHER = LARGE[::-1]
PIECES = -(-len(LARGE) // PIECE_SIZE_BYTES)


def is_empty(bare: FreightRouter) -> bool:
    """Whether nothing is left of what was sent ahead."""
    links = bare.router.links
    assert parcels_alive() == []
    return not any(link.staged or link.freight.waiting or link.freight.under_way for link in links) and not any(
        end.staged.here or end.staged.coming for end in bare.ends
    )


def test_it_is_sent_ahead_in_pieces_and_named_by_its_command() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        client, key = bare.connect(), bare.key_of(1)
        client.send_in_pieces([b"SET", key, LARGE], [b"GET", b"k"])
        await bare.sent()
        assert bare.ends[1].commands == []
        await bare.settle()
        assert client.take() == b"+OK\r\n$-1\r\n"
        assert bare.ends[1].contents() == {key: LARGE}
        assert bare.ends[1].pieces == PIECES and bare.ends[1].frame_size_bytes_max < 3 * PIECE_SIZE_BYTES
        assert bare.ends[0].pieces == 0
        assert is_empty(bare) and not client.session.laden and client.session.plain

    on_a_loop(scene)


def test_others_go_on_meanwhile() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client, other = bare.connect(), bare.connect()
        client.send_in_pieces([b"SET", b"k", LARGE], [b"GET", b"small"])
        await bare.sent()
        other.send([b"SET", b"small", b"v"])
        await bare.sent()
        bare.ends[0].answer()
        assert other.take() == b"+OK\r\n" and client.take() == b""
        await bare.settle()
        assert client.take() == b"+OK\r\n$1\r\nv\r\n"

    on_a_loop(scene)


def test_what_came_before_it_is_answered_at_once() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client = bare.connect()
        client.send_in_pieces([b"SET", b"a", b"1"], [b"APPEND", b"a", LARGE], [b"STRLEN", b"a"], [b"SET", b"b", OTHER])
        await bare.sent()
        bare.ends[0].answer(1)
        assert client.take() == b"+OK\r\n"
        await bare.settle()
        assert client.take() == b":%d\r\n:%d\r\n+OK\r\n" % (len(LARGE) + 1, len(LARGE) + 1)
        assert bare.ends[0].contents() == {b"a": b"1" + LARGE, b"b": OTHER}
        assert is_empty(bare)

    on_a_loop(scene)


@pytest.mark.parametrize(
    "call, error",
    [
        ([b"NONE", b"k", LARGE], b"-ERR unknown command 'NONE', with args beginning with: 'k' '"),
        ([b"SET", LARGE], b"-ERR wrong number of arguments for 'set' command\r\n"),
    ],
)
def test_nothing_is_sent_for_what_is_refused(call: list[bytes], error: bytes) -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        client = bare.connect()
        client.send_in_pieces(call, [b"PING"])
        await bare.settle()
        received = client.take()
        assert received.startswith(error) and received.endswith(b"+PONG\r\n")
        assert sum(end.pieces for end in bare.ends) == 0 and is_empty(bare)
        assert client.session.plain

    on_a_loop(scene)


def test_what_is_refused_when_it_is_there_is_dropped() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client, admin = bare.connect(), bare.connect()
        client.send_in_pieces([b"SET", b"k", LARGE])
        await bare.sent()
        bare.ends[0].answer(1)
        admin.send([b"ACL", b"SETUSER", b"default", b"-set"])
        await bare.settle()
        assert client.take().startswith(b"-NOPERM")
        assert bare.ends[0].pieces == PIECES and is_empty(bare)
        client.send([b"GET", b"k"])
        await bare.settle()
        assert client.take() == b"$-1\r\n"

    on_a_loop(scene)


def test_a_client_that_is_killed_half_way() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client, other = bare.connect(), bare.connect()
        client.send_in_pieces([b"SET", b"k", LARGE])
        await bare.sent()
        bare.ends[0].answer(1)
        client.session.kill()
        other.send([b"GET", b"k"])
        await bare.settle()
        assert other.take() == b"$-1\r\n"
        assert 0 < bare.ends[0].pieces < PIECES and is_empty(bare)

    on_a_loop(scene)


def test_a_shard_that_dies_half_way() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        client, key = bare.connect(), bare.key_of(0)
        client.send_in_pieces([b"SET", key, LARGE], [b"MSET", key, OTHER, bare.key_of(1), b"v"])
        await bare.sent()
        bare.ends[0].answer(1)
        bare.ends[0].die()
        await bare.settle()
        assert client.take() == b"-SHARDDOWN shard 0 is down, it is being restarted\r\n" * 2
        assert bare.router.links[0].freight.under_way == 0 and not bare.router.links[0].staged

    on_a_loop(scene)


def test_a_transaction_is_brought_before_exec() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        client, other, keys = bare.connect(), bare.connect(), [bare.key_of(0), bare.key_of(1)]
        client.send([b"MULTI"])
        client.send_in_pieces([b"SET", keys[0], LARGE], [b"SET", keys[1], OTHER], [b"APPEND", keys[1], b"!"])
        assert client.take() == b"+OK\r\n" + b"+QUEUED\r\n" * 3
        await bare.settle()
        assert [end.pieces for end in bare.ends] == [0, 0]
        client.send([b"EXEC"])
        await bare.sent()
        other.send([b"EXISTS", keys[0]])
        await bare.settle()
        assert other.take() == b":0\r\n"
        assert client.take() == b"*3\r\n+OK\r\n+OK\r\n:%d\r\n" % (len(OTHER) + 1)
        assert [end.contents() for end in bare.ends] == [{keys[0]: LARGE}, {keys[1]: OTHER + b"!"}]
        assert [end.pieces for end in bare.ends] == [PIECES] * 2 and is_empty(bare)

    on_a_loop(scene)


def test_nothing_is_looked_for_in_a_long_transaction() -> None:
    """Its slices are small whatever is in them, and to look at a million commands would take seconds."""
    transaction, exec_ = Transaction(), TABLE.commands["exec"]
    assert not brings(exec_, transaction)
    transaction.size_bytes, transaction.words = LARGE_SIZE_BYTES, LONG_WORDS
    assert brings(exec_, transaction) and not brings(TABLE.commands["discard"], transaction)
    transaction.words += 1
    assert not brings(exec_, transaction)


@pytest.mark.parametrize("ending", [b"DISCARD", b"EXEC"])
def test_a_transaction_that_is_not_run_brings_nothing(ending: bytes) -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client = bare.connect()
        client.send([b"MULTI"], [b"GET"])
        client.send_in_pieces([b"SET", b"k", LARGE])
        client.take()
        client.send([ending])
        await bare.settle()
        assert client.take().startswith(b"+OK" if ending == b"DISCARD" else b"-EXECABORT")
        assert bare.ends[0].pieces == 0 and is_empty(bare)

    on_a_loop(scene)


@pytest.mark.parametrize("log, pieces", [("no", [PIECES, PIECES]), ("yes", [0, 0])])
def test_a_call_that_is_cut(log: str, pieces: list[int]) -> None:
    """Where it is recorded the record has the words, and is no word of the client's."""

    async def scene() -> None:
        bare = FreightRouter(2, "--appendonly", log)
        client, keys = bare.connect(), [bare.key_of(0), bare.key_of(1)]
        client.send_in_pieces([b"MSET", keys[0], LARGE, keys[1], OTHER])
        await bare.settle()
        assert client.take() == b"+OK\r\n"
        assert [end.contents() for end in bare.ends] == [{keys[0]: LARGE}, {keys[1]: OTHER}]
        assert [end.pieces for end in bare.ends] == pieces and is_empty(bare)

    on_a_loop(scene)


def test_a_call_that_borrows() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        client, keys = bare.connect(), [bare.key_of(0), bare.key_of(1)]
        client.send([b"SET", keys[0], b"v"])
        client.send_in_pieces([b"SORT", b"list", b"GET", LARGE], [b"RENAME", keys[0], keys[1]], [b"GET", keys[1]])
        await bare.settle()
        assert client.take() == b"+OK\r\n*0\r\n+OK\r\n$1\r\nv\r\n"
        assert is_empty(bare)

    on_a_loop(scene)


def test_many_at_once_take_turns() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        clients = [bare.connect() for _ in range(5)]
        for number, client in enumerate(clients):
            client.send_in_pieces([b"SET", b"k%d" % number, LARGE])
        await bare.sent()
        assert bare.ends[0].pieces_under_way() == 2
        await bare.settle()
        assert [client.take() for client in clients] == [b"+OK\r\n"] * 5
        assert bare.ends[0].contents() == {b"k%d" % number: LARGE for number in range(5)} and is_empty(bare)

    on_a_loop(scene)


def test_a_pause_keeps_it_back() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client, admin = bare.connect(), bare.connect()
        client.send_in_pieces([b"SET", b"k", LARGE])
        await bare.sent()
        admin.send([b"CLIENT", b"PAUSE", b"100000", b"WRITE"])
        await bare.settle()
        assert client.take() == b"" and bare.ends[0].contents() == {}
        admin.send([b"CLIENT", b"UNPAUSE"])
        await bare.settle()
        assert client.take() == b"+OK\r\n" and bare.ends[0].contents() == {b"k": LARGE} and is_empty(bare)

    on_a_loop(scene)


def test_what_comes_in_a_subscription_or_without_a_key_is_no_freight() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client, other = bare.connect(), bare.connect()
        other.send([b"SUBSCRIBE", b"c"])
        other.take()
        client.send_in_pieces([b"PUBLISH", b"c", LARGE], [b"ECHO", LARGE])
        await bare.settle()
        size = len(LARGE)
        assert client.take() == b":1\r\n$%d\r\n%b\r\n" % (size, LARGE)
        assert other.take() == b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n%b\r\n" % (size, LARGE)
        assert bare.ends[0].pieces == 0

    on_a_loop(scene)


def test_a_watched_key_that_is_changed_while_it_is_brought() -> None:
    """The transaction has its place when it is begun, and not when EXEC came."""

    async def scene() -> None:
        bare = FreightRouter(1)
        client, other = bare.connect(), bare.connect()
        client.send([b"WATCH", b"k"], [b"MULTI"])
        await bare.settle()
        client.send_in_pieces([b"SET", b"k", LARGE], [b"EXEC"], [b"GET", b"k"])
        await bare.sent()
        other.send([b"SET", b"k", b"other"])
        await bare.settle()
        assert other.take() == b"+OK\r\n"
        assert client.take() == b"+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n$5\r\nother\r\n"
        assert bare.ends[0].pieces == PIECES and is_empty(bare)

    on_a_loop(scene)
