"""Consumer groups: what is pending is pending for one consumer, whatever happens."""

from random import Random

import pytest

from shard.values.stream_groups import NEVER_MS, UNKNOWN, Consumer, Group, of_wire

NAMES = [b"one", b"two", b"three", b""]


@pytest.mark.parametrize("seed", range(4))
def test_against_dicts(seed: int) -> None:
    random = Random(seed)
    group = Group(5, UNKNOWN)
    oracle: dict[int, tuple[bytes, int, int]] = {}
    for step in range(2000):
        id_ = random.randrange(400)
        name = random.choice(NAMES)
        act = random.random()
        if act < 0.6:
            group.consumers.setdefault(name, Consumer(step))
            group.assign(id_, name, step, step % 7)
            oracle[id_] = (name, step, step % 7)
        elif act < 0.95:
            assert group.forget(id_) == (oracle.pop(id_, None) is not None)
        elif act < 0.97:
            removed = group.remove_consumer(name)
            mine = [id_ for id_, (owner, _, _) in oracle.items() if owner == name]
            assert (0 if removed is None else len(removed)) == len(mine)
            for id_ in mine:
                del oracle[id_]
        if step % 50 == 0:
            group._check()
            found = {id_: (one.consumer, one.delivered_ms, one.count) for id_, one in group.pending.items()}
            assert found == oracle
    assert [name for name, _ in group.by_name()] == sorted(group.consumers)


def test_what_travels_is_all_there_is() -> None:
    group = Group(1 << 100, 7)
    group.consumers = {b"a": Consumer(10), b"b": Consumer(20)}
    group.assign(1 << 64, b"a", 30, 2)
    group.consumers[b"a"].active_ms = 30
    again = of_wire(group.to_wire())
    again._check()
    assert again.to_wire() == group.to_wire()
    assert (again.last_id, again.entries_read) == (1 << 100, 7)
    assert again.consumers[b"b"].active_ms == NEVER_MS
    again.forget(1 << 64)
    assert len(group.pending) == 1
