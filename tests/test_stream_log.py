"""A stream as commands: running them makes the same stream, also where what is pending was deleted long ago."""

from random import Random
from typing import Any

import pytest

from shard.values.stream import ID_MAX, Stream
from shard.values.stream_groups import COUNT_MAX
from shard.values.stream_log import CHUNK
from tests.bare_shard import BareShard

KEY = b"s"
NOW_MS = 1_700_000_000_000


def made_of(commands: list[list[bytes]]) -> Stream:
    shard = BareShard(NOW_MS)
    shard.executor.store.expiring = False
    for argv in commands:
        shard.executor.replay(0, argv)
    found = shard.executor.store.dbs[0].peek(KEY)
    assert type(found) is Stream
    return found


def told(stream: Stream) -> list[Any]:
    """All but the nodes, and when consumers were seen: those are not in a log."""
    wire = stream.to_wire()[1:]
    wire[-1] = [[name, [*group[:2], [[one[0], one[3]] for one in group[2]]]] for name, group in wire[-1]]
    return [list(stream.items()), *wire]


@pytest.mark.parametrize("seed", range(12))
def test_the_commands_make_the_same(seed: int) -> None:
    random = Random(seed)
    shard = BareShard(NOW_MS)

    def call(*words: str) -> None:
        shard.executor.run(0, [[word.encode() for word in words]])

    for step in range(random.choice((3, 60, 400))):
        act = random.random()
        group, consumer = random.choice("gh"), random.choice("ab")
        if act < 0.4:
            call("XADD", "s", f"{step}-{random.randrange(1, 5)}", "f", str(step))
        elif act < 0.5:
            call("XGROUP", "CREATE", "s", group, "0", "MKSTREAM", "ENTRIESREAD", str(random.randrange(-1, 3)))
        elif act < 0.7:
            call("XREADGROUP", "GROUP", group, consumer, "COUNT", "3", "STREAMS", "s", random.choice(">>0"))
        elif act < 0.8:
            call("XDEL", "s", *[f"{random.randrange(step + 1)}-{random.randrange(1, 5)}" for _ in range(4)])
        elif act < 0.85:
            call("XTRIM", "s", "MAXLEN", str(random.choice((0, 3, 20))))
        elif act < 0.9:
            call("XSETID", "s", f"{random.choice((5, step))}-9", "ENTRIESADDED", str(step))
        elif act < 0.95:
            call("XCLAIM", "s", group, consumer, "0", f"{step // 2}-1", "FORCE", "IDLE", str(step))
        else:
            call("XGROUP", "CREATECONSUMER", "s", group, random.choice("xyz"))
        shard.executor.turn(NOW_MS + step)
    stream = shard.executor.store.dbs[0].peek(KEY)
    if stream is None:
        return
    stream._check()
    again = made_of(list(stream.commands(KEY)))
    again._check()
    assert told(again) == told(stream)
    assert told(made_of([argv for _, argv in shard.logged])) == told(stream)


def test_claims_come_in_chunks() -> None:
    shard = BareShard(NOW_MS)
    for number in range(1, 2 * CHUNK + 2):
        shard.executor.run(0, [[b"XADD", KEY, b"%d" % number, b"f", b"v"]])
    shard.executor.run(0, [[b"XGROUP", b"CREATE", KEY, b"g", b"0"]])
    shard.executor.run(0, [[b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", KEY, b">"]])
    stream: Any = shard.executor.store.dbs[0].peek(KEY)
    claims = [argv for argv in stream.commands(KEY) if argv[0] == b"XCLAIM"]
    assert [argv.index(b"TIME") - 5 for argv in claims] == [CHUNK, CHUNK, 1]
    assert [argv for _, argv in shard.logged if argv[0] == b"XCLAIM"] == claims


def test_pending_entries_that_are_gone_and_greater_than_what_is_there() -> None:
    shard = BareShard(NOW_MS)
    for line in (
        "XADD s 9-1 f v",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c STREAMS s >",
        "XTRIM s MAXLEN 0",
        "XSETID s 1-0",
        "XADD s 2-0 f v",
        "XREADGROUP GROUP g c STREAMS s 0",
    ):
        shard.executor.run(0, [line.encode().split()])
    stream: Any = shard.executor.store.dbs[0].peek(KEY)
    assert [id_ for id_, _ in stream.groups[b"g"].pending.items()] == [9 << 64 | 1]
    again = made_of(list(stream.commands(KEY)))
    assert told(again) == told(stream)
    assert again.entries(0, ID_MAX) == [(2 << 64, [b"f", b"v"])]


def test_no_count_becomes_too_large_to_be_told() -> None:
    shard = BareShard(NOW_MS)
    top = str(2**63 - 1)
    for line in (
        "XADD s 1-1 f v", "XADD s 2-1 f v", "XADD s 3-1 f v", f"XSETID s 3-1 ENTRIESADDED {top}", "XADD s 4-1 f v",
        f"XGROUP CREATE s g 1-1 ENTRIESREAD {top}", "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
        f"XCLAIM s g c 0 2-1 RETRYCOUNT {top}", "XREADGROUP GROUP g c STREAMS s 0", "XCLAIM s g c 0 2-1",
    ):  # fmt: skip
        assert not shard.executor.run(0, [line.encode().split()])[0].startswith(b"-")  # type: ignore[index]
    stream = shard.executor.store.dbs[0].peek(KEY)
    assert stream.added == stream.groups[b"g"].entries_read == COUNT_MAX
    assert told(shard.replayed().executor.store.dbs[0].peek(KEY)) == told(stream)
    assert told(made_of(list(stream.commands(KEY)))) == told(stream)
