"""The book of records of a shard, and what it does when it is told what it lacks."""

from typing import Any, cast

import pytest

from common import record as records
from common.frame import AS_ONE, CONTROL, RECORDED, VALUES, packer
from common.record import COMMAND
from shard.redo import Book
from shard.server import Shard
from shard.transaction import run_as_one
from tests.held_shard import NOW_MS, HeldShard

RUNS = [["runs", [[VALUES, [[b"MSET", b"k", b"1"], [b"INCR", b"n"]]], [CONTROL | VALUES, [["info"]]]]]]


def record_of(id_: int, *items: list[Any]) -> bytes:
    return records.whole(id_, NOW_MS, {0: list(items), 1: []})


def ids(book: Book) -> dict[int, bool]:
    """By id, whether the whole is known."""
    return {id_: records.kind_of(record) == records.WHOLE for id_, record in book.records.items()}


def test_what_the_log_says_is_what_the_book_knew() -> None:
    book, other = Book(), Book()
    logged = [
        *book.enter(record_of(1), [(0, [b"SET", b"a", b"1"])]),
        *book.enter(record_of(2), []),
    ]
    book.settle(1)
    logged += book.enter(record_of(4), [(3, [b"SET", b"a", b"1"])])
    assert [argv[0] for _, argv in logged] == [COMMAND, b"SET", COMMAND, COMMAND, COMMAND, b"SET"]
    assert logged[3][0] == logged[4][0] == 3  # With its effects, so that no SELECT is needed for it.
    assert len(book.enter(record_of(4), [])) == 1, "it is said once"
    book.records[4] = record_of(4)
    for _, argv in logged:
        if argv[0] == COMMAND:
            other.read(argv)
    other.read([COMMAND, b"hello"])
    other.read([COMMAND])
    for one in (book, other):
        assert ids(one) == {2: False, 4: True}
        assert (one.settled, one.last) == (1, 4)
        assert one.participants() == {2: [], 4: [0, 1]}


def test_a_new_increment_carries_what_others_may_ask_for() -> None:
    book = Book()
    assert book.carried() == []
    book.enter(record_of(1), [(0, [b"SET", b"a", b"1"])])
    book.enter(record_of(2), [])
    book.settle(1)
    again = Book()
    for _, argv in book.carried():
        again.read(argv)
    assert (again.records, again.settled, again.last) == (book.records, book.settled, book.last)
    book.settle(2)
    book.last = 9  # What the router has said in between.
    again = Book()
    for _, argv in book.carried():
        again.read(argv)
    assert again.last == 9


def test_a_part_is_redone_once_at_its_time() -> None:
    shard = HeldShard()
    shard.send(0, [[b"SET", b"k", b"0"], [b"SET", b"n", b"4"]])
    logged = len(shard.bare.logged)
    for _ in range(2):
        shard.message("redo", record_of(5, *RUNS))
    assert [argv for _, argv in shard.bare.logged[logged:]] == [
        [COMMAND, record_of(5, *RUNS)],
        [b"MSET", b"k", b"1"],
        [b"INCR", b"n"],
    ]
    assert shard.store.dbs[0].peek(b"n") == b"5"
    late = [["runs", [[VALUES, [[b"SET", b"t", b"1", b"PX", b"1000"]]]]]]
    shard.message("redo", records.whole(6, NOW_MS - 400, {0: late}))
    assert shard.store.dbs[0].expiry_ms(b"t") == NOW_MS + 600


def test_what_was_done_under_holds_is_redone() -> None:
    shard = HeldShard()
    shard.send(0, [[b"SET", b"gone", b"0"], [b"RPUSH", b"l", b"a"]])
    effects = packer().pack([[0, [b"RPUSH", b"l", b"b"]], [2, [b"SET", b"x", b"1"]]])
    changes = [[0, b"gone", None, -1, True, True, []], [0, b"new", b"v", NOW_MS + 50, True, True, []]]
    record = record_of(1, ["held", effects, []], ["held", b"", changes])
    logged = len(shard.bare.logged)
    shard.message("redo", record)
    db = shard.store.dbs[0]
    assert (db.peek(b"gone"), db.peek(b"new"), db.expiry_ms(b"new")) == (None, b"v", NOW_MS + 50)
    assert list(db.peek(b"l")) == [b"a", b"b"] and shard.store.dbs[2].peek(b"x") == b"1"
    assert shard.bare.logged[logged:] == [
        (0, [COMMAND, record]),
        (0, [b"RPUSH", b"l", b"b"]),
        (2, [b"SET", b"x", b"1"]),
        (0, [b"DEL", b"gone"]),
        (0, [b"SET", b"new", b"v", b"PXAT", b"%d" % (NOW_MS + 50)]),
    ]


def test_a_shard_that_is_not_admitted_redoes() -> None:
    shard = HeldShard()
    shard.executor.state(loading=True, refusal=None)
    shard.message("redo", record_of(5, *RUNS))
    assert shard.store.dbs[0].peek(b"n") == b"1"
    assert shard.executor.loading
    shard.message("admit")
    assert not shard.executor.loading


@pytest.mark.parametrize("effects", [True, False])
def test_a_run_that_is_a_part_is_logged_with_its_record(effects: bool) -> None:
    """Also one that has to wait for a held key."""
    shard = HeldShard()
    shard.send(0, [[b"SET", b"k", b"0"]])
    header = VALUES | AS_ONE | RECORDED
    shard.hold(1, [b"k"])
    logged = len(shard.bare.logged)
    calls = [[b"DEL", b"k" if effects else b"missing"], [b"DEL", b"missing"]]
    record = record_of(3, ["runs", [[header, calls]]])
    requests: list[Any] = [record]
    shard.executor.number = shard.number
    answer: Any = run_as_one(cast(Shard, shard), header, requests)  # As far as it is one.
    if effects:
        assert answer is None
        shard.number += 1
        shard.message("release", 1, [])
        answer = shard.replies[shard.number - 2]
    assert answer == [int(effects), 0]
    assert requests == calls, "what is logged, refused or slow is one of them"
    done = [(0, [COMMAND, record if effects else records.done(3)]), *([(0, [b"DEL", b"k"])] if effects else [])]
    assert shard.bare.logged[logged:] == done


def test_what_a_shard_reports() -> None:
    shard = HeldShard()
    for id_ in (1, 2, 4):
        shard.book.enter(record_of(id_), [(0, [b"SET", b"a", b"1"])])
    shard.message("settle", 1)
    link = object()
    shard.room.origin = link
    shard.links = {link}
    number = shard.message("report")
    expected = {"last": 4, "settled": 1, "has": {2: [0, 1], 4: [0, 1]}}
    assert shard.replies[number] == [expected]
    assert shard.replies[shard.message("record", 2)] == [record_of(2)]
    shard.links.add(object())
    assert shard.replies[shard.message("report")] == [None]
