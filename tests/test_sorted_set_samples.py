"""Random members of sorted sets: all are drawn, as often as each other, and never too many at once."""

from collections import Counter
from random import Random

import pytest

from common.errors import RedisError
from shard.commands import draws
from shard.commands.sorted_set_samples import zrandmember
from shard.commands.sorted_sets import zadd
from shard.keyspace import Keyspace, Store


def db_with(count: int) -> Keyspace:
    db = Store(random=Random(1)).dbs[0]
    for number in range(count):
        zadd(db, b"z", b"%d" % number, b"m%d" % number)
    return db


@pytest.mark.parametrize("count", [5, 1000])
def test_each_member_is_as_likely_as_the_others(count: int) -> None:
    db = db_with(count)
    for drawn in (
        [zrandmember(db, b"z") for _ in range(count * 20)],
        [member for _ in range(100) for member in zrandmember(db, b"z", b"%d" % (count // 5)) or []],
        zrandmember(db, b"z", b"-%d" % (count * 20)),
    ):
        assert isinstance(drawn, list)
        counts = Counter(drawn)
        assert len(counts) == count and 2 <= min(counts.values()) <= max(counts.values()) < 60


@pytest.mark.parametrize("count", [1, 10, 400, 999, 1000, 2000])
def test_members_differ_unless_the_count_is_negative(count: int) -> None:
    db = db_with(1000)
    drawn = zrandmember(db, b"z", b"%d" % count)
    assert isinstance(drawn, list) and len(drawn) == len(set(drawn)) == min(count, 1000)
    drawn = zrandmember(db, b"z", b"-%d" % count)
    assert isinstance(drawn, list) and len(drawn) == count


def test_how_many_may_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "DRAWS_MAX", 100)
    db = db_with(5)
    drawn = zrandmember(db, b"z", b"-100")
    assert isinstance(drawn, list) and len(drawn) == 100
    with pytest.raises(RedisError, match="value is out of range, value must between -100 and"):
        zrandmember(db, b"z", b"-101")
