"""Unions, intersections and differences of sorted sets and of plain sets, whose members have the score 1.

Scores are added up in the reference's order, from the smallest input on: sums of floats depend on it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from common.command import DENYOOM, READONLY, WRITE
from common.errors import NotAFloat, RedisError, SyntaxFault, WrongType
from common.numbers import double, integer
from common.resp import Pairs
from shard.commands.counts import parse_limit
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.value import Value, type_name
from shard.values.sorted_set import limits_of, sorted_set_of

command = TABLE.family("sorted-set")

Entries = list[tuple[bytes, float]]
Aggregate = Callable[[float, float], float]


# --- Inputs and options ----------------------------------------------------------------------------------------------


class Input:
    """What is at one of the keys; nothing if there is no key."""

    __slots__ = ("value", "sorted", "weight")

    def __init__(self, value: Value | None) -> None:
        self.value = value
        self.sorted = value is not None and type_name(value) == "zset"
        self.weight = 1.0
        if value is not None and not self.sorted and type_name(value) != "set":
            raise WrongType()

    def __len__(self) -> int:
        return 0 if self.value is None else len(self.value)

    def items(self) -> Iterable[tuple[bytes, float]]:
        """Members and scores, in order if it has one."""
        if self.value is None:
            return ()
        return self.value.items() if self.sorted else ((member, 1.0) for member in self.value)

    def score(self, member: bytes) -> float | None:
        """None if it is not there. O(1)."""
        if self.sorted and self.value is not None:
            score: float | None = self.value.score(member)
            return score
        return 1.0 if self.value is not None and member in self.value else None


def _sum(one: float, other: float) -> float:
    total = one + other
    return total if total == total else 0.0  # Infinity and its opposite.


def _min(one: float, other: float) -> float:
    return other if other < one else one


def _max(one: float, other: float) -> float:
    return other if other > one else one


AGGREGATES: dict[bytes, Aggregate] = {b"SUM": _sum, b"MIN": _min, b"MAX": _max}


@dataclass(slots=True)
class Operation:
    """What a call says."""

    inputs: list[Input]
    aggregate: Aggregate = _sum
    with_scores: bool = False
    limit: int = 0
    """0 for none."""


@dataclass(slots=True, frozen=True)
class Form:
    """What a command knows beside its inputs."""

    name: str
    options: frozenset[bytes] = field(default_factory=frozenset)


WEIGHED = frozenset((b"WEIGHTS", b"AGGREGATE"))
SCORED = frozenset((b"WITHSCORES",))


def operation_of(db: Keyspace, form: Form, words: tuple[bytes, ...]) -> Operation:
    """What a call says, from numkeys on.  Raises RedisError."""
    count = integer(words[0])
    if count < 1:
        raise RedisError(f"ERR at least 1 input key is needed for '{form.name}' command")
    if count > len(words) - 1:
        raise SyntaxFault()
    operation = Operation([Input(db.get(key)) for key in words[1 : count + 1]])
    rest = words[count + 1 :]
    at = 0
    while at < len(rest):
        option = rest[at].upper()
        if option not in form.options:
            raise SyntaxFault()
        behind = _NEEDED.get(option, 0) if option != b"WEIGHTS" else count
        if len(rest) - at - 1 < behind:
            raise SyntaxFault()
        _OPTIONS[option](operation, rest[at + 1 : at + 1 + behind])
        at += 1 + behind
    return operation


def _weights(operation: Operation, words: tuple[bytes, ...]) -> None:
    for one, word in zip(operation.inputs, words, strict=True):
        try:
            one.weight = double(word)
        except NotAFloat:
            raise RedisError("ERR weight value is not a float") from None


def _aggregate(operation: Operation, words: tuple[bytes, ...]) -> None:
    aggregate = AGGREGATES.get(words[0].upper())
    if aggregate is None:
        raise SyntaxFault()
    operation.aggregate = aggregate


def _with_scores(operation: Operation, words: tuple[bytes, ...]) -> None:
    operation.with_scores = True


def _limit(operation: Operation, words: tuple[bytes, ...]) -> None:
    operation.limit = parse_limit(words[0])


_OPTIONS = {b"WEIGHTS": _weights, b"AGGREGATE": _aggregate, b"WITHSCORES": _with_scores, b"LIMIT": _limit}
_NEEDED = {b"AGGREGATE": 1, b"LIMIT": 1}
"""Words behind an option; WEIGHTS has one for each input."""


# --- What comes out --------------------------------------------------------------------------------------------------


def union(operation: Operation) -> Entries:
    """The members of any input. O(n) in all."""
    scores: dict[bytes, float] = {}
    for one in sorted(operation.inputs, key=len):
        for member, score in one.items():
            score = _weighed(one, score)
            before = scores.get(member)
            scores[member] = score if before is None else operation.aggregate(before, score)
    return list(scores.items())


def intersection(operation: Operation) -> Entries:
    """The members of all inputs. O(n * inputs) in the smallest."""
    smallest, *others = sorted(operation.inputs, key=len)
    found = []
    for member, score in smallest.items():
        score = _weighed(smallest, score)
        for one in others:
            other = one.score(member)
            if other is None:
                break
            score = operation.aggregate(score, one.weight * other)
        else:
            found.append((member, score))
    return found


def _weighed(one: Input, score: float) -> float:
    score = one.weight * score
    return score if score == score else 0.0  # Infinity times 0.


def difference(operation: Operation) -> Entries:
    """The members of the first input that are in no other. O(n * inputs) in the first."""
    first, *others = operation.inputs
    others = [one for one in others if len(one)]
    return [(member, score) for member, score in first.items() if all(one.score(member) is None for one in others)]


def cardinality(operation: Operation) -> int:
    """How many members all inputs have, counted up to the limit."""
    smallest, *others = sorted(operation.inputs, key=len)
    count = 0
    for member, _ in smallest.items():
        if all(one.score(member) is not None for one in others):
            count += 1
            if count == operation.limit:
                break
    return count


def answer(entries: Entries, operation: Operation) -> list[bytes] | Pairs:
    """As a reply, in order of the scores."""
    ordered = sorted([(score, member) for member, score in entries])
    if operation.with_scores:
        return Pairs((member, score) for score, member in ordered)
    return [member for _, member in ordered]


def store(db: Keyspace, destination: bytes, entries: Entries) -> int:
    """Puts them where they shall be, and gives their number; without any, what is there goes."""
    if entries:
        db.set(destination, sorted_set_of(entries, limits_of(db.store.config)))
    else:
        db.delete(destination)
    return len(entries)


# --- Commands --------------------------------------------------------------------------------------------------------

ZUNION = Form("zunion", WEIGHED | SCORED)
ZINTER = Form("zinter", WEIGHED | SCORED)
ZDIFF = Form("zdiff", SCORED)
ZUNIONSTORE = Form("zunionstore", WEIGHED)
ZINTERSTORE = Form("zinterstore", WEIGHED)
ZDIFFSTORE = Form("zdiffstore", frozenset())
ZINTERCARD = Form("zintercard", frozenset((b"LIMIT",)))


@command(
    "ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    READONLY,
    since="6.2.0",
    complexity="O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number "
    "of elements in the resulting sorted set.",
)
def zunion(db: Keyspace, *words: bytes) -> list[bytes] | Pairs:
    """Returns the union of multiple sorted sets."""
    operation = operation_of(db, ZUNION, words)
    return answer(union(operation), operation)


@command(
    "ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
    READONLY,
    since="6.2.0",
    complexity="O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of "
    "input sorted sets and M being the number of elements in the resulting sorted set.",
)
def zinter(db: Keyspace, *words: bytes) -> list[bytes] | Pairs:
    """Returns the intersect of multiple sorted sets."""
    operation = operation_of(db, ZINTER, words)
    return answer(intersection(operation), operation)


@command(
    "ZDIFF numkeys key [key ...] [WITHSCORES]",
    READONLY,
    since="6.2.0",
    complexity="O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size "
    "of the first set, and K is the size of the result set.",
)
def zdiff(db: Keyspace, *words: bytes) -> list[bytes] | Pairs:
    """Returns the difference between multiple sorted sets."""
    operation = operation_of(db, ZDIFF, words)
    return answer(difference(operation), operation)


@command(
    "ZINTERCARD numkeys key [key ...] [LIMIT limit]",
    READONLY,
    since="7.0.0",
    complexity="O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
)
def zintercard(db: Keyspace, *words: bytes) -> int:
    """Returns the number of members of the intersect of multiple sorted sets."""
    return cardinality(operation_of(db, ZINTERCARD, words))


@command(
    "ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    WRITE | DENYOOM,
    since="2.0.0",
    complexity="O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number "
    "of elements in the resulting sorted set.",
)
def zunionstore(db: Keyspace, destination: bytes, *words: bytes) -> int:
    """Stores the union of multiple sorted sets in a key."""
    return store(db, destination, union(operation_of(db, ZUNIONSTORE, words)))


@command(
    "ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]",
    WRITE | DENYOOM,
    since="2.0.0",
    complexity="O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of "
    "input sorted sets and M being the number of elements in the resulting sorted set.",
)
def zinterstore(db: Keyspace, destination: bytes, *words: bytes) -> int:
    """Stores the intersect of multiple sorted sets in a key."""
    return store(db, destination, intersection(operation_of(db, ZINTERSTORE, words)))


@command(
    "ZDIFFSTORE destination numkeys key [key ...]",
    WRITE | DENYOOM,
    since="6.2.0",
    complexity="O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size "
    "of the first set, and K is the size of the result set.",
)
def zdiffstore(db: Keyspace, destination: bytes, *words: bytes) -> int:
    """Stores the difference of multiple sorted sets in a key."""
    return store(db, destination, difference(operation_of(db, ZDIFFSTORE, words)))
