"""Records in the router: what is one with what, in which order, and when nobody needs it any more."""

from typing import Any, cast

from common import record as records
from common.frame import CONTROL, RECORDED
from tests.bare_router import ClientEnd, on_a_loop
from tests.held_router import HeldEnd, HeldRouter

Sent = list[tuple[int, list[list[bytes]]]]


class Scene:
    """A router of three shards with logs, and what it sends."""

    def __init__(self, *options: str) -> None:
        self.bare = HeldRouter(3, "--appendonly", "yes", *options)
        self.ends = cast(list[HeldEnd], self.bare.shards)
        self.records = self.bare.router.records
        self.records._timed = True  # What is settled, and when, the test says.
        self.client: ClientEnd = self.bare.connect()
        self.a, self.b, self.c = (self.bare.key_of(shard) for shard in range(3))

    def parts(self, shard: int) -> Sent:
        """What a shard is sent and has not read: the ids of the records, 0 for none, and the commands with each."""
        sent: Sent = []
        for frame in self.bare.shards[shard].frames:
            for header, run in zip(frame[1::2], frame[2::2], strict=True):
                if header & RECORDED:
                    _, ((_, ((_, calls),)),) = records.part_of(run[0], shard)
                    sent.append((records.id_of(run[0]), calls))
                elif not header & CONTROL:
                    sent.append((0, run))
        return sent


def mset(*keys: bytes) -> list[bytes]:
    return [b"MSET", *(word for key in keys for word in (key, b"1"))]


def test_what_stands_together_is_one_record() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send(mset(one.a, one.b), mset(one.b, one.c), [b"MGET", one.a, one.b])
        await one.bare.sent()
        mget = [b"MGET", one.a]
        assert one.parts(0) == [(1, [mset(one.a)]), (0, [mget])]
        assert one.parts(1)[0] == (1, [mset(one.b), mset(one.b)])
        assert one.parts(2) == [(1, [mset(one.c)])]
        await one.bare.settle()
        assert one.client.take() == b"+OK\r\n+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n1\r\n"

    on_a_loop(scene)


def test_what_comes_between_ends_a_record() -> None:
    """On a shard that has something else in between; those behind it are one again."""

    async def scene() -> None:
        one = Scene()
        one.client.send(
            mset(one.a, one.b), [b"SET", one.a, b"2"], mset(one.b, one.c), mset(one.a, one.b), mset(one.a, one.c)
        )
        await one.bare.sent()
        assert [id_ for id_, _ in one.parts(0)] == [1, 0, 2]
        assert [id_ for id_, _ in one.parts(1)] == [1, 2]
        assert [id_ for id_, _ in one.parts(2)] == [1, 2]
        await one.bare.settle()
        assert one.client.take() == b"+OK\r\n" * 5
        assert one.bare.shards[0].contents()[one.a] == b"1"

    on_a_loop(scene)


def test_another_db_is_another_record() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send(mset(one.a, one.b), [b"SELECT", b"1"], mset(one.a, one.b))
        await one.bare.sent()
        assert [id_ for id_, _ in one.parts(0)] == [1, 2]
        await one.bare.settle()
        assert one.client.take() == b"+OK\r\n" * 3

    on_a_loop(scene)


def test_the_record_has_the_parts_of_all() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send([b"MULTI"], [b"SET", one.a, b"1"], [b"GET", one.b], [b"INCR", one.c], [b"EXEC"])
        await one.bare.sent()
        whole = {}
        for shard in range(3):
            message = one.bare.shards[shard].frames[-1][-1][0]
            assert message[0] == "transact"
            whole[shard] = message[5] if len(message) > 5 else None
        assert whole[1] is None, "who only reads takes no part"
        assert whole[0] == whole[2]
        _, parts = records.parts_of(whole[0])
        assert {shard: items[0][1][0][1] for shard, items in parts.items()} == {
            0: [[b"SET", one.a, b"1"]],
            2: [[b"INCR", one.c]],
        }

    on_a_loop(scene)


def test_what_is_all_on_one_shard_needs_none() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send(mset(one.a), [b"DEL", one.a], [b"MULTI"], [b"SET", one.a, b"1"], [b"EXEC"])
        one.client.send([b"MULTI"], [b"SET", one.a, b"1"], [b"GET", one.b], [b"EXEC"], [b"EXISTS", one.a, one.b])
        await one.bare.settle()
        assert one.records.last == 0
        plain = Scene("--appendonly", "no")
        plain.client.send(mset(plain.a, plain.b), [b"RENAME", plain.a, plain.b])
        await plain.bare.settle()
        assert plain.records.last == 0

    on_a_loop(scene)


def test_a_call_that_borrows_is_logged_when_all_are_told() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send([b"SET", one.a, b"v"])
        await one.bare.settle()
        logged = [len(shard.held.bare.logged) for shard in one.ends]
        one.client.send([b"RENAME", one.a, one.b])
        await one.bare.settle()
        assert one.client.take() == b"+OK\r\n+OK\r\n"
        done: list[list[Any]] = []
        for shard, before in zip(one.ends, logged, strict=True):
            done.append([argv[0] for _, argv in shard.held.bare.logged[before:]])
        assert done == [[b"ECHO", b"DEL"], [b"ECHO", b"SET"], []]

    on_a_loop(scene)


def test_records_are_settled_when_all_is_synced() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send(mset(one.a, one.b))
        await one.bare.sent()
        one.records._settle()
        assert one.records._settling is None, "nothing is answered yet"
        await one.bare.settle()
        one.client.send(mset(one.a, one.c))
        await one.bare.sent()
        one.records._settle()
        await one.bare.settle()
        assert one.records.settled == 1
        one.records._settle()
        await one.bare.settle()
        assert one.records.settled == 2
        for shard in one.ends:
            assert not shard.held.book.records and shard.held.book.settled == 2

    on_a_loop(scene)


def test_one_whose_shard_died_waits_for_a_recovery() -> None:
    async def scene() -> None:
        one = Scene()
        one.client.send(mset(one.a, one.b))
        await one.bare.sent()
        one.bare.shards[1].die()
        await one.bare.settle()
        assert b"unknown" in one.client.take()
        assert one.records.doubtful == {1}
        one.records._settle()
        assert one.records._settling is None
        one.records.recovered(1, {1})
        assert not one.records.open and not one.records.doubtful

    on_a_loop(scene)
