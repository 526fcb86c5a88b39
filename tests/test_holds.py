"""Holds: who has its turn when, against a model that looks at all tickets."""

from random import Random

import pytest

from shard.blocked_keys import ManyKeys
from shard.holds import Holds, Ticket

KEYS = [b"a", b"b", b"c", b"d", b"e"]


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here very many keys are few: to go through a thousand buckets for them takes long."""
    monkeypatch.setattr("shard.blocked_keys.BUCKETS_COUNT", 4)


def many(keys: list[bytes]) -> ManyKeys:
    """As a hold of very many keys has them."""
    found = ManyKeys()
    found.update(keys)
    return found


def conflict(one: Ticket, other: Ticket) -> bool:
    return one.keys is None or other.keys is None or bool(set(one.keys) & set(other.keys))


def expected(line: list[Ticket]) -> list[Ticket]:
    """Those that have their turn: nobody before them in the way."""
    return [ticket for place, ticket in enumerate(line) if not any(conflict(ticket, one) for one in line[:place])]


@pytest.mark.parametrize("seed", range(20))
def test_turns_are_those_of_the_model(seed: int) -> None:
    random = Random(seed)
    holds = Holds()
    line: list[Ticket] = []
    for _ in range(400):
        before = expected(line)
        if not line or random.random() < 0.5:
            kind = random.random()
            some = random.choices(KEYS, k=random.randrange(4))
            ticket = Ticket(None if kind < 0.1 else many(some) if kind < 0.3 else some)
            assert holds.blocks(ticket.keys) == any(conflict(ticket, one) for one in line)
            line.append(ticket)
            assert holds.enter(ticket) == (ticket in expected(line))
        else:
            # Mostly one that has its turn; else one that gives up waiting.
            ticket = random.choice(before if random.random() < 0.8 else line)
            line.remove(ticket)
            assert set(holds.leave(ticket)) == set(expected(line)) - set(before)
        assert [one for one in line if one.granted] == expected(line)
        holds._check()
    for ticket in line:
        holds.leave(ticket)
        holds._check()
    assert not holds.queues and not holds.line and not holds.wholes and not holds.blocked


def test_a_long_queue_is_left_from_its_front() -> None:
    holds = Holds()
    tickets = [Ticket([b"k"]) for _ in range(50_000)]
    assert [holds.enter(ticket) for ticket in tickets].count(True) == 1
    for ticket, following in zip(tickets, tickets[1:], strict=False):
        assert holds.leave(ticket) == [following]


def test_who_is_in_the_way_of_what_belongs_to_a_turn() -> None:
    """Those that came after it are not; others that have their turn are, and all that wait for those."""
    holds = Holds()
    mine, other, behind = Ticket([b"a"]), Ticket([b"b"]), Ticket([b"a", b"c"])
    for ticket in (mine, other, behind):
        holds.enter(ticket)
    assert not holds.blocks_beside(mine, [b"a", b"d"])
    assert holds.blocks_beside(mine, [b"a", b"b"]) and holds.blocks_beside(mine, [b"c"])
    assert holds.blocks_beside(mine, None)
    whole = Ticket(None)
    holds.enter(whole)
    assert not holds.blocks_beside(mine, [b"a", b"d"])
    for ticket in (mine, other, behind):
        holds.leave(ticket)
    assert whole.granted and not holds.blocks_beside(whole, [b"a"]) and not holds.blocks_beside(whole, None)


def test_who_is_in_the_way_beside_one_of_very_many() -> None:
    holds = Holds()
    mine, all_, behind = Ticket([b"z"]), Ticket(many(KEYS)), Ticket([b"a"])
    for ticket in (mine, all_, behind):
        holds.enter(ticket)
    assert not holds.blocks_beside(all_, [b"a", b"b"]) and holds.blocks_beside(all_, [b"z"])
    assert holds.blocks_beside(mine, [b"a"]) and holds.blocks_beside(mine, [b"b"])
    assert not holds.blocks_beside(mine, [b"y", b"z"])


def test_one_of_very_many_has_queues_only_where_somebody_else_waits() -> None:
    holds = Holds()
    all_, second = Ticket(many(KEYS)), Ticket([b"b", b"z"])
    assert holds.enter(all_) and not holds.queues
    assert not holds.enter(second) and holds.queues.keys() == {b"b", b"z"}
    assert holds.leave(all_) == [second]
    assert all_.keys is not None and b"a" not in holds.blocked and b"b" in holds.blocked
