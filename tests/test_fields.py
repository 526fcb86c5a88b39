"""Fields that expire: what removes them, what is logged and counted, and what is seen meanwhile."""

from random import Random

import pytest

from shard import fields
from shard.fields import THINNED_MAX
from shard.invariants import check
from shard.keyspace import Keyspace
from shard.values.hash import Hash
from shard.walk import info
from tests.bare_shard import BareShard, ShardConnection

NOW_MS = 1_700_000_000_000


class Bench:
    """A bare shard with a clock."""

    def __init__(self) -> None:
        self.shard = BareShard(NOW_MS)
        self.client = ShardConnection(self.shard)
        self.store = self.shard.executor.store
        self.seen = 0
        """How much of the log has been looked at."""

    @property
    def db(self) -> Keyspace:
        return self.store.dbs[0]

    def call(self, line: str) -> object:
        return self.client.call(*line.split())

    def wait(self, ms: int) -> None:
        self.shard.executor.turn(self.store.now_ms + ms)

    def logged(self) -> list[bytes]:
        """What was logged since the last call."""
        found = [b" ".join(argv) for _, argv in self.shard.logged[self.seen :]]
        self.seen = len(self.shard.logged)
        return found

    def expire(self, until_ms: int) -> int:
        """As the cycle of a server does; how many steps."""
        steps = sum(1 for _ in self.db.expire_due(until_ms))
        self.store.changes = 0
        self.shard.executor.log_expired()
        return steps


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("HEXPIRE h 100 FIELDS 2 a no", [b"HPEXPIREAT h 1700000100000 FIELDS 1 a"]),
        ("HPEXPIRE h 100 NX FIELDS 1 a", [b"HPEXPIREAT h 1700000000100 FIELDS 1 a"]),
        ("HEXPIREAT h 1800000000 FIELDS 2 a t", [b"HPEXPIREAT h 1800000000000 FIELDS 2 a t"]),
        ("HPEXPIREAT h 1800000000000 XX FIELDS 2 a t", [b"HPEXPIREAT h 1800000000000 FIELDS 1 t"]),
        ("HEXPIRE h 0 FIELDS 2 a no", [b"HDEL h a"]),
        ("HEXPIRE h 100 XX FIELDS 1 a", []),
        ("HEXPIRE h 100 FIELDS 1 no", []),
        ("HEXPIRE no 100 FIELDS 1 a", []),
        ("HPERSIST h FIELDS 2 a t", [b"HPERSIST h FIELDS 2 a t"]),
        ("HPERSIST h FIELDS 1 a", []),
        ("HSETEX h EX 100 FIELDS 1 a 1", [b"HSETEX h PXAT 1700000100000 FIELDS 1 a 1"]),
        ("HSETEX h FNX FIELDS 1 n 1", [b"HSETEX h FIELDS 1 n 1"]),
        ("HSETEX h XX KEEPTTL FIELDS 1 t 1", [b"HSETEX h KEEPTTL FIELDS 1 t 1"]),
        ("HSETEX h PX 0 FIELDS 2 a 1 n 1", [b"HDEL h a"]),
        ("HSETEX h PX 0 FIELDS 1 n 1", []),
        ("HSETEX h FNX FIELDS 1 a 1", []),
        ("HSETEX FIELDS 1 a 1", None),
        ("HSETEX fields 2 a 1 b 2", [b"HSETEX fields 2 a 1 b 2"]),
        ("HGETEX h EX 100 FIELDS 2 a n", [b"HPEXPIREAT h 1700000100000 FIELDS 1 a"]),
        ("HGETEX h PERSIST FIELDS 2 a t", [b"HPERSIST h FIELDS 1 t"]),
        ("HGETEX h EXAT 1 FIELDS 2 a n", [b"HDEL h a"]),
        ("HGETEX h FIELDS 1 a", []),
        ("HGETDEL h FIELDS 2 a n", [b"HGETDEL h FIELDS 2 a n"]),
        ("HGETDEL h FIELDS 1 n", []),
        ("HINCRBYFLOAT h a 0.5", [b"HSET h a 5.5"]),
        ("HINCRBYFLOAT h t 0.5", [b"HSET h t 7.5", b"HPEXPIREAT h 1700001000000 FIELDS 1 t"]),
        ("HINCRBY h t 1", [b"HINCRBY h t 1"]),
        ("HSETNX h a 1", []),
        ("HDEL h n", []),
    ],
)
def test_the_log_gets_effects(bench: Bench, line: str, logged: list[bytes] | None) -> None:
    bench.call("HSET h a 5 b 6")
    bench.call("HSETEX h EX 1000 FIELDS 1 t 7")
    bench.logged()
    if logged is None:
        with pytest.raises(Exception, match="wrong number"):
            raise Exception(bench.call(line))
    else:
        bench.call(line)
        assert bench.logged() == logged
    check(bench.db)


def test_a_field_found_expired_is_logged_before_the_command_that_found_it(bench: Bench) -> None:
    bench.call("HSET h stays 1")
    bench.call("HSETEX h PX 10 FIELDS 2 a 1 b 2")
    bench.logged()
    bench.wait(9)
    assert bench.call("HLEN h") == 3 and bench.logged() == []
    bench.wait(1)
    assert bench.call("HINCRBY h a 5") == 5
    assert bench.logged() == [b"HDEL h a b", b"HINCRBY h a 5"]
    assert (bench.store.stats.expired_fields, bench.store.stats.expired_keys) == (2, 0)
    assert info(bench.db)["keys_with_volatile_items"] == 0
    check(bench.db)


def test_the_key_goes_with_its_last_field(bench: Bench) -> None:
    bench.call("HSETEX h PX 10 FIELDS 2 a 1 b 2")
    bench.call("EXPIRE h 1000")
    bench.logged()
    assert info(bench.db)["keys_with_volatile_items"] == 1
    bench.wait(10)
    assert bench.call("EXISTS h") == 0 and bench.logged() == [b"HDEL h a b"]
    assert (bench.db.size, bench.store.stats.expired_fields, bench.store.stats.expired_keys) == (0, 2, 0)
    assert bench.store.changes == 0
    check(bench.db)


def test_nothing_expires_in_a_replay(bench: Bench) -> None:
    bench.call("HSETEX h PX 10 FIELDS 2 a 1 b 2")
    bench.call("HSET h c 3")
    bench.wait(1000)
    replayed = bench.shard.replayed()
    db = replayed.executor.store.dbs[0]
    check(db)
    assert len(db.slots[db.slot_of(b"h")][b"h"]) == 3
    assert ShardConnection(replayed).call("HGETALL", "h") == [b"c", b"3"]


@pytest.mark.parametrize("line", ["DEL h", "SET h v", "RENAME h h2", "MOVE h 1", "FLUSHDB", "SWAPDB 0 1", "COPY h h2"])
def test_the_index_follows_its_keys(bench: Bench, line: str) -> None:
    bench.call("HSETEX h PX 10 FIELDS 1 a 1")
    bench.call("HSET h b 2")
    bench.call(line)
    for db in bench.store.dbs:
        check(db)
    bench.wait(10)
    for db in bench.store.dbs[:2]:
        for key in (b"h", b"h2"):
            value = db.peek(key)
            assert not isinstance(value, Hash) or value.keys() == [b"b"]
        check(db)


# --- More than are removed at once -----------------------------------------------------------------------------------


@pytest.fixture
def full(bench: Bench) -> Bench:
    """Three rounds' worth of fields that are due, and two that are not."""
    words = " ".join(f"f{number} {number}" for number in range(3 * THINNED_MAX))
    bench.call(f"HSETEX h PX 10 FIELDS {3 * THINNED_MAX} {words}")
    bench.call("HSETEX h PX 1000 FIELDS 1 later 1")
    bench.call("HSET h stays 1")
    bench.logged()
    bench.wait(10)
    return bench


def last(bench: Bench) -> str:
    """A field that is removed only in the last round."""
    value = bench.db.slots[bench.db.slot_of(b"h")][b"h"]
    return str(value.due(NOW_MS + 10, 10**6)[-1].decode())


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("HGET h {}", None),
        ("HMGET h {} stays", [None, b"1"]),
        ("HEXISTS h {}", 0),
        ("HSTRLEN h {}", 0),
        ("HGETALL h", [b"later", b"1", b"stays", b"1"]),
        ("HKEYS h", [b"later", b"stays"]),
        ("HVALS h", [b"1", b"1"]),
        ("HSCAN h 0 COUNT 10000 NOVALUES", [b"0", [b"later", b"stays"]]),
        ("HRANDFIELD h 1000", [b"later", b"stays"]),
        ("HTTL h FIELDS 1 {}", [-2]),
        ("HLEN h", 2 * THINNED_MAX + 2),
        ("HDEL h {}", 0),
        ("HSET h {} 1", 1),
        ("HSETNX h {} 1", 1),
        ("HINCRBY h {} 1", 1),
        ("HINCRBYFLOAT h {} 1", b"1"),
        ("HEXPIRE h 10 FIELDS 1 {}", [-2]),
        ("HPERSIST h FIELDS 1 {}", [-2]),
        ("HGETEX h PERSIST FIELDS 1 {}", [None]),
        ("HGETDEL h FIELDS 1 {}", [None]),
        ("HSETEX h FNX FIELDS 1 {} 1", 1),
        ("HSETEX h FXX FIELDS 1 {} 1", 0),
    ],
)
def test_no_command_sees_one_that_is_due(full: Bench, line: str, reply: object) -> None:
    assert flat(full.call(line.format(last(full)))) == flat(reply)
    check(full.db)
    replayed = ShardConnection(full.shard.replayed())
    assert flat(replayed.call("HGETALL", "h")) == flat(full.call("HGETALL h"))
    assert replayed.call("HPTTL", "h", "FIELDS", 1, "later") == full.call("HPTTL h FIELDS 1 later")


def flat(reply: object) -> list[str]:
    """All that is in a reply, in any order."""
    if not isinstance(reply, list):
        return [repr(reply)]
    return sorted(word for item in reply for word in flat(item))


def test_one_by_chance_is_none_that_is_due(full: Bench) -> None:
    for _ in range(20):
        assert full.call("HRANDFIELD h") in (b"later", b"stays")


def test_what_nobody_reads_goes_too(full: Bench) -> None:
    assert full.expire(NOW_MS + 9) == 0 or full.call("HLEN h") is not None
    full.wait(100)
    full.expire(NOW_MS + 110)
    assert info(full.db)["keys_with_volatile_items"] == 1
    assert len(full.db.slots[full.db.slot_of(b"h")][b"h"]) == 2
    check(full.db)
    full.wait(2000)
    full.expire(full.store.now_ms)
    assert full.call("HGETALL h") == [b"stays", b"1"] and full.store.stats.expired_fields == 3 * THINNED_MAX + 1
    check(full.db)


def test_a_round_that_is_left_goes_on(full: Bench) -> None:
    full.wait(100)
    for _ in range(100):
        step = next(iter(fields.expire_due(full.db, full.store.now_ms)), 1)
        check(full.db)
        full.store.expired.clear()
        full.store.changes = 0
        if step is not None:
            full.wait(32)
    assert len(full.db.slots[full.db.slot_of(b"h")][b"h"]) <= 2


def test_blocked_keys_are_left_alone(full: Bench) -> None:
    full.store.blocked = (b"h",)
    full.wait(100)
    full.expire(full.store.now_ms)
    assert len(full.db.slots[full.db.slot_of(b"h")][b"h"]) == 3 * THINNED_MAX + 2
    full.store.blocked = ()
    full.wait(100)
    full.expire(full.store.now_ms)
    assert len(full.db.slots[full.db.slot_of(b"h")][b"h"]) == 2
    check(full.db)


# --- At random -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_as_a_model(bench: Bench, seed: int) -> None:
    """Commands, a clock and the cycle against plain dicts; the log replays to the same."""
    random = Random(seed)
    model: dict[str, dict[str, int]] = {"h": {}, "i": {}}
    for step in range(1500):
        now_ms = bench.store.now_ms
        key, field = random.choice("hi"), f"f{random.randrange(30)}"
        live = {name: at_ms for name, at_ms in model[key].items() if at_ms > now_ms}
        at_ms = now_ms + random.randrange(1, 300)
        match random.randrange(9):
            case 0 | 1:
                assert bench.call(f"HSET {key} {field} v") == (field not in live)
                model[key] = live | {field: 1 << 62}
            case 2 | 3:
                assert bench.call(f"HSETEX {key} PXAT {at_ms} FIELDS 1 {field} v") == 1
                model[key] = live | {field: at_ms}
            case 4:
                found = bench.call(f"HPEXPIREAT {key} {at_ms} FIELDS 1 {field}")
                assert found == [1 if field in live else -2]
                if field in live:
                    model[key][field] = at_ms
            case 5:
                assert bench.call(f"HDEL {key} {field}") == (field in live)
                model[key].pop(field, None)
            case 6:
                bench.wait(random.randrange(100))
            case 7:
                bench.expire(now_ms)
            case 8:
                keys = bench.call(f"HKEYS {key}")
                assert isinstance(keys, list) and {name.decode() for name in keys} == set(live)
        if step % 50 == 0:
            check(bench.db)
    replayed = ShardConnection(bench.shard.replayed())
    for key in model:
        assert sorted(replayed.call("HKEYS", key)) == sorted(bench.client.call("HKEYS", key))
