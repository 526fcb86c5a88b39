"""Publish and subscribe: what transcripts can't say: pieces of a turn, random walks beside the reference, the end of
clients. The commands are in tests/sessions/pubsub*.session.
"""

import asyncio
import re
from contextlib import ExitStack
from random import Random
from typing import cast

import pytest

from router.output import TOLD_MIN, TOLD_SHARE
from router.pubsub import PENDING_BYTES_MAX, Kind, PubSub
from router.session import OUTGOING_MAX, Session
from tests.bare_router import BareRouter, ClientEnd, on_a_loop
from tests.resp_client import Client, Status, encode_command

# --- Audiences -------------------------------------------------------------------------------------------------------


class Listener:
    """All that PubSub knows of a session."""

    subscriptions = None

    def __init__(self, protocol: int = 2) -> None:
        self.protocol = protocol
        self.pieces: list[bytes] = []
        self.changes = 0

    def push(self, data: bytes) -> None:
        self.pieces.append(data)

    def changed(self) -> None:
        self.changes += 1


def listener(pubsub: PubSub, kind: Kind, *names: bytes, protocol: int = 2) -> tuple[Listener, Session]:
    one = Listener(protocol)
    session = cast(Session, one)
    pubsub.subscribe(session, kind, names)
    return one, session


def message(*words: bytes, protocol: int = 2) -> bytes:
    """One message as it is on the wire."""
    return (b"*" if protocol == 2 else b">") + encode_command(words)[1:]


def new_pubsub() -> PubSub:
    return PubSub(lambda: None)


def check(pubsub: PubSub, sessions: list[Session]) -> None:
    """What the server knows of the sessions is what they know of themselves."""
    for kind, audiences in pubsub.audiences.items():
        assert all(audience.sessions for audience in audiences.values())
        theirs = {name for one in sessions if one.subscriptions for name in one.subscriptions.names[kind]}
        assert audiences.keys() == theirs
        for name, audience in audiences.items():
            heard = [one for one in sessions if one.subscriptions and name in one.subscriptions.names[kind]]
            assert set(audience.sessions) == set(heard)
    for one in sessions:
        assert one.subscriptions is None or any(one.subscriptions.names.values())


def test_messages_of_a_turn_are_one_piece_and_the_same_for_all() -> None:
    pubsub = new_pubsub()
    one, _ = listener(pubsub, Kind.CHANNEL, b"a")
    other, _ = listener(pubsub, Kind.CHANNEL, b"a")
    third, _ = listener(pubsub, Kind.CHANNEL, b"a", protocol=3)
    assert [pubsub.publish(b"a", text) for text in (b"1", b"2", b"")] == [3, 3, 3]
    assert one.pieces == []
    pubsub.flush()
    pubsub.flush()
    assert one.pieces == [b"".join(message(b"message", b"a", text) for text in (b"1", b"2", b""))]
    assert one.pieces[0] is other.pieces[0]
    assert third.pieces == [b"".join(message(b"message", b"a", text, protocol=3) for text in (b"1", b"2", b""))]


def test_messages_to_several_audiences_keep_their_order() -> None:
    pubsub = new_pubsub()
    one, session = listener(pubsub, Kind.CHANNEL, b"a", b"b")
    pubsub.subscribe(session, Kind.PATTERN, (b"[ac]",))
    pubsub.subscribe(session, Kind.SHARD_CHANNEL, (b"a",))
    assert [pubsub.publish(name, name) for name in (b"a", b"b", b"a", b"c", b"d")] == [2, 1, 2, 1, 0]
    assert pubsub.publish_to_shard_channel(b"a", b"s") == 1
    assert pubsub.publish_to_shard_channel(b"b", b"s") == 0
    pubsub.flush()
    a, b = message(b"message", b"a", b"a"), message(b"message", b"b", b"b")
    by_pattern = [message(b"pmessage", b"[ac]", name, name) for name in (b"a", b"c")]
    shard = message(b"smessage", b"a", b"s")
    assert b"".join(one.pieces) == a + by_pattern[0] + b + a + by_pattern[0] + by_pattern[1] + shard


@pytest.mark.parametrize("over", [0, 1])
def test_what_is_pending_is_bounded(over: int) -> None:
    pubsub = new_pubsub()
    one, _ = listener(pubsub, Kind.CHANNEL, b"a")
    frame_bytes = len(message(b"message", b"a", bytes(50_000))) - 1 - 50_000
    pubsub.publish(b"a", bytes(PENDING_BYTES_MAX - frame_bytes + over))
    assert len(one.pieces) == over
    pubsub.flush()
    assert len(one.pieces) == 1


def test_a_message_is_for_those_who_were_there_when_it_came() -> None:
    pubsub = new_pubsub()
    early, leaving = listener(pubsub, Kind.CHANNEL, b"a")
    pubsub.publish(b"a", b"1")
    late, _ = listener(pubsub, Kind.CHANNEL, b"a")
    pubsub.publish(b"a", b"2")
    pubsub.unsubscribe(leaving, Kind.CHANNEL, ())
    pubsub.publish(b"a", b"3")
    pubsub.flush()
    assert b"".join(early.pieces) == message(b"message", b"a", b"1") + message(b"message", b"a", b"2")
    assert b"".join(late.pieces) == message(b"message", b"a", b"2") + message(b"message", b"a", b"3")


def test_nobody_hears_nothing() -> None:
    pubsub = new_pubsub()
    assert pubsub.publish(b"a", b"1") == 0
    listener(pubsub, Kind.PATTERN, b"b*")
    assert pubsub.publish(b"a", b"1") == 0
    assert pubsub.pending_for is None


def test_the_state_of_a_session_changes_with_the_first_and_the_last_subscription() -> None:
    pubsub = new_pubsub()
    one, session = listener(pubsub, Kind.CHANNEL, b"a", b"b")
    assert session.subscriptions is not None
    assert session.subscriptions.hears(b"a")
    assert not session.subscriptions.hears(b"c")
    pubsub.subscribe(session, Kind.PATTERN, (b"*",))
    pubsub.unsubscribe(session, Kind.CHANNEL, (b"a", b"b", b"c"))
    assert one.changes == 1
    pubsub.unsubscribe(session, Kind.PATTERN, (b"*",))
    assert session.subscriptions is None
    assert one.changes == 2


@pytest.mark.parametrize("seed", range(5))
def test_audiences_after_random_steps(seed: int) -> None:
    random = Random(seed)
    pubsub = new_pubsub()
    sessions = [cast(Session, Listener(random.choice([2, 3]))) for _ in range(5)]
    for _ in range(400):
        session, kind = random.choice(sessions), random.choice(list(Kind))
        names = [random.choice([b"a", b"b", b"c", b"d"]) for _ in range(random.randrange(1, 4))]
        act = random.randrange(8)
        if act < 4:
            pubsub.subscribe(session, kind, names)
        elif act < 6:
            pubsub.unsubscribe(session, kind, names)
        elif act < 7:
            pubsub.unsubscribe(session, kind, ())
        else:
            pubsub.forget(session)
        check(pubsub, sessions)
    for session in sessions:
        pubsub.forget(session)
    assert not any(pubsub.audiences.values())


# --- In a router -----------------------------------------------------------------------------------------------------


def in_resp3(bare: BareRouter, *channels: bytes) -> ClientEnd:
    """A client that is subscribed."""
    client = bare.connect()
    client.send([b"HELLO", b"3"], [b"SUBSCRIBE", *channels])
    client.take()
    return client


def test_a_message_waits_for_the_replies_under_way() -> None:
    async def scene() -> None:
        bare = BareRouter(2)
        reader, writer = in_resp3(bare, b"a"), bare.connect()
        key = bare.key_of(0)
        reader.send([b"GET", key])
        writer.send([b"PUBLISH", b"a", b"1"], [b"SET", key, b"new"])
        await bare.sent()
        assert writer.take() == b""
        assert reader.take() == b""
        await bare.settle()
        assert reader.take() == b"_\r\n" + message(b"message", b"a", b"1", protocol=3)
        assert writer.take() == b":1\r\n+OK\r\n"

    on_a_loop(scene)


def test_a_message_comes_before_what_was_begun_behind_it() -> None:
    """The value that was set after the message must not be seen before it, also in one and the same turn."""

    async def scene() -> None:
        bare = BareRouter(2)
        reader, writer = in_resp3(bare, b"a"), bare.connect()
        key = bare.key_of(1)
        writer.send([b"PUBLISH", b"a", b"1"], [b"SET", key, b"new"])
        reader.send([b"GET", key])
        await bare.settle()
        assert reader.take() == message(b"message", b"a", b"1", protocol=3) + b"$3\r\nnew\r\n"

    on_a_loop(scene)


def test_a_turn_is_one_write() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        reader, other = in_resp3(bare, b"a", b"b"), in_resp3(bare, b"a")
        writers = [bare.connect() for _ in range(3)]
        before = reader.session.writes
        for writer in writers:
            writer.send([b"PUBLISH", b"a", b"1"], [b"PUBLISH", b"b", b"2"])
        await bare.sent()
        pair = message(b"message", b"a", b"1", protocol=3) + message(b"message", b"b", b"2", protocol=3)
        assert reader.take() == pair * 3
        assert reader.session.writes == before + 1
        assert other.take() == message(b"message", b"a", b"1", protocol=3) * 3

    on_a_loop(scene)


@pytest.mark.parametrize("over", [0, 1])
def test_of_very_many_some_are_told_in_a_turn(over: int) -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        readers, writer = [in_resp3(bare, b"a") for _ in range(TOLD_MIN + over)], bare.connect()
        one, two = (message(b"message", b"a", text, protocol=3) for text in (b"1", b"2"))
        writer.send([b"PUBLISH", b"a", b"1"])
        await asyncio.sleep(0)
        assert [reader.take() for reader in readers] == [one] * TOLD_MIN + [b""] * over
        readers[-1].send([b"PING"])
        assert readers[-1].take() == one * over + b"+PONG\r\n"
        await bare.sent()
        assert not any(reader.take() for reader in readers)
        writer.send([b"PUBLISH", b"a", b"1"])
        await asyncio.sleep(0)
        writer.send([b"PUBLISH", b"a", b"2"])
        await bare.sent()
        assert {reader.take() for reader in readers} == {one + two}
        assert not bare.router.output.waiting

    on_a_loop(scene)


def test_of_a_great_many_an_eighth_is_told_in_a_turn() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        readers, writer = [in_resp3(bare, b"a") for _ in range(TOLD_MIN * TOLD_SHARE + 80)], bare.connect()
        writer.send([b"PUBLISH", b"a", b"1"])
        await asyncio.sleep(0)
        assert sum(bool(reader.take()) for reader in readers) == len(readers) // TOLD_SHARE

    on_a_loop(scene)


def test_who_is_told_the_same_gets_the_very_same_bytes() -> None:
    class Keeping(ClientEnd):
        def __init__(self, session: Session) -> None:
            self.pieces: list[object] = []
            super().__init__(session)

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.pieces.append(data)

    async def scene() -> None:
        bare = BareRouter(1)
        readers = [Keeping(Session(bare.router)) for _ in range(4)]
        for number, reader in enumerate(readers):
            for text in (b"1", b"2", b"3" if number != 2 else b"other"):
                reader.session.push(text)
        await bare.sent()
        assert [reader.pieces for reader in readers] == [[b"123"], [b"123"], [b"12other"], [b"123"]]
        assert readers[0].pieces[0] is readers[1].pieces[0]

    on_a_loop(scene)


@pytest.mark.parametrize("count", [OUTGOING_MAX - 1, OUTGOING_MAX])
def test_very_many_messages_do_not_wait_for_the_end_of_the_turn(count: int) -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        reader = in_resp3(bare, b"a")
        for _ in range(count):
            reader.session.push(b">1\r\n:1\r\n")
        assert len(reader.take()) == (8 * count if count == OUTGOING_MAX else 0)
        await bare.sent()
        assert len(reader.take()) == (0 if count == OUTGOING_MAX else 8 * count)

    on_a_loop(scene)


@pytest.mark.parametrize("how", ["reset", "quit", "kill", "gone"])
def test_a_client_that_ends_leaves_nothing(how: str) -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        reader, other = in_resp3(bare, b"a"), bare.connect()
        reader.send([b"PSUBSCRIBE", b"*"], [b"SSUBSCRIBE", b"s"])
        pubsub = bare.router.pubsub
        assert other.session.subscriptions is None
        other.send([b"PUBLISH", b"a", b"1"])
        assert other.take() == b":2\r\n"
        if how == "reset":
            reader.send([b"RESET"])
        elif how == "quit":
            reader.send([b"QUIT"])
            reader.session.connection_lost(None)
        elif how == "kill":
            other.send([b"CLIENT", b"KILL", b"TYPE", b"pubsub"])
            assert other.take() == b":1\r\n"
        else:
            reader.session.connection_lost(None)
        assert not any(pubsub.audiences.values())
        other.send([b"PUBLISH", b"a", b"1"])
        assert other.take() == b":0\r\n"
        await bare.settle()

    on_a_loop(scene)


def test_nothing_comes_behind_the_reply_to_quit() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        reader, other = in_resp3(bare, b"a"), bare.connect()
        reader.send([b"QUIT"])
        other.send([b"PUBLISH", b"a", b"1"])
        await bare.sent()
        assert reader.take() == b"+OK\r\n"
        assert reader.closed

    on_a_loop(scene)


# --- On a server -----------------------------------------------------------------------------------------------------


def test_info(client: Client) -> None:
    def figures() -> dict[str, int]:
        text = client.call("INFO", "everything").decode()
        return {name: int(number) for name, number in re.findall(r"(pubsub\w*):(\d+)\r\n", text)}

    nothing = dict.fromkeys(["pubsub_clients", "pubsub_channels", "pubsub_patterns", "pubsubshard_channels"], 0)
    assert figures() == nothing
    with Client(client.socket.getpeername()) as one, Client(client.socket.getpeername()) as other:
        for who, words in ((one, "SUBSCRIBE a b"), (one, "PSUBSCRIBE x*"), (other, "SSUBSCRIBE s"), (other, "PING")):
            who.call(*words.split())
        assert figures() == {
            "pubsub_clients": 2,
            "pubsub_channels": 2,
            "pubsub_patterns": 1,
            "pubsubshard_channels": 1,
        }
        other.call("RESET")
        assert figures()["pubsub_clients"] == 1


CHANNELS = ["a1", "b1", "c1", "c2", "d"]
PATTERNS = ["a*", "b?", "c[1-2]", "nothing"]
"""At most one of them matches a channel: in which order patterns are served is nobody's promise."""


GREETING = re.compile(rb"(?:%7|\*14)\r\n\$6\r\nserver.*?modules\r\n\*(?:0|1\r\n.*?args\r\n\*0)\r\n", re.DOTALL)
"""The reply to HELLO, which tells servers apart."""


def random_command(random: Random, *, in_transaction: bool = False) -> list[str]:
    names = random.sample(CHANNELS, random.randrange(1, 3))
    patterns = random.sample(PATTERNS, random.randrange(1, 3))
    text, key = str(random.randrange(1000)), f"k{random.randrange(4)}"
    choices = [
        *([["PUBLISH", names[0], text]] * 6),
        *([["SUBSCRIBE", *names]] * 3),
        ["UNSUBSCRIBE", *names],
        ["PSUBSCRIBE", *patterns],
        ["PUNSUBSCRIBE", *patterns],
        ["SSUBSCRIBE", *names],
        ["SUNSUBSCRIBE", *names],
        ["SPUBLISH", names[0], text],
        ["PUBSUB", "NUMSUB", *names],
        ["PUBSUB", "NUMPAT"],
        ["PUBSUB", "SHARDNUMSUB", *names],
        ["SET", key, text],
        ["GET", key],
        ["MGET", "k0", "k1", "k2", "k3"],
        ["DEL", "k0", "k1"],
        ["PING"],
        ["PING", text],
    ]
    if not in_transaction:
        choices += [["RESET"], ["HELLO", "2"], *([["HELLO", "3"]] * 3), ["CLIENT", "REPLY", "SKIP"]]
    return random.choice(choices)


def random_pipeline(random: Random) -> list[list[str]]:
    commands = [random_command(random) for _ in range(random.randrange(1, 6))]
    if random.random() < 0.3:
        queued = [random_command(random, in_transaction=True) for _ in range(random.randrange(1, 5))]
        commands[1:1] = [["MULTI"], *queued, ["EXEC"]]
    return [*commands, ["ECHO", "x"]]  # So that a SKIP at the end does not concern the PING that is waited for.


def streams(address: tuple[str, int], seed: int, steps: int) -> list[bytes]:
    """All that each of some clients gets, while they take turns."""
    random = Random(seed)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for _ in range(4)]
        got = [b""] * len(clients)
        for step in range(steps):
            client = random.choice(clients)
            client.send_bytes(b"".join(map(encode_command, random_pipeline(random))))
            for place, other in enumerate([client, *(one for one in clients if one is not client)]):
                mark = b"mark %d %d" % (step, place)
                other.send("PING", mark)
                whose = clients.index(other)
                while True:
                    reply = other.read()
                    got[whose] += reply.raw
                    if mark in reply.raw:
                        break
        return [GREETING.sub(b"greeting", data) for data in got]


@pytest.mark.parametrize("seed", range(6))
def test_all_clients_get_the_same_as_from_the_reference(client: Client, reference_client: Client, seed: int) -> None:
    mine, theirs = (streams(one.socket.getpeername(), seed, 60) for one in (client, reference_client))
    assert mine == theirs


def test_many_publishers_many_subscribers(client: Client) -> None:
    """Each subscriber gets all messages, and those of each publisher in their order."""
    address = client.socket.getpeername()
    with ExitStack() as stack:
        readers = [stack.enter_context(Client(address)) for _ in range(20)]
        writers = [stack.enter_context(Client(address)) for _ in range(5)]
        for number, reader in enumerate(readers):
            if number % 2:
                reader.call("HELLO", "3")
            reader.send("SUBSCRIBE", "a", "b")
            reader.read_many(2)
        for start in range(0, 200, 20):
            for place, writer in enumerate(writers):
                calls = [("PUBLISH", "ab"[number % 2], f"{place} {number}") for number in range(start, start + 20)]
                writer.send_bytes(b"".join(map(encode_command, calls)))
        for writer in writers:
            assert {reply.value for reply in writer.read_many(200)} == {20}
        for reader in readers:
            found: dict[bytes, list[int]] = {}
            for reply in reader.read_many(1000):
                _, channel, text = reply.value
                place, number = text.split()
                assert channel == b"ab"[int(number) % 2 : int(number) % 2 + 1]
                found.setdefault(place, []).append(int(number))
            assert found == {b"%d" % place: list(range(200)) for place in range(5)}
            assert reader.maybe_read() is None
        assert client.call("PING") == Status(b"PONG")
