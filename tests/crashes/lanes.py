"""Lanes: groups of keys that clients change in ways that a look at the server afterwards can judge.

A lane draws acts, is told of all of them, and says after the crash what is wrong. It then takes what it saw for what is
there: a crash is judged against the one before it.

Of each lane the docstring says what is promised. Where a lane says that something must be there, that holds for all
acts that the promise of the crash names, see acts.py: with `everysec` a power cut may take the last of them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tests.crashes.acts import Act, Argv, Outcome, Promise, Read, transaction
from tests.histories.scene import spread_keys
from tests.resp_client import Error


class Lane:
    """What all have in common. Clients in threads draw from it: `draw` changes nothing but a counter."""

    name = ""
    keys: tuple[bytes, ...] = ()
    db = 0
    """Which db its keys are in: clients that draw from it have selected it."""

    def __init__(self, number: int) -> None:
        self.prefix = f"{self.name}{number}:".replace(" ", "-")
        self.acts: list[Act] = []
        self.numbers: Iterator[int] = iter(range(1, 1 << 62))

    def spread(self, count: int) -> tuple[bytes, ...]:
        """Keys on different shards, as far as there are."""
        return tuple(spread_keys(self.prefix, count))

    def begin(self) -> list[list[Argv]]:
        """What is sent before the clients start, when nothing crashes: pipelines."""
        return []

    def draw(self, random: Random, who: str) -> Act:
        raise NotImplementedError

    def faults(self, read: Read, promise: Promise) -> list[str]:
        """What a server shows that it must not. It is quiet."""
        raise NotImplementedError

    def done(self) -> None:
        """Forgets what was judged."""
        self.acts.clear()


class Group(Lane):
    """Keys on several shards that are only ever given the same value, or removed, all in one act.

    They are equal, always. Their value is that of the last act that must be there, or of one that is not over when
    another begins, or is unknown: none that was sent before an act that must be there was answered, no refused one.
    """

    count = 3

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.keys = self.spread(self.count)
        self.before: bytes | None = None

    def begin(self) -> list[list[Argv]]:
        self.before = None
        return [[(b"DEL", *self.keys)]]

    def draw(self, random: Random, who: str) -> Act:
        value = b"%s-%d" % (who.encode(), next(self.numbers))
        if random.random() < 0.15:
            return Act(self.removal(), self.keys, None, (0,), who)
        return Act(self.change(random, value), self.keys, value, (0,), who)

    def removal(self) -> list[Argv]:
        return [(b"DEL", *self.keys)]

    def change(self, random: Random, value: bytes) -> list[Argv]:
        words = [word for key in self.keys for word in (key, value)]
        return [(b"MSETNX" if random.random() < 0.15 else b"MSET", *words)]

    def values(self, read: Read) -> list[Any]:
        return [read("GET", key) for key in self.keys]

    def faults(self, read: Read, promise: Promise) -> list[str]:
        values = self.values(read)
        before, self.before = self.before, values[0]
        found = []
        if any(value != values[0] for value in values):
            found.append(f"{self.name}: torn: {dict(zip(self.keys, values, strict=True))}{self._story(values)}")
        for value in {*values}:
            found += self._value_faults(value, before, promise)
        return found

    def _value_faults(self, value: Any, before: bytes | None, promise: Promise) -> list[str]:
        required = [act for act in self.acts if promise.holds(act)]
        sources = [act for act in self.acts if act.possible and act.value == value]
        if value == before:
            sources.append(Act([], self.keys, before, answered_s=0.0))
        if not sources:
            return [f"{self.name}: {value!r}, which nobody sent or which was refused{self._story([value])}"]
        if all(any(_is_before(source, act) for act in required) for source in sources):
            newer = max(required, key=lambda act: act.sent_s)
            return [f"{self.name}: lost: {value!r}, but {newer.value!r} was done later{self._story([value])}"]
        return []

    def _story(self, values: Sequence[Any]) -> str:
        """The acts that gave these values, to understand what happened."""
        acts = [act for act in self.acts if act.value in values]
        told = [
            f"{act.value!r} {act.outcome.value} {act.sent_s:.4f} {act.answered_s:.4f} {act.reply!r}" for act in acts
        ]
        return "".join(f"\n      {line}" for line in told[-6:])


class Transactions(Group):
    """The same for values of all types, in a MULTI .. EXEC."""

    name = "EXEC"
    count = 6

    def change(self, random: Random, value: bytes) -> list[Argv]:
        text, list_, hash_, set_, sorted_set, stream = self.keys
        return transaction(
            (b"SET", text, value),
            (b"DEL", list_, set_, sorted_set),
            (b"RPUSH", list_, value),
            (b"HSET", hash_, b"f", value),
            (b"SADD", set_, value),
            (b"ZADD", sorted_set, b"1", value),
            (b"XADD", stream, b"MAXLEN", b"1", b"*", b"f", value),
        )

    def values(self, read: Read) -> list[Any]:
        text, list_, hash_, set_, sorted_set, stream = self.keys
        entries = read("XRANGE", stream, "-", "+")
        return [
            read("GET", text),
            _only(read("LRANGE", list_, 0, -1)),
            read("HGET", hash_, "f"),
            _only(read("SMEMBERS", set_)),
            _only(read("ZRANGE", sorted_set, 0, -1)),
            _only([fields[1] for _, fields in entries]),
        ]


class Sets(Group):
    """Of one key and of what is stored from it on another shard, in a MULTI .. EXEC that borrows keys."""

    name = "SINTERSTORE"

    def change(self, random: Random, value: bytes) -> list[Argv]:
        source, one, other = self.keys
        return transaction(
            (b"DEL", source),
            (b"SADD", source, value),
            (b"SINTERSTORE", one, source, source),
            (b"SUNIONSTORE", other, one, source),
        )

    def values(self, read: Read) -> list[Any]:
        return [_only(read("SMEMBERS", key)) for key in self.keys]


class Mset(Group):
    name = "MSET"


class Flushed(Group):
    """A whole db: FLUSHDB is one more way to remove them all."""

    name = "FLUSHDB"
    db = 10

    def removal(self) -> list[Argv]:
        return [(b"FLUSHDB",)]


class Counters(Lane):
    """Counters on several shards that go up by one in one EXEC: equal, so none was counted twice by being done again;
    not less than what must be there, not more than what was asked for."""

    name = "INCR"

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.keys = self.spread(3)
        self.before = 0

    def draw(self, random: Random, who: str) -> Act:
        first, second, third = random.sample(self.keys, 3)
        words = ((b"INCR", first), (b"INCRBY", second, b"1"), (b"INCRBYFLOAT", third, b"1"))
        return Act(transaction(*words), self.keys, who=who)

    def faults(self, read: Read, promise: Promise) -> list[str]:
        values = [int(read("GET", key) or 0) for key in self.keys]
        least = self.before + sum(promise.holds(act) for act in self.acts)
        most = self.before + sum(act.possible for act in self.acts)
        self.before = values[0]
        found = [f"{self.name}: torn: {values}"] if len(set(values)) > 1 else []
        if not all(least <= value <= most for value in values):
            refused = {repr(act.reply) for act in self.acts if act.outcome is Outcome.REFUSED}
            found.append(f"{self.name}: {values} are not within {least} and {most}; refusals: {refused}")
        return found


class Rows(Lane):
    """Lists on several shards to which one EXEC pushes the same: equal, nothing doubled, and of each client in order,
    without a gap before the last that is there."""

    name = "RPUSH"

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.keys = self.spread(3)

    def begin(self) -> list[list[Argv]]:
        return [[(b"DEL", *self.keys)]]

    def draw(self, random: Random, who: str) -> Act:
        value = b"%s-%d" % (who.encode(), next(self.numbers))
        keys = random.sample(self.keys, 3)
        return Act(transaction(*[(b"RPUSH", key, value) for key in keys]), self.keys, value, who=who)

    def faults(self, read: Read, promise: Promise) -> list[str]:
        rows = [read("LRANGE", key, 0, -1) for key in self.keys]
        found = []
        if any(row != rows[0] for row in rows):
            found.append(f"torn: lengths {[len(row) for row in rows]}, last {[row[-1:] for row in rows]}")
        for row in rows:
            found += _journal_faults(row, self.acts, promise)
        return [f"{self.name}: {fault}" for fault in dict.fromkeys(found)]


class Transfers(Lane):
    """What one EXEC takes from one account it gives to another one: the sum stays."""

    name = "transfer"
    total = 900

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.keys = self.spread(3)

    def begin(self) -> list[list[Argv]]:
        share = b"%d" % (self.total // 3)
        words = [word for key in self.keys for word in (key, share)]
        return [[(b"MSET", *words)]]

    def draw(self, random: Random, who: str) -> Act:
        one, other = random.sample(self.keys, 2)
        amount = b"%d" % random.randrange(1, 50)
        return Act(transaction((b"DECRBY", one, amount), (b"INCRBY", other, amount)), (one, other), who=who)

    def faults(self, read: Read, promise: Promise) -> list[str]:
        values = [int(read("GET", key) or 0) for key in self.keys]
        return [] if sum(values) == self.total else [f"{self.name}: {values} make {sum(values)}, not {self.total}"]


class Tokens(Lane):
    """Things that go from place to place: each is in one place, always."""

    things: tuple[bytes, ...] = ()
    places = 3
    """On as many shards, if there are; of four, two are on the same one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.keys = self.spread(self.places)

    def begin(self) -> list[list[Argv]]:
        return [[(b"DEL", *self.keys), self.placing()]]

    def placing(self) -> Argv:
        raise NotImplementedError

    def reading(self) -> tuple[str, ...]:
        raise NotImplementedError

    def faults(self, read: Read, promise: Promise) -> list[str]:
        name, *rest = self.reading()
        found = [read(name, key, *rest) for key in self.keys]
        counts = Counter(thing for things in found for thing in _listed(things))
        wrong = {thing: counts[thing] for thing in {*counts, *self.things} if counts[thing] != (thing in self.things)}
        if not wrong:
            return []
        told = [
            f"{act.commands!r} {act.outcome.value} {act.reply!r}"
            for act in [act for act in self.acts if act.possible][-6:]
        ]
        return [f"{self.name}: how often things are there: {wrong}; {found}" + "".join(f"\n      {s}" for s in told)]


class Ring(Tokens):
    """One value that RENAME, and COPY with DEL in an EXEC, take from key to key."""

    name = "RENAME"
    things = (b"token",)
    refusals = (Error(b"ERR no such key"),)

    def placing(self) -> Argv:
        return (b"SET", self.keys[0], self.things[0])

    def reading(self) -> tuple[str, ...]:
        return ("GET",)

    def draw(self, random: Random, who: str) -> Act:
        one, other = random.sample(self.keys, 2)
        how = random.random()
        if how < 0.2:
            # Without the REPLACE it would remove the value where there is another.
            copied = transaction((b"COPY", one, other, b"REPLACE"), (b"DEL", one))
            return Act(copied, (one, other), who=who)
        return Act([(b"RENAME" if how < 0.7 else b"RENAMENX", one, other)], (one, other), None, self.refusals, who)


class WideRing(Ring):
    """The same over four keys: some moves stay on one shard and have no record that another shard would have."""

    name = "RENAME 4"
    places = 4


class Elements(Tokens):
    """Elements that LMOVE takes from list to list."""

    name = "LMOVE"
    things = tuple(b"element%d" % number for number in range(8))

    def placing(self) -> Argv:
        return (b"RPUSH", self.keys[0], *self.things)

    def reading(self) -> tuple[str, ...]:
        return ("LRANGE", "0", "-1")

    def draw(self, random: Random, who: str) -> Act:
        one, other = random.sample(self.keys, 2)
        ends = random.choice((b"LEFT", b"RIGHT")), random.choice((b"LEFT", b"RIGHT"))
        calls: list[Argv] = [(b"LMOVE", one, other, *ends), (b"RPOPLPUSH", one, other)]
        calls += [(b"BLMOVE", one, other, *ends, b"0.01")]
        return Act([random.choice(calls)], (one, other), None, (None,), who)


class Members(Tokens):
    """Members that SMOVE takes from set to set."""

    name = "SMOVE"
    things = tuple(b"member%d" % number for number in range(8))

    def placing(self) -> Argv:
        return (b"SADD", self.keys[0], *self.things)

    def reading(self) -> tuple[str, ...]:
        return ("SMEMBERS",)

    def draw(self, random: Random, who: str) -> Act:
        one, other = random.sample(self.keys, 2)
        return Act([(b"SMOVE", one, other, random.choice(self.things))], (one, other), None, (0,), who)


class Swapped(Lane):
    """Two dbs that SWAPDB exchanges: on all shards or on none."""

    name = "SWAPDB"
    dbs = (8, 9)

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.keys = self.spread(3)

    def begin(self) -> list[list[Argv]]:
        placed = []
        for db in self.dbs:
            text = b"%d" % db
            placed += [(b"SELECT", text), (b"MSET", *[word for key in self.keys for word in (key, text)])]
        self.before = 0
        return [[*placed, (b"SELECT", b"0")]]

    def draw(self, random: Random, who: str) -> Act:
        return Act([(b"SWAPDB", *[b"%d" % db for db in self.dbs])], self.keys, who=who)

    def faults(self, read: Read, promise: Promise) -> list[str]:
        found = []
        for db in self.dbs:
            read("SELECT", db)
            found.append([read("GET", key) for key in self.keys])
        read("SELECT", 0)
        if any(value != values[0] for values in found for value in values) or found[0] == found[1]:
            return [f"{self.name}: torn: {dict(zip(self.dbs, found, strict=True))}"]
        swapped = int(found[0][0] != b"%d" % self.dbs[0])
        known = [act for act in self.acts if act.outcome is Outcome.DONE]
        before, self.before = self.before, swapped
        if len(known) == len([act for act in self.acts if act.possible]) and all(map(promise.holds, known)):
            return [] if (before + len(known)) % 2 == swapped else [f"{self.name}: {len(known)} of them, now {found}"]
        return []


class Journal(Lane):
    """Numbers that each client writes to keys of its own, one shard each and of every type: all that must be there
    are, in their order, and there is no gap before the last one."""

    kinds = (b"list", b"zset", b"stream", b"hash", b"set", b"string")

    def __init__(self, number: int, name: str) -> None:
        self.name = name
        super().__init__(number)
        self.keys = self.spread(len(self.kinds))

    def begin(self) -> list[list[Argv]]:
        return [[(b"DEL", *self.keys)]]

    def draw(self, random: Random, who: str) -> Act:
        at = random.randrange(len(self.kinds))
        value = b"%d" % next(self.numbers)
        key = self.keys[at]
        call: Argv = {
            b"list": (b"RPUSH", key, value),
            b"zset": (b"ZADD", key, value, value),
            b"stream": (b"XADD", key, value + b"-1", b"f", value),
            b"hash": (b"HSET", key, value, b"1"),
            b"set": (b"SADD", key, value),
            b"string": (b"APPEND", key, value + b","),
        }[self.kinds[at]]
        return Act([call], (key,), value, who=who)

    def faults(self, read: Read, promise: Promise) -> list[str]:
        list_, zset, stream, hash_, set_, string = self.keys
        found = {
            list_: read("LRANGE", list_, 0, -1),
            zset: read("ZRANGE", zset, 0, -1),
            stream: [entry[1][1] for entry in read("XRANGE", stream, "-", "+")],
            hash_: sorted(read("HKEYS", hash_), key=int),
            set_: sorted(read("SMEMBERS", set_), key=int),
            string: (read("GET", string) or b"").split(b",")[:-1],
        }
        faults = []
        for key, values in found.items():
            acts = [act for act in self.acts if act.keys == (key,)]
            faults += [f"{key!r}: {fault}" for fault in _journal_faults(values, acts, promise)]
        return faults


def _is_before(act: Act, later: Act) -> bool:
    """Whether `later` can only have been done after `act`: because of their times, or as one client's own order."""
    in_order = act.outcome is Outcome.DONE and act.who == later.who and act.place < later.place
    return act.answered_s < later.sent_s or in_order


def _journal_faults(values: list[bytes], acts: Sequence[Act], promise: Promise) -> Iterator[str]:
    """Of a key to which each of `acts` adds its value: by client, in the order in which they were sent."""
    if len(set(values)) != len(values):
        yield f"doubled: {[value for value, count in Counter(values).items() if count > 1]!r}"
    there = {value: at for at, value in enumerate(values)}
    senders: dict[str, list[Act]] = {}
    for act in sorted(acts, key=lambda act: act.sent_s):
        senders.setdefault(act.who, []).append(act)
    for who, own in senders.items():
        places = [there[act.value] for act in own if act.value in there]
        if places != sorted(places):
            yield f"out of order: what {who} sent is at {places}"
        last = max((number for number, act in enumerate(own) if act.value in there), default=0)
        gaps = [act.value for act in own[:last] if act.outcome is Outcome.DONE and act.value not in there]
        if gaps:
            yield f"gaps before {own[last].value!r}: {gaps!r}"
        lost = [act.value for act in own if promise.holds(act) and act.value not in there]
        if lost:
            yield f"lost: {len(lost)}, first {lost[0]!r}, of {len(own)}; there are {len(places)}"
    known = {act.value for act in acts if act.possible}
    if phantoms := [value for value in values if value not in known]:
        replies = {act.value: act.reply for act in acts}
        yield f"not sent, or refused: {[(value, replies.get(value)) for value in phantoms]!r}"


def _only(values: Any) -> Any:
    """The one element of a reply; None for none, the whole reply for more."""
    values = list(values)
    return values[0] if len(values) == 1 else values or None


def _listed(things: Any) -> list[Any]:
    return [] if things is None else list(things) if isinstance(things, list) else [things]
