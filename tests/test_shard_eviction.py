"""Whom each policy evicts, and how near to the best of all that is."""

from random import Random

import pytest

from common.slot import SLOTS
from shard import frequency
from shard.eviction import LOWEST, POOL_MAX, Evictor
from shard.invariants import check
from shard.keyspace import Store

NOW_S = 1_700_000_000
CONFIG = {"lfu-decay-time": 1, "lfu-log-factor": 10}
"""As it is at first: each store has its own."""


class Data:
    """A store at a time that a test says, and what evicts from it."""

    def __init__(self, policy: str, samples: int = 5, slots_owned: range = range(SLOTS)) -> None:
        self.store = Store(random=Random(1), config=dict(CONFIG), slots_owned=slots_owned)
        self.store.counts_uses = "lfu" in policy
        self.at(0)
        self.evictor = Evictor(self.store)
        self.evictor.configure(policy, samples)

    def at(self, seconds: int) -> None:
        self.store.clock_s = NOW_S + seconds
        self.store.now_ms = self.store.clock_s * 1000

    def fill(self, count: int, db: int = 0, prefix: bytes = b"", spread: bool = False) -> list[bytes]:
        """Sets keys, each a second after the one before if they are to be `spread`."""
        keys = [b"%bkey:%d" % (prefix, number) for number in range(count)]
        for number, key in enumerate(keys):
            if spread:
                self.at(number)
            self.store.dbs[db].set(key, b"v%d" % number)
        return keys

    def evict(self, count: int) -> list[tuple[int, bytes]]:
        """The db and key of each that went."""
        for _ in range(count):
            assert self.evictor.evict() > 0
        gone = [(db, key) for db, key in self.store.expired if isinstance(key, bytes)]
        self.store.expired.clear()
        assert len(gone) == count
        for db, key in gone:
            assert self.store.dbs[db].peek(key) is None
        return gone

    def check(self) -> None:
        for keyspace in self.store.dbs:
            if keyspace.size or keyspace.expiries.count:
                check(keyspace)


def numbers(gone: list[tuple[int, bytes]]) -> list[int]:
    return [int(key.rpartition(b":")[2]) for _, key in gone]


def redis_evicts(count: int, keys: int, samples: int) -> list[int]:
    """Whom Redis's own evict.c would choose, one by one, of so many keys of which the first is the oldest."""
    random = Random(1)
    there = list(range(keys))
    pool: list[int] = []
    gone = []
    for _ in range(count):
        pool = sorted({*pool, *random.choices(there, k=samples)}, reverse=True)[-POOL_MAX:]
        victim = pool.pop()
        there.remove(victim)
        gone.append(victim)
    return gone


@pytest.mark.parametrize("samples", [1, 5, 10])
def test_the_oldest_go(samples: int) -> None:
    data = Data("allkeys-lru", samples)
    data.fill(4000, spread=True)
    ages = numbers(data.evict(800))
    expected = redis_evicts(800, 4000, samples)
    # Some are taken for younger than they are, because they share a clock with a younger one: see idle.py.
    assert sum(ages) < 1.7 * sum(expected)
    data.check()


def test_more_samples_choose_better() -> None:
    means = []
    for samples in (1, 5, 20):
        data = Data("allkeys-lru", samples)
        data.fill(4000, spread=True)
        means.append(sum(numbers(data.evict(400))) / 400)
    assert means[0] > 2 * means[1] > 3 * means[2]


def test_who_was_used_since_it_was_a_candidate_stays() -> None:
    data = Data("allkeys-lru")
    data.fill(20, spread=True)
    data.at(100)
    data.evictor.draw()
    candidates = {key for _, _, key in data.evictor.pool}
    for key in candidates:
        data.store.dbs[0].get(key)
    rest = 20 - len(candidates)
    assert rest and not candidates & {key for _, key in data.evict(rest)}


def test_the_least_used_go() -> None:
    data = Data("allkeys-lfu")
    keys = data.fill(4000)
    for number, key in enumerate(keys):
        frequency.set_uses(data.store.dbs[0], key, number // 20)
    gone = numbers(data.evict(800))
    assert sum(gone) < 1.7 * sum(redis_evicts(800, 4000, 5))


@pytest.mark.parametrize("decay_minutes", [0, 1, 7])
def test_the_score_is_what_object_freq_says(decay_minutes: int) -> None:
    data = Data("allkeys-lfu")
    data.store.config["lfu-decay-time"] = decay_minutes
    db, random = data.store.dbs[0], Random(2)
    keys = data.fill(50)
    for key in keys:
        data.at(random.randrange(100_000_000))
        frequency.set_uses(db, key, random.randrange(256))
    data.evictor.draw()
    for second in (0, 30, 600, 10_000, 100_000_000):
        data.at(second)
        assert [data.evictor.score(db, key) for key in keys] == [255 - frequency.uses(db, key) for key in keys]


def test_some_are_no_more_than_are_wanted() -> None:
    data = Data("allkeys-lru")
    data.fill(100)
    size_bytes = data.evictor.evict()
    assert data.evictor.evict_some(size_bytes + 1) >= size_bytes + 1
    assert data.store.dbs[0].size == 97
    data.evictor.evict_some(10**9)
    assert 80 < data.store.dbs[0].size < 97
    data.store.dbs[0].clear(later=False)
    data.store.dbs[0].set(b"list", [1])
    data.fill(1)
    data.at(10)
    data.store.dbs[0].get(b"key:0")
    assert data.evictor.evict_some(10**9) > 0 and data.store.dbs[0].size == 1, "a large one is freed first"
    data.store.garbage.clear()
    data.evictor.evict_some(10**9)
    assert data.evictor.evict_some(10**9) == 0


def test_counters_decay_for_the_choice() -> None:
    data = Data("allkeys-lfu", samples=64)
    db = data.store.dbs[0]
    # No two of them share an idle clock, and so a counter.
    old, *others = list({hash(key) & 63: key for key in map(b"%d".__mod__, range(1000))}.values())[:11]
    db.set(old, b"v")
    frequency.set_uses(db, old, 20)
    data.at(60 * 30)
    for key in others:
        db.set(key, b"v")
        frequency.set_uses(db, key, 5)
    assert data.evict(1) == [(0, old)]


def test_the_soonest_to_expire_go() -> None:
    data = Data("volatile-ttl")
    keys = data.fill(6000)
    for number, key in enumerate(keys[:4000]):
        data.store.dbs[0].expire_at(key, data.store.now_ms + 1000 + number)
    gone = numbers(data.evict(800))
    # Nothing blurs their times: samples in batches choose as well as Redis's one by one.
    assert sum(gone) < 1.1 * sum(redis_evicts(800, 4000, 5))
    data.check()


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_what_does_not_expire_stays(policy: str) -> None:
    data = Data(policy)
    keys = data.fill(300)
    data.fill(5, db=3)
    for key in keys[:7]:
        data.store.dbs[0].expire_at(key, data.store.now_ms + 10_000)
    assert sorted(numbers(data.evict(7))) == [*range(7)]
    assert data.evictor.evict() == 0
    assert (data.store.dbs[0].size, data.store.dbs[3].size) == (293, 5)


def test_by_chance() -> None:
    data = Data("allkeys-random")
    data.fill(1000, spread=True)
    gone = numbers(data.evict(500))
    assert 400 < sum(gone) / 500 < 600 and gone != sorted(gone)


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_all_dbs_to_the_last_key(policy: str) -> None:
    data = Data(policy)
    for db in (0, 2, 15):
        data.fill(50, db=db)
    assert {db for db, _ in data.evict(150)} == {0, 2, 15}
    assert data.evictor.evict() == 0
    data.fill(1)
    data.evict(1)


def test_what_the_next_victims_are_worth() -> None:
    data = Data("allkeys-lru")
    assert data.evictor.worth() == LOWEST
    data.fill(10)
    data.at(30)
    assert data.evictor.worth() == -NOW_S
    # Who was used since is no candidate, however long nobody went.
    for key in data.fill(10):
        data.store.dbs[0].get(key)
    data.at(60)
    assert data.evictor.worth() > -(NOW_S + 30)
    for second in range(60, 80):
        data.at(second)
        worth = data.evictor.worth()
    assert worth == pytest.approx(-(NOW_S + 30), abs=0.01)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-lfu"])
def test_who_has_the_older_keys_has_the_victims_that_are_worth_more(policy: str) -> None:
    """Two shards, whose keys are of mixed ages."""
    old, young = Data(policy), Data(policy)
    old.store.config["lfu-decay-time"] = young.store.config["lfu-decay-time"] = 0
    for data, after in ((old, 0), (young, 500)):
        db = data.store.dbs[0]
        for number, key in enumerate(data.fill(2000)):
            data.at(after + number)
            db.set(key, b"v", expire_at_ms=data.store.now_ms + 10_000_000)
            frequency.set_uses(db, key, after // 50 + number // 50)
        data.at(5000)
    for _ in range(20):
        worths = [data.evictor.worth() for data in (old, young)]
        assert worths[0] > worths[1]
        for data in (old, young):
            data.evict(5)
            data.store.now_ms += 1000


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-ttl", "volatile-random"])
def test_a_candidate_that_does_not_expire_any_more_stays(policy: str) -> None:
    data = Data(policy)
    db = data.store.dbs[0]
    for key in data.fill(20):
        db.expire_at(key, data.store.now_ms + 10_000)
    data.evictor.draw()
    for _, _, key in list(data.evictor.pool):
        db.persist(key)
    while data.evictor.evict():
        pass
    assert db.expiries.count == 0 and db.size >= 10


def test_by_how_many_keys_may_go() -> None:
    data = Data("volatile-random")
    data.fill(10)
    (key,) = data.fill(1, db=3)
    assert data.evictor.keys() == 0
    data.store.dbs[3].expire_at(key, data.store.now_ms + 10_000)
    assert data.evictor.keys() == 1 and data.evictor.worth() == 0
    data.evictor.configure("allkeys-random", 5)
    assert data.evictor.keys() == 11


def test_nobody_without_a_policy() -> None:
    data = Data("noeviction")
    data.fill(10)
    assert data.evictor.evict() == 0 and data.evictor.worth() == 0.0


def test_who_is_held_stays() -> None:
    data = Data("allkeys-lru")
    keys = data.fill(10)
    data.store.blocked = keys[:4]
    assert {key for _, key in data.evict(6)} == set(keys[4:])
    assert data.evictor.evict() == 0
    data.store.blocked = ()
    data.evict(4)


def test_a_slot_with_most_keys_gives_most_victims() -> None:
    data = Data("allkeys-random")
    data.fill(3000, prefix=b"{tag}")  # One wide slot.
    data.fill(1000)
    tagged = [key for _, key in data.evict(1000) if key.startswith(b"{tag}")]
    assert 650 < len(tagged) < 850


def test_large_values_that_are_sparse_are_all_found() -> None:
    data = Data("allkeys-lru", slots_owned=range(5000, 9000))
    store = data.store
    count = 0
    for number in range(2000):
        key = b"key:%d" % number
        if store.slot_of(key) in store.slots_owned:
            store.dbs[0].set(key, [b"x"] * 5)
            count += 1
            if count > 100:
                data.evict(1)
                count -= 1
    data.evict(count)
    assert len(store.garbage) > 100
    data.check()


def test_a_key_whose_time_has_come_has_expired() -> None:
    data = Data("allkeys-lru")
    (key,) = data.fill(1)
    data.store.dbs[0].expire_at(key, data.store.now_ms + 10)
    data.at(1)
    assert data.evictor.evict() == 0
    assert (data.store.stats.expired_keys, data.store.stats.evicted_keys) == (1, 0)


def test_what_goes_is_counted_and_logged() -> None:
    data = Data("allkeys-lru")
    data.fill(3)
    data.evict(2)
    assert data.store.stats.evicted_keys == 2 and data.store.stats.expired_keys == 0


def test_the_pool_is_small_and_in_order() -> None:
    data = Data("allkeys-lru", samples=64)
    data.fill(2000, spread=True)
    for _ in range(50):
        data.evictor.draw()
        scores = [score for score, _, _ in data.evictor.pool]
        assert len(scores) == POOL_MAX and scores == sorted(scores)


def test_after_flushall_nothing_of_before_is_a_candidate() -> None:
    data = Data("allkeys-lru")
    data.fill(500, spread=True)
    data.evictor.draw()
    data.store.dbs[0].clear(later=True)
    assert data.evictor.evict() == 0
    data.store.swap(0, 1)
    data.fill(5)
    data.evict(5)
