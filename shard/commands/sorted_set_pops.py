"""Taking members off the ends of sorted sets. `pop_first` and `pop` serve the commands that wait for one too."""

from common.command import FAST, WRITE
from common.errors import SyntaxFault
from common.resp import NULL_ARRAY, NullArray, Pairs
from shard.commands.counts import multiple_pop, pop_count
from shard.commands.table import TABLE
from shard.events import call, tell
from shard.keyspace import Keyspace
from shard.values.sorted_set import SortedSet

command = TABLE.family("sorted-set")

Entries = list[tuple[bytes, float]]

MIN, MAX = b"MIN", b"MAX"
"""The ends: the lowest score, the highest."""
POPPED = {MIN: b"zpopmin", MAX: b"zpopmax"}
"""What it is called where it is told."""


# --- For other commands ----------------------------------------------------------------------------------------------


def pop_first(db: Keyspace, keys: tuple[bytes, ...], end: bytes, count: int) -> tuple[bytes, Entries] | None:
    """Takes up to `count` entries off an `end` of the first of `keys` that has a sorted set: its key, and those.

    None if none of them has one. Raises WrongType for a key of another type before that. O(keys + count * log n).
    """
    for key in keys:
        value = db.to_write(key, SortedSet)
        if value is not None:
            return key, pop(db, key, value, end, count)
    return None


def pop(db: Keyspace, key: bytes, value: SortedSet, end: bytes, count: int) -> Entries:
    """Takes up to `count` entries, at least one, off an `end` of the sorted set that is at `key`: those, in order from
    that end. The key goes with the last entry. O(count * log n).
    """
    length = len(value)
    count = min(count, length)
    start, stop = (0, count) if end == MIN else (length - count, length)
    entries = list(zip(value.range(start, stop), value.scores(start, stop), strict=True))
    if end == MAX:
        entries.reverse()
    if db.heard:
        call(db, POPPED[end])
    if count == length:
        if db.heard:
            tell(db, key)
        db.delete(key)  # O(1), whatever was in it.
    else:
        value.cut(start, stop)
        db.changed(key)
    return entries


def end_of(word: bytes) -> bytes:
    """MIN or MAX.  Raises SyntaxFault."""
    end = word.upper()
    if end not in (MIN, MAX):
        raise SyntaxFault()
    return end


# --- Commands --------------------------------------------------------------------------------------------------------

COMPLEXITY = (
    "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped."
)


@command(
    "ZPOPMIN key [count]",
    WRITE | FAST,
    since="5.0.0",
    complexity=COMPLEXITY,
    keys="RW access delete",
    summary="Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the"
    " last member was popped.",
)
def zpopmin(db: Keyspace, key: bytes, *count: bytes) -> list[bytes | float] | Pairs:
    """Answers them, in order from that end."""
    return _popped(db, key, MIN, count)


@command(
    "ZPOPMAX key [count]",
    WRITE | FAST,
    since="5.0.0",
    complexity=COMPLEXITY,
    keys="RW access delete",
    summary="Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the"
    " last member was popped.",
)
def zpopmax(db: Keyspace, key: bytes, *count: bytes) -> list[bytes | float] | Pairs:
    """Answers them, in order from that end."""
    return _popped(db, key, MAX, count)


def _popped(db: Keyspace, key: bytes, end: bytes, words: tuple[bytes, ...]) -> list[bytes | float] | Pairs:
    if len(words) > 1:
        raise SyntaxFault()
    count = pop_count(words[0]) if words else 1
    value = db.to_write(key, SortedSet)
    entries = pop(db, key, value, end, count) if value is not None and count else []
    if words:
        return Pairs(entries)
    return [word for entry in entries for word in entry]


@command(
    "ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]",
    WRITE,
    since="7.0.0",
    complexity="O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the"
    " sorted set, and M being the number of elements popped.",
    keys="RW access delete",
    first_of=True,
    summary="Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes"
    " the sorted set if the last member was popped.",
)
def zmpop(db: Keyspace, *words: bytes) -> list[bytes | list[list[bytes | float]]] | NullArray:
    """Answers the key and the entries, of the first key that has some."""
    keys, end, count = multiple_pop(words, end_of)
    found = pop_first(db, keys, end, count)
    if found is None:
        return NULL_ARRAY
    return [found[0], [list(entry) for entry in found[1]]]
