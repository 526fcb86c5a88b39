"""Lists: taking elements, and waiting until there is one. Who waits, see shard/waiters.py.

Each logs what it took as the command that does not wait, so that a replay needs no words of waiting.
"""

from collections.abc import Sequence
from typing import Any

from common.command import BLOCKING, DENYOOM, WRITE
from shard.blocking import Blocked, deadline_ms
from shard.commands.counts import multiple_pop
from shard.commands.list_arguments import end_of
from shard.commands.list_moves import KEYS as MOVE_KEYS
from shard.commands.list_moves import POPS, move
from shard.commands.list_pops import KEYS, pop_first
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.list import LEFT, RIGHT, List

command = TABLE.family("list")

FLAGS = WRITE | BLOCKING


@command(
    "BLPOP key [key ...] timeout",
    FLAGS,
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    keys=KEYS,
    first_of=True,
    summary="Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes "
    "the list if the last element was popped.",
)
def blpop(db: Keyspace, *words: bytes) -> list[bytes] | Blocked:
    """Answers the key and the element, of the first key that has one."""
    return _pop(db, words, LEFT)


@command(
    "BRPOP key [key ...] timeout",
    FLAGS,
    since="2.0.0",
    complexity="O(N) where N is the number of provided keys.",
    keys=KEYS,
    first_of=True,
    summary="Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes "
    "the list if the last element was popped.",
)
def brpop(db: Keyspace, *words: bytes) -> list[bytes] | Blocked:
    """Answers the key and the element, of the first key that has one."""
    return _pop(db, words, RIGHT)


def _pop(db: Keyspace, words: tuple[bytes, ...], end: int) -> list[bytes] | Blocked:
    keys = words[:-1]
    until_ms = deadline_ms(words[-1], db.store.now_ms)
    popped = pop_first(db, keys, end, 1)
    if popped is None:
        return Blocked(keys, List, until_ms)
    key, texts = popped
    db.log(POPS[end], key)
    return [key, texts[0]]


@command(
    "BLMPOP timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    FLAGS,
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    keys=KEYS,
    first_of=True,
    summary="Pops the first element from one of multiple lists. Blocks until an element is available otherwise. "
    "Deletes the list if the last element was popped.",
)
def blmpop(db: Keyspace, timeout: bytes, *words: bytes) -> Sequence[Any] | Blocked:
    """Answers the key and a list of elements, of the first key that has some."""
    keys, end, count = multiple_pop(words, end_of)
    until_ms = deadline_ms(timeout, db.store.now_ms)
    popped = pop_first(db, keys, end, count)
    if popped is None:
        return Blocked(keys, List, until_ms)
    key, texts = popped
    db.log(POPS[end], key, b"%d" % len(texts))
    return popped


@command(
    "BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
    FLAGS | DENYOOM,
    since="6.2.0",
    complexity="O(1)",
    keys=MOVE_KEYS,
    summary="Pops an element from a list, pushes it to another list and returns it. Blocks until an element is "
    "available otherwise. Deletes the list if the last element was moved.",
)
def blmove(db: Keyspace, source: bytes, destination: bytes, from_: bytes, to: bytes, timeout: bytes) -> bytes | Blocked:
    """Answers the element."""
    from_end, to_end = end_of(from_), end_of(to)
    until_ms = deadline_ms(timeout, db.store.now_ms)
    text = move(db, source, destination, from_end, to_end)
    if text is None:
        return Blocked((source,), List, until_ms)
    if not db.store.apart:
        db.log(b"LMOVE", source, destination, from_.upper(), to.upper())
    return text


@command(
    "BRPOPLPUSH source destination timeout",
    FLAGS | DENYOOM,
    since="2.2.0",
    complexity="O(1)",
    keys=MOVE_KEYS,
    summary="Pops an element from a list, pushes it to another list and returns it. Blocks until an element is "
    "available otherwise. Deletes the list if the last element was popped.",
)
def brpoplpush(db: Keyspace, source: bytes, destination: bytes, timeout: bytes) -> bytes | Blocked:
    """Answers the element."""
    until_ms = deadline_ms(timeout, db.store.now_ms)
    text = move(db, source, destination, RIGHT, LEFT)
    if text is None:
        return Blocked((source,), List, until_ms)
    if not db.store.apart:
        db.log(b"RPOPLPUSH", source, destination)
    return text
