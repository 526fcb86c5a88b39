"""Lists: from one to another, in one step. `move` is what the blocking commands call, too."""

from common.command import DENYOOM, WRITE
from shard.commands.list_arguments import POPPED, PUSHED, end_of, fill_of, shrunk
from shard.commands.table import TABLE
from shard.events import call, tell
from shard.keyspace import Keyspace
from shard.values.list import LEFT, RIGHT, List

command = TABLE.family("list")

KEYS = "RW access delete; RW insert"
POPS = {LEFT: b"LPOP", RIGHT: b"RPOP"}
PUSHES = {LEFT: b"LPUSH", RIGHT: b"RPUSH"}


@command(
    "LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    WRITE | DENYOOM,
    since="6.2.0",
    complexity="O(1)",
    keys=KEYS,
    summary="Returns an element after popping it from one list and pushing it to another. Deletes the list if the last "
    "element was moved.",
)
def lmove(db: Keyspace, source: bytes, destination: bytes, from_: bytes, to: bytes) -> bytes | None:
    """Returns the element, None if there is no source."""
    from_end, to_end = end_of(from_), end_of(to)
    return move(db, source, destination, from_end, to_end)


@command(
    "RPOPLPUSH source destination",
    WRITE | DENYOOM,
    since="1.2.0",
    complexity="O(1)",
    keys=KEYS,
    summary="Returns the last element of a list after removing and pushing it to another list. Deletes the list if the "
    "last element was popped.",
)
def rpoplpush(db: Keyspace, source: bytes, destination: bytes) -> bytes | None:
    """Returns the element, None if there is no source."""
    return move(db, source, destination, RIGHT, LEFT)


def move(db: Keyspace, source: bytes, destination: bytes, from_end: int, to_end: int) -> bytes | None:
    """Takes the element at one end (LEFT or RIGHT) of the list `source` and puts it at an end of `destination`, which
    may be the same and is made if there is none. None if there is no source.  Raises WrongType.
    """
    value: List | None = db.to_write(source, List)
    if value is None:
        return None
    target: List | None = db.to_write(destination, List)
    text = value.pop(from_end)
    if db.heard:
        call(db, PUSHED[to_end])
    if target is value:
        value.push((text,), to_end, fill_of(db))
        if db.heard:
            tell(db, source)
    else:
        db.edit(destination, List).push((text,), to_end, fill_of(db))
    if db.heard:
        call(db, POPPED[from_end])
    shrunk(db, source, value)
    if db.store.apart and source != destination:
        db.log(POPS[from_end], source)
        db.log(PUSHES[to_end], destination, text)
    return text
