"""Clients that are told of all keys: what comes together, in what order, and whom it is not told."""

from typing import Any, cast

from router.broadcast import SEVERAL, Broadcast, array_of


class Tracked:
    """All that Broadcast knows of a session."""

    def __init__(self, id_: int, *, noloop: bool = False) -> None:
        self.id = id_
        self.tracking = self
        self.noloop = noloop
        self.told: list[bytes] = []

    def take(self) -> list[bytes]:
        told, self.told = self.told, []
        return told


class Underway:
    """All that it knows of a batch."""

    def __init__(self, waiting: int = 1) -> None:
        self.waiting = waiting
        self.pushes: list[Any] = []

    def finish(self) -> None:
        self.waiting = 0
        for act in self.pushes:
            act()


class Turns:
    """A Broadcast, and the ends of its turns."""

    def __init__(self) -> None:
        self.acts: list[Any] = []
        self.broadcast = Broadcast(self.acts.append, lambda session, keys: cast(Any, session).told.append(keys))

    def add(self, id_: int, *prefixes: bytes, noloop: bool = False) -> Any:
        session = cast(Any, Tracked(id_, noloop=noloop))
        for prefix in prefixes:
            self.broadcast.add(session, prefix)
        return session

    def changed(self, key: bytes, client: int = SEVERAL, batch: Underway | None = None) -> None:
        self.broadcast.changed(key, client, cast(Any, batch))

    def end(self) -> None:
        acts, self.acts[:] = self.acts[:], []
        for act in acts:
            act()


def test_the_keys_of_a_turn_come_together_in_order() -> None:
    turns = Turns()
    all_, some = turns.add(1, b""), turns.add(2, b"a", b"c")
    for key in (b"b", b"ab", b"c", b"aa", b"ab"):
        turns.changed(key)
    assert len(turns.acts) == 1 and not all_.told
    turns.end()
    assert all_.take() == [array_of([b"aa", b"ab", b"b", b"c"])]
    assert some.take() == [array_of([b"aa", b"ab"]), array_of([b"c"])]
    turns.changed(b"b")
    turns.end()
    assert all_.take() == [array_of([b"b"])] and some.take() == []
    turns.end()
    assert all_.take() == []


def test_clients_come_and_go() -> None:
    turns = Turns()
    one, other = turns.add(1, b"a"), turns.add(2, b"a")
    turns.changed(b"a")
    turns.broadcast.remove(one, b"a")
    turns.end()
    assert one.take() == [] and other.take() == [array_of([b"a"])]
    turns.broadcast.remove(other, b"a")
    assert not turns.broadcast.prefixes


def test_a_batch_on_several_shards_is_told_when_all_of_it_is_done() -> None:
    turns = Turns()
    session = turns.add(1, b"")
    batch = Underway()
    turns.changed(b"b", 5, batch)
    turns.changed(b"x")
    turns.end()
    assert session.take() == [array_of([b"x"])]
    turns.changed(b"a", 5, batch)
    turns.end()
    assert session.take() == []
    batch.finish()
    turns.changed(b"c", 5, batch)  # Heard of behind the answer that was the last.
    turns.end()
    assert session.take() == [array_of([b"a", b"b", b"c"])]
    assert not turns.broadcast.unfinished


def test_who_does_not_want_to_hear_of_its_own_changes() -> None:
    turns = Turns()
    loner, other = turns.add(1, b"", noloop=True), turns.add(2, b"", noloop=True)
    turns.changed(b"a", 1)
    turns.changed(b"b", 2)
    turns.changed(b"c")
    turns.end()
    assert loner.take() == [array_of([b"b", b"c"])] and other.take() == [array_of([b"a", b"c"])]
    turns.changed(b"a", 1)
    turns.end()
    assert loner.take() == [] and other.take() == [array_of([b"a"])]
    turns.changed(b"a", 2)
    turns.changed(b"a", 1)  # The last one counts, as in Valkey.
    turns.end()
    assert loner.take() == [] and other.take() == [array_of([b"a"])]


def test_of_changes_in_two_batches_nobody_knows_which_was_the_last() -> None:
    turns = Turns()
    loner = turns.add(1, b"", noloop=True)
    batch = Underway()
    turns.changed(b"a", 1, batch)
    turns.changed(b"a", 2)
    batch.finish()
    turns.end()
    assert loner.take() == [array_of([b"a"])]
