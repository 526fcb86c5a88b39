"""Who has to be told of a change, by the moments of reads and changes."""

from random import Random

from router.tracked_keys import UNKNOWN, Moment, TrackedKeys, moment_of


class One:
    """A run that is no transaction."""

    def order_of(self, part: int) -> int:
        return 0


class Two:
    """A transaction of two parts, the first of which is the fourth of its batch, the other the seventh."""

    def order_of(self, part: int) -> int:
        return (4, 7)[part]


def turn(keys: TrackedKeys, first: int, count: int) -> None:
    keys.turn(first, [One()] * count)


def test_a_read_is_told_of_once() -> None:
    keys = TrackedKeys()
    keys.enter(b"k", 7, moment_of(0, 0))
    keys.enter(b"k", 9, moment_of(1, 0))
    keys.enter(b"l", 7, moment_of(2, 0))
    assert (len(keys.clients), keys.items) == (2, 3)
    turn(keys, 3, 1)
    assert keys.changed(b"k", keys.moment(3, 0)) == [7, 9]
    assert keys.changed(b"k", keys.moment(3, 0)) == []
    assert (len(keys.clients), keys.items) == (1, 1)
    assert keys.changed(b"nothing", UNKNOWN) == []


def test_a_read_behind_the_change_stays() -> None:
    """Read, changed, read, changed, read, in one turn: told twice, and the last read is still to be told of."""
    keys = TrackedKeys()
    turn(keys, 10, 5)
    for number in (10, 12, 14):
        keys.enter(b"k", 7, moment_of(number, 0))
    assert keys.changed(b"k", keys.moment(11, 0)) == [7]
    assert keys.changed(b"k", keys.moment(13, 0)) == [7]
    turn(keys, 15, 1)
    assert keys.changed(b"k", keys.moment(15, 0)) == [7]
    assert keys.changed(b"k", keys.moment(15, 0)) == []
    turn(keys, 16, 2)
    keys.enter(b"k", 7, moment_of(17, 0))
    assert keys.changed(b"k", keys.moment(16, 0)) == []  # It had not read it yet.
    assert keys.items == 1


def test_what_a_read_changes_comes_before_it() -> None:
    """A key is found expired by the very command that reads it."""
    keys = TrackedKeys()
    turn(keys, 0, 1)
    keys.enter(b"k", 7, moment_of(0, 0))
    assert keys.changed(b"k", keys.moment(0, 0)) == []
    turn(keys, 1, 1)
    keys.enter(b"k", 7, moment_of(1, 0))
    assert keys.changed(b"k", keys.moment(1, 0)) == [7]
    assert keys.items == 1


def test_parts_of_a_transaction_have_their_order() -> None:
    keys = TrackedKeys()
    keys.turn(0, [Two()])
    keys.enter(b"k", 7, moment_of(0, 7))
    assert keys.changed(b"k", keys.moment(0, 0)) == []
    keys.enter(b"l", 7, moment_of(0, 4))
    assert keys.changed(b"l", keys.moment(0, 1)) == [7]


def test_what_is_in_doubt_is_told_and_stays() -> None:
    keys = TrackedKeys()
    turn(keys, 0, 2)
    keys.enter(b"k", 7, UNKNOWN)
    assert keys.changed(b"k", keys.moment(0, 0)) == [7]
    assert keys.changed(b"k", UNKNOWN) == [7]
    turn(keys, 2, 1)  # By now all that is heard of is later.
    assert keys.changed(b"k", keys.moment(2, 0)) == [7]
    assert not keys.items


def test_the_order_of_what_comes_late_is_not_known() -> None:
    keys = TrackedKeys()
    run = One()
    keys.turn(4, [One(), None])
    assert keys.moment(4, 0) == moment_of(4, 0)
    assert keys.moment(5, 0) is UNKNOWN and keys.ran(5) is None
    keys.late_turn({3: run, 5: run})
    assert keys.late and keys.moment(3, 0) is UNKNOWN and keys.moment(5, 0) is UNKNOWN
    assert keys.ran(3) is run and keys.ran(5) is run
    for number in (-1, 2, 6):
        assert keys.moment(number, 0) is UNKNOWN and keys.ran(number) is None
    keys.forget_turn()
    assert keys.ran(3) is None and keys.ran(4) is None


def test_a_loner_is_not_told_but_loses_no_later_read() -> None:
    keys = TrackedKeys()
    turn(keys, 0, 2)
    keys.enter(b"k", 7, moment_of(0, 0))
    keys.enter(b"k", 9, moment_of(0, 0))
    assert keys.changed(b"k", keys.moment(1, 0), loner=7) == [9]
    assert not keys.items
    turn(keys, 2, 2)
    keys.enter(b"k", 7, moment_of(3, 0))
    assert keys.changed(b"k", keys.moment(2, 0), loner=7) == []
    assert keys.items == 1
    assert keys.changed(b"k", UNKNOWN, loner=7) == []  # Nobody knows whether it has read it since.
    assert keys.items == 1
    turn(keys, 4, 1)
    assert keys.changed(b"k", UNKNOWN, loner=7) == [] and keys.items == 1
    assert keys.changed(b"k", keys.moment(4, 0), loner=7) == [] and keys.items == 0


def test_a_flush_leaves_what_was_read_behind_it() -> None:
    keys = TrackedKeys()
    keys.enter(b"old", 7, moment_of(0, 0))
    turn(keys, 1, 3)
    keys.enter(b"before", 7, moment_of(1, 0))
    keys.enter(b"old", 9, moment_of(3, 0))
    keys.enter(b"doubt", 7, UNKNOWN)
    keys.flushed(keys.moment(2, 0))
    assert set(keys.each()) == {(b"old", 9), (b"doubt", 7)}
    keys._check()
    keys.flushed(UNKNOWN)  # All of this turn may be later.
    assert set(keys.each()) == {(b"old", 9), (b"doubt", 7)}
    turn(keys, 4, 1)
    keys.flushed(UNKNOWN)
    assert not keys.items and not keys.clients


def test_the_oldest_goes_first() -> None:
    keys = TrackedKeys()
    for number, key in enumerate((b"a", b"b", b"a", b"c")):
        keys.enter(key, number + 1, UNKNOWN)
    assert keys.evict() == (b"a", [1, 3])
    assert keys.evict() == (b"b", [2])
    keys._check()
    assert keys.items == 1


def test_random_turns_against_a_plain_model() -> None:
    """Each turn is a random order of reads and changes; all is heard when it is over. The model hears each at once."""
    random = Random(5)
    keys = TrackedKeys()
    model: set[tuple[bytes, int]] = set()
    first = 0
    for _ in range(3000):
        count = random.randint(1, 6)
        turn(keys, first, count)
        acts = [
            (
                random.choice(b"rrwf" if random.random() < 0.1 else b"rrw"),
                b"%d" % random.randrange(3),
                random.randint(1, 3),
            )
            for _ in range(count)
        ]
        expected: list[tuple[bytes, int]] = []
        told: list[tuple[bytes, int]] = []
        for number, (kind, key, client) in enumerate(acts, first):
            if kind == ord("r"):
                model.add((key, client))
                keys.enter(key, client, moment_of(number, 0))
            elif kind == ord("w"):
                expected += sorted(pair for pair in model if pair[0] == key and pair[1] != client)
                model -= {pair for pair in model if pair[0] == key}
            else:
                model.clear()
        for number, (kind, key, client) in enumerate(acts, first):
            at: Moment = keys.moment(number, 0)
            if kind == ord("w"):
                told += [(key, one) for one in keys.changed(key, at, loner=client)]
            elif kind == ord("f"):
                keys.flushed(at)
        keys._check()
        assert told == expected
        assert set(keys.each()) == model
        first += count
