"""The wheel of expiry times against a plain dict."""

from random import Random

import pytest

from common.slot import slot_of
from shard.expiry import TICK_SHIFT, Expiries
from shard.slots import SLOT_KEYS_MAX, WideSlot
from tests.bare_shard import BareShard, ShardConnection

NOW_MS = 1_700_000_000_000


class Model:
    """An Expiries and what it should hold, with a clock."""

    def __init__(self, tick: int = 0) -> None:
        self.expiries = Expiries(slot_of, tick)
        self.times: dict[bytes, int] = {}
        self.now_ms = NOW_MS

    def set(self, key: bytes, at_ms: int) -> None:
        self.expiries.set(key, slot_of(key), at_ms)
        self.times[key] = at_ms

    def discard(self, key: bytes) -> None:
        assert self.expiries.discard(key, slot_of(key)) is (key in self.times)
        self.times.pop(key, None)

    def expire(self, steps_max: int = 1 << 62) -> bool:
        """Whether it came to the end; then nothing due may be left."""
        for step, key in enumerate(self.expiries.due(self.now_ms)):
            if key is not None:
                assert self.times.pop(key) < self.now_ms
            if step + 1 >= steps_max:
                return False
        assert all(at_ms >> TICK_SHIFT >= self.now_ms >> TICK_SHIFT for at_ms in self.times.values())
        return True

    def check(self) -> None:
        self.expiries._check()
        assert {key: keys[key] for keys in self.expiries.slots for key in keys} == self.times


SPREADS_MS = (1, 40, 2_000, 100_000, 10_000_000, 10**9, 10**11)


@pytest.mark.parametrize("seed", range(4))
def test_as_a_dict(seed: int) -> None:
    random = Random(seed)
    model = Model(tick=random.choice((0, NOW_MS >> TICK_SHIFT)))
    keys = [b"key:%d" % number for number in range(200)] + [b"{tag}%d" % number for number in range(50)]
    for step in range(2000):
        key = random.choice(keys)
        match random.randrange(6):
            case 0 | 1 | 2:
                model.set(key, model.now_ms + random.randrange(random.choice(SPREADS_MS)))
            case 3:
                model.discard(key)
            case 4:
                model.now_ms += random.randrange(random.choice(SPREADS_MS))
            case 5:
                model.expire(random.choice((1, 5, 1 << 62)))
        if step % 10 == 0:
            model.check()
    model.now_ms += 10**12
    assert model.expire() and not model.times and not model.expiries.count
    model.check()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_late_or_early_tick_by_tick(seed: int) -> None:
    random = Random(seed)
    model = Model(tick=NOW_MS >> TICK_SHIFT)
    for number in range(500):
        model.set(b"%d" % number, NOW_MS + random.randrange(300_000))
    while model.times:
        model.now_ms += 32
        assert model.expire()
    model.check()


def test_times_far_away() -> None:
    model = Model()
    for key, at_ms in ((b"last", 2**63 - 1), (b"first", 1), (b"before", -5), (b"now", NOW_MS), (b"soon", NOW_MS + 31)):
        model.set(key, at_ms)
        model.check()
    assert model.expire()
    assert set(model.times) == {b"last", b"now", b"soon"}
    model.now_ms += 64
    assert model.expire()
    assert set(model.times) == {b"last"}
    model.now_ms = 2**63 - 1
    assert model.expire()
    assert set(model.times) == {b"last"}  # Its tick is not over.
    model.check()


def test_a_time_that_has_passed_is_due_with_the_next_tick() -> None:
    model = Model()
    assert model.expire()
    model.set(b"past", NOW_MS - 100_000)
    model.now_ms += 32
    assert model.expire() and not model.times
    model.check()


def test_a_clock_that_goes_back() -> None:
    model = Model(tick=NOW_MS >> TICK_SHIFT)
    model.set(b"a", NOW_MS + 100)
    model.now_ms -= 10_000
    model.set(b"b", NOW_MS - 5_000)
    assert list(model.expiries.due(model.now_ms)) == []
    model.check()
    model.now_ms = NOW_MS + 1_000
    assert model.expire() and not model.times


def test_refreshing_costs_no_memory() -> None:
    expiries = Expiries(slot_of, NOW_MS >> TICK_SHIFT)
    for number in range(20_000):
        expiries.set(b"session:%d" % (number % 10), slot_of(b"session:%d" % (number % 10)), NOW_MS + 1000 * number)
    assert expiries.count == 10 and sum(map(len, expiries.containers()[1])) == 10
    expiries._check()


def test_times_that_spread_make_few_sets() -> None:
    random = Random(0)
    expiries = Expiries(slot_of, NOW_MS >> TICK_SHIFT)
    for number in range(50_000):
        key = b"key:%d" % number
        expiries.set(key, slot_of(key), NOW_MS + random.randrange(30 * 86_400_000))
    assert len(expiries.containers()[1]) < 64 * 64
    expiries._check()


def test_a_slot_at_the_limit_and_one_past_it() -> None:
    model = Model(tick=NOW_MS >> TICK_SHIFT)
    slot = slot_of(b"{tag}")
    for number in range(SLOT_KEYS_MAX):
        model.set(b"{tag}%d" % number, NOW_MS + number)
    assert type(model.expiries.slots[slot]) is dict
    model.set(b"{tag}0", NOW_MS)
    assert type(model.expiries.slots[slot]) is dict
    model.set(b"{tag}more", NOW_MS + 5)
    assert type(model.expiries.slots[slot]) is WideSlot
    model.check()
    model.now_ms += SLOT_KEYS_MAX // 2
    model.expire()
    model.check()


# --- The log ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "logged"),
    [
        ("EXPIRE k 100", [b"PEXPIREAT", b"k", b"1700000100000"]),
        ("EXPIRE k 100 NX", [b"PEXPIREAT", b"k", b"1700000100000"]),
        ("PEXPIRE k 100", [b"PEXPIREAT", b"k", b"1700000000100"]),
        ("EXPIREAT k 1800000000", [b"PEXPIREAT", b"k", b"1800000000000"]),
        ("PEXPIREAT k 1800000000000 LT", [b"PEXPIREAT", b"k", b"1800000000000"]),
        ("EXPIRE k 0", [b"UNLINK", b"k"]),
        ("PEXPIREAT k 1700000000000", [b"UNLINK", b"k"]),
        ("EXPIRE k 100 XX", None),
        ("EXPIRE nokey 100", None),
        ("PERSIST k", None),
        ("RENAME k k2", [b"RENAME", b"k", b"k2"]),
        ("RENAME k k", None),
        ("COPY k k2 DB 3", [b"COPY", b"k", b"k2", b"DB", b"3"]),
        ("UNLINK nokey k", [b"UNLINK", b"nokey", b"k"]),
        ("DEL nokey", None),
        ("FLUSHDB", [b"FLUSHDB"]),
    ],
)
def test_the_log_gets_effects(request_: str, logged: list[bytes] | None) -> None:
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    client.call("SET", "k", "v")
    shard.logged.clear()
    client.call(*request_.split())
    assert shard.logged == ([(0, logged)] if logged else [])


def test_a_key_found_expired_is_logged_before_the_command_that_found_it() -> None:
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    client.call("SET", "k", "v", "PX", 10)
    shard.logged.clear()
    shard.executor.turn(NOW_MS + 10)
    client.call("RENAME", "k", "k2")
    assert shard.logged == [(0, [b"DEL", b"k"])]
    client.call("SET", "k", "v", "PX", 10)
    shard.executor.turn(NOW_MS + 20)
    client.call("DEL", "k")
    assert shard.logged[-1] == (0, [b"DEL", b"k"]) and shard.replayed().executor.store.dbs[0].size == 0
