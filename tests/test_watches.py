"""Who watches what, and what touches it."""

from random import Random

from shard.keyspace import Store
from shard.watches import Watches

NOW_MS = 1_700_000_000_000
LINK = object()


def store_at(now_ms: int = NOW_MS) -> Store:
    store = Store()
    store.now_ms = now_ms
    return store


def test_a_change_touches_all_who_watch_the_key_in_that_db() -> None:
    store = store_at()
    watches = store.watches
    watches.add((LINK, 1), 0, [b"a", b"b"])
    watches.add((LINK, 2), 0, [b"a"])
    watches.add((LINK, 3), 1, [b"a"])
    store.dbs[0].set(b"a", b"1")
    assert [watches.touched((LINK, number)) for number in (1, 2, 3)] == [True, True, False]
    watches._check()


def test_the_router_is_told_once() -> None:
    store = store_at()
    store.watches.add((LINK, 7), 0, [b"a", b"b"])
    store.dbs[0].set(b"a", b"1")
    store.dbs[0].set(b"b", b"1")
    store.dbs[0].delete(b"a")
    assert store.events == [["touched", 7]]


def test_nobody_is_touched_by_what_changes_nothing() -> None:
    store = store_at()
    store.watches.add((LINK, 1), 0, [b"a"])
    store.dbs[0].delete(b"a")
    store.dbs[0].clear(later=False)
    store.swap(0, 1)
    store.swap(0, 0)
    assert not store.watches.touched((LINK, 1))


def test_a_key_whose_time_comes_counts_as_changed() -> None:
    store = store_at()
    store.dbs[0].set(b"a", b"1", expire_at_ms=NOW_MS + 10)
    store.watches.add((LINK, 1), 0, [b"a"])
    store.now_ms = NOW_MS + 9
    assert not store.watches.touched((LINK, 1))
    store.now_ms = NOW_MS + 10
    assert store.watches.touched((LINK, 1))


def test_one_that_was_gone_already_does_not() -> None:
    store = store_at()
    store.dbs[0].set(b"a", b"1", expire_at_ms=NOW_MS + 10)
    store.now_ms = NOW_MS + 10
    store.watches.add((LINK, 1), 0, [b"a"])
    assert not store.watches.touched((LINK, 1))


def test_an_unknown_watch_counts_as_touched() -> None:
    assert store_at().watches.touched((LINK, 1))


def test_what_is_over_is_heard_no_more() -> None:
    store = store_at()
    watches = store.watches
    watches.add((LINK, 1), 0, [b"a", b"b"])
    watches.add((LINK, 1), 0, [b"a", b"c"])
    assert store.dbs[0].heard
    watches.end((LINK, 1))
    watches.end((LINK, 1))
    assert not store.dbs[0].heard and not store.dbs[0].watched
    watches.add((LINK, 2), 0, [b"a"])
    watches.add((object(), 2), 1, [b"a"])
    watches.forget(LINK)
    assert len(watches.named) == 1 and not store.dbs[0].heard and store.dbs[1].heard
    watches._check()


def test_random_steps() -> None:
    random = Random(11)
    store = store_at()
    watches = store.watches
    assert isinstance(watches, Watches)
    touched: dict[int, bool] = {}
    places: dict[int, set[tuple[int, bytes]]] = {}
    for _ in range(3000):
        number, db, key = random.randrange(4), random.randrange(2), b"%d" % random.randrange(5)
        match random.randrange(5):
            case 0:
                watches.add((LINK, number), db, [key])
                places.setdefault(number, set()).add((db, key))
                touched.setdefault(number, False)
            case 1:
                watches.end((LINK, number))
                places.pop(number, None)
                touched.pop(number, None)
            case 2:
                store.dbs[db].set(key, b"v")
                touched |= {one: True for one, watched in places.items() if (db, key) in watched}
            case 3:
                if store.dbs[db].delete(key):
                    touched |= {one: True for one, watched in places.items() if (db, key) in watched}
            case 4:
                assert watches.touched((LINK, number)) == touched.get(number, True)
        watches._check()
