"""Streams: consumer groups and their consumers, and XACK.

As in the reference, only the end of a group is told to who waits for it: a group that is set to an earlier ID has
entries to give, but whoever waits gets them with the next one that is added.
"""

from common.command import DENYOOM, FAST, WRITE
from common.errors import RedisError, shown
from common.numbers import integer
from common.resp import OK, Status
from shard.commands.as_sent import unknown_or_arity
from shard.commands.stream_delivery import moment_ms
from shard.commands.stream_ids import parse_end, parse_id
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.stream import Stream
from shard.values.stream_groups import COUNT_MAX, UNKNOWN, Consumer, Group

command = TABLE.family("stream")

HELP = """
CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter.
"""

command.container("XGROUP", "A container for consumer groups commands.", since="5.0.0", help_=HELP)

NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option"
    " to create an empty stream automatically."
)
CREATE_WORDS_MAX = 3
"""MKSTREAM, and ENTRIESREAD with its value."""
SETID_WORDS = 2


@command(
    "XGROUP CREATE key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    WRITE | DENYOOM,
    since="5.0.0",
    complexity="O(1)",
    keys="RW insert",
)
def create(db: Keyspace, key: bytes, name: bytes, id_: bytes, *words: bytes) -> Status:
    """Creates a consumer group."""
    makes_stream, entries_read = _parse_options(words, makes=True)
    stream = db.to_write(key, Stream)
    if stream is None and not makes_stream:
        raise RedisError(NO_KEY)
    if len(words) > CREATE_WORDS_MAX:
        raise unknown_or_arity("XGROUP")
    end_id = 0 if stream is None else stream.last_id
    last_id = end_id if id_ == b"$" else parse_id(id_)
    if stream is None:
        stream = db.edit(key, Stream)
    elif name in stream.groups:
        raise RedisError("BUSYGROUP Consumer Group name already exists")
    else:
        db.changed_aside(key)
    stream.groups[name] = Group(last_id, entries_read)
    return OK


@command("XGROUP SETID key group <id | $> [ENTRIESREAD entries-read]", WRITE, since="5.0.0", complexity="O(1)")
def setid(db: Keyspace, key: bytes, name: bytes, id_: bytes, *words: bytes) -> Status:
    """Sets the last-delivered ID of a consumer group."""
    _, entries_read = _parse_options(words, makes=False)
    stream, group = _group(db, key, name)
    if len(words) not in (0, SETID_WORDS):
        raise unknown_or_arity("XGROUP")
    group.last_id = stream.last_id if id_ == b"$" else parse_end(id_)
    group.entries_read = entries_read
    db.changed_aside(key)
    return OK


@command(
    "XGROUP DESTROY key group",
    WRITE,
    since="5.0.0",
    complexity="O(N) where N is the number of entries in the group's pending entries list (PEL).",
    keys="RW delete",
)
def destroy(db: Keyspace, key: bytes, name: bytes) -> int:
    """Destroys a consumer group."""
    stream = db.to_write(key, Stream)
    if stream is None:
        raise RedisError(NO_KEY)
    group = stream.groups.pop(name, None)
    if group is None:
        return 0
    db.store.garbage.append(group)
    db.changed_aside(key, wakes=True)
    return 1


@command(
    "XGROUP CREATECONSUMER key group consumer", WRITE | DENYOOM, since="6.2.0", complexity="O(1)", keys="RW insert"
)
def createconsumer(db: Keyspace, key: bytes, name: bytes, consumer: bytes) -> int:
    """Creates a consumer in a consumer group."""
    _, group = _group(db, key, name)
    if consumer in group.consumers:
        return 0
    group.consumers[consumer] = Consumer(moment_ms(db))
    db.changed_aside(key)
    return 1


@command("XGROUP DELCONSUMER key group consumer", WRITE, since="5.0.0", complexity="O(1)", keys="RW delete")
def delconsumer(db: Keyspace, key: bytes, name: bytes, consumer: bytes) -> int:
    """Deletes a consumer from a consumer group."""
    _, group = _group(db, key, name)
    removed = group.remove_consumer(consumer)
    if removed is None:
        return 0
    db.changed_aside(key)
    return len(removed)


@command(
    "XACK key group id [id ...]",
    WRITE | FAST,
    since="5.0.0",
    complexity="O(1) for each message ID processed.",
    event="",
)
def xack(db: Keyspace, key: bytes, name: bytes, *words: bytes) -> int:
    """Returns the number of messages that were successfully acknowledged by the consumer group member of a stream."""
    stream = db.get(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return 0
    db.about_to_change(key)
    acknowledged: int = sum([group.forget(id_) for id_ in [parse_id(word) for word in words]])
    if acknowledged:
        db.changed_aside(key)
    return acknowledged


def _parse_options(words: tuple[bytes, ...], *, makes: bool) -> tuple[bool, int]:
    """MKSTREAM, which only what `makes` a group knows, and ENTRIESREAD.  Raises RedisError."""
    makes_stream, entries_read = False, UNKNOWN
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if makes and name == b"MKSTREAM":
            makes_stream = True
            continue
        value = next(rest, None)
        if name != b"ENTRIESREAD" or value is None:
            raise unknown_or_arity("XGROUP")
        entries_read = min(integer(value), COUNT_MAX)
        if entries_read < 0 and entries_read != UNKNOWN:
            raise RedisError("ERR value for ENTRIESREAD must be positive or -1")
    return makes_stream, entries_read


def _group(db: Keyspace, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """The stream at `key` and its group.  Raises RedisError if there is none."""
    stream: Stream | None = db.to_write(key, Stream)
    if stream is None:
        raise RedisError(NO_KEY)
    group = stream.groups.get(name)
    if group is None:
        raise RedisError(f"NOGROUP No such consumer group '{shown(name)}' for key name '{shown(key)}'")
    return stream, group
