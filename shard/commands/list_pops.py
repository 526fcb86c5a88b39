"""Lists: taking elements at the ends. `pop_first` is what the blocking commands call, too."""

from common.command import FAST, WRITE
from common.errors import wrong_arity
from common.resp import NULL_ARRAY, NullArray
from shard.commands.counts import multiple_pop, pop_count
from shard.commands.list_arguments import POPPED, end_of, shrunk
from shard.commands.table import TABLE
from shard.events import call
from shard.keyspace import Keyspace
from shard.values.list import LEFT, RIGHT, List

command = TABLE.family("list")

FLAGS = WRITE | FAST
COMPLEXITY = "O(N) where N is the number of elements returned"
KEYS = "RW access delete"


@command(
    "LPOP key [count]",
    FLAGS,
    since="1.0.0",
    complexity=COMPLEXITY,
    keys=KEYS,
    summary="Returns and removes one or more elements from the beginning of a list. Deletes the list if the last "
    "element was popped.",
)
def lpop(db: Keyspace, key: bytes, *count: bytes) -> bytes | list[bytes] | NullArray | None:
    """Without a count the reply is the element itself."""
    return _pop(db, key, LEFT) if not count else _pop_some(db, key, count, LEFT, "lpop")


@command(
    "RPOP key [count]",
    FLAGS,
    since="1.0.0",
    complexity=COMPLEXITY,
    keys=KEYS,
    summary="Returns and removes one or more elements from the end of a list. Deletes the list if the last element "
    "was popped.",
)
def rpop(db: Keyspace, key: bytes, *count: bytes) -> bytes | list[bytes] | NullArray | None:
    """Without a count the reply is the element itself."""
    return _pop(db, key, RIGHT) if not count else _pop_some(db, key, count, RIGHT, "rpop")


def _pop(db: Keyspace, key: bytes, end: int) -> bytes | None:
    value = db.to_write(key, List)
    if value is None:
        return None
    text: bytes = value.pop(end)
    shrunk(db, key, value)
    return text


def _pop_some(db: Keyspace, key: bytes, words: tuple[bytes, ...], end: int, name: str) -> list[bytes] | NullArray:
    if len(words) > 1:
        raise wrong_arity(name)
    count = pop_count(words[0])
    value = db.to_write(key, List)
    if value is None:
        return NULL_ARRAY
    texts: list[bytes] = value.pop_some(count, end)
    if texts:
        shrunk(db, key, value)
    return texts


@command(
    "LMPOP numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    WRITE,
    since="7.0.0",
    complexity="O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    keys=KEYS,
    first_of=True,
)
def lmpop(db: Keyspace, *words: bytes) -> list[bytes | list[bytes]] | NullArray:
    """Returns multiple elements from a list after removing them. Deletes the list if the last element was popped."""
    keys, end, count = multiple_pop(words, end_of)
    popped = pop_first(db, keys, end, count)
    return NULL_ARRAY if popped is None else [popped[0], popped[1]]


def pop_first(db: Keyspace, keys: tuple[bytes, ...], end: int, count: int) -> tuple[bytes, list[bytes]] | None:
    """Takes up to `count` elements, the outermost first, at the end LEFT or RIGHT of the first of these lists that is
    there: its key and they. None if there is none.  Raises WrongType if it meets another type first.
    """
    for key in keys:
        value = db.to_write(key, List)
        if value is not None:
            texts = value.pop_some(count, end)
            if db.heard:
                call(db, POPPED[end])
            shrunk(db, key, value)
            return key, texts
    return None
