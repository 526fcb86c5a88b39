"""Streams: adding and deleting entries. What the log gets of XADD is the ID that the entry got."""

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import NoSuchKey, RedisError, SyntaxFault, wrong_arity
from common.numbers import integer
from common.resp import OK, Status
from shard.commands.stream_ids import id_text, parse_id
from shard.commands.stream_trim import AUTO, AUTO_SEQUENCE, parse_options
from shard.commands.table import TABLE
from shard.events import tell
from shard.keyspace import Keyspace
from shard.values.stream import ID_MAX, Stream
from shard.values.stream_groups import COUNT_MAX
from shard.values.stream_node import ID_BITS, MASK

command = TABLE.family("stream")

TOO_SMALL = "ERR The ID specified in XADD is equal or smaller than the target stream top item"


@command(
    "XADD key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]",
    WRITE | DENYOOM | FAST,
    since="5.0.0",
    complexity="O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    tips="nondeterministic_output",
)
def xadd(db: Keyspace, key: bytes, *words: bytes) -> bytes | None:
    """Appends a new message to a stream. Creates the key if it doesn't exist."""
    return _add(db, key, words)


def _add(db: Keyspace, key: bytes, words: tuple[bytes, ...]) -> bytes | None:
    word = words[0]
    options, given, ms = None, AUTO, 0
    if word == b"*":
        fields = words[1:]
    elif word[:1].isdigit() and word[-1:] != b"*":
        given = parse_id(word)
        fields = words[1:]
    else:
        options = parse_options(db, words, adds=True)
        given, ms = options.id, options.ms
        fields = words[options.at + 1 :]
    if not fields or len(fields) & 1:
        raise wrong_arity("xadd")
    if given == 0:
        raise RedisError("ERR The ID specified in XADD must be greater than 0-0")
    stream = db.to_write(key, Stream)
    if stream is None and options is not None and not options.makes:
        return None
    id_ = _next_id(0 if stream is None else stream.last_id, given, ms, db.store.now_ms)
    if stream is None:
        stream = db.edit(key, Stream)
    else:
        db.changed(key)
    config = db.store.config
    stream.append(id_, fields, config.get("stream-node-max-entries", 100), config.get("stream-node-max-bytes", 4096))
    text = id_text(id_)
    if options is not None:
        if options.trim(db, stream) and db.heard:
            tell(db, key, b"xtrim")
        db.log(b"XADD", key, *options.logged(stream), text, *fields)
    elif given == AUTO:
        db.log(b"XADD", key, text, *fields)
    return text


def _next_id(last_id: int, given: int, ms: int, now_ms: int) -> int:
    """The ID of a new entry: the `given` one, or AUTO, or AUTO_SEQUENCE in `ms`.

    Raises RedisError if it isn't greater than the last one.
    """
    if last_id == ID_MAX:
        raise RedisError("ERR The stream has exhausted the last possible ID, unable to add more items")
    if given == AUTO:
        given = now_ms << ID_BITS
        return given if given > last_id else last_id + 1
    if given == AUTO_SEQUENCE:
        given = ms << ID_BITS
        if given <= last_id and ms == last_id >> ID_BITS and last_id & MASK != MASK:
            return last_id + 1
    if given <= last_id:
        raise RedisError(TOO_SMALL)
    return given


@command("XLEN key", READONLY | FAST, since="5.0.0", complexity="O(1)", keys="RO")
def xlen(db: Keyspace, key: bytes) -> int:
    """Returns the number of messages in a stream."""
    stream = db.get(key, Stream)
    return 0 if stream is None else stream.length


@command(
    "XDEL key id [id ...]",
    WRITE | FAST,
    since="5.0.0",
    complexity="O(1) for each single item to delete in the stream, regardless of the stream size.",
    keys="RW delete",
)
def xdel(db: Keyspace, key: bytes, *words: bytes) -> int:
    """Returns the number of messages after removing them from a stream."""
    stream = db.to_write(key, Stream)
    if stream is None:
        return 0
    deleted: int = sum([stream.remove(id_) for id_ in [parse_id(word) for word in words]])
    if deleted:
        db.changed_quietly(key)
    return deleted


@command(
    "XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]",
    WRITE,
    since="5.0.0",
    complexity="O(N), with N being the number of evicted entries. Constant times are very small however, since entries"
    " are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
    keys="RW delete",
    tips="nondeterministic_output",
)
def xtrim(db: Keyspace, key: bytes, *words: bytes) -> int:
    """Deletes messages from the beginning of a stream."""
    options = parse_options(db, words, adds=False)
    stream = db.to_write(key, Stream)
    if stream is None:
        return 0
    deleted = options.trim(db, stream)
    if deleted:
        db.changed_quietly(key)
        db.log(b"XTRIM", key, *options.logged(stream))
    return deleted


@command(
    "XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    WRITE | DENYOOM | FAST,
    since="5.0.0",
    complexity="O(1)",
)
def xsetid(db: Keyspace, key: bytes, last_id: bytes, *words: bytes) -> Status:
    """An internal command for replicating stream values."""
    id_ = parse_id(last_id)
    added, max_deleted_id = _parse_counts(words, id_)
    stream = db.to_write(key, Stream)
    if stream is None:
        raise NoSuchKey()
    if id_ < stream.max_deleted_id:
        raise RedisError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
    if id_ < stream.top_id():
        raise RedisError("ERR The ID specified in XSETID is smaller than the target stream top item")
    if -1 < added < stream.length:
        raise RedisError("ERR The entries_added specified in XSETID is smaller than the target stream length")
    stream.last_id = id_
    if added >= 0:
        stream.added = min(added, COUNT_MAX)
    if max_deleted_id:
        stream.max_deleted_id = max_deleted_id
    db.changed_aside(key)
    return OK


def _parse_counts(words: tuple[bytes, ...], last_id: int) -> tuple[int, int]:
    """ENTRIESADDED, -1 if not said, and MAXDELETEDID, 0 if not said.  Raises RedisError."""
    added, max_deleted_id = -1, 0
    rest = iter(words)
    for word in rest:
        name, value = word.upper(), next(rest, None)
        if value is None or name not in (b"ENTRIESADDED", b"MAXDELETEDID"):
            raise SyntaxFault()
        if name == b"ENTRIESADDED":
            added = integer(value)
            if added < 0:
                raise RedisError("ERR entries_added must be positive")
        else:
            max_deleted_id = parse_id(value)
            if last_id < max_deleted_id:
                raise RedisError("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
    return added, max_deleted_id
