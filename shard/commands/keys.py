"""Keys, whatever they hold: is it there, away with it, another name, another db, a copy."""

from common.command import AGG_SUM, DENYOOM, FAST, MULTI_SHARD, READONLY, WRITE
from common.errors import NoSuchKey, RedisError, SyntaxFault
from common.numbers import INT_MAX, INT_MIN, integer
from common.resp import OK, Status
from shard.commands.table import TABLE
from shard.events import tell, tell_renewed
from shard.keyspace import Keyspace
from shard.value import Value, type_name

command = TABLE.family("generic")


# --- Is it there, away with it ---------------------------------------------------------------------------------------


@command(
    "EXISTS key [key ...]",
    READONLY | FAST,
    since="1.0.0",
    complexity="O(N) where N is the number of keys to check.",
    keys="RO",
    fan=MULTI_SHARD,
    merge=AGG_SUM,
)
def exists(db: Keyspace, *keys: bytes) -> int:
    """Determines whether one or more keys exist."""
    return sum(map(db.exists, keys))


@command(
    "TOUCH key [key ...]",
    READONLY | FAST,
    since="3.2.1",
    complexity="O(N) where N is the number of keys that will be touched.",
    keys="RO",
    fan=MULTI_SHARD,
    merge=AGG_SUM,
)
def touch(db: Keyspace, *keys: bytes) -> int:
    """Returns the number of existing keys out of those specified after updating the time they were last accessed."""
    return sum(db.get(key) is not None for key in keys)


@command("TYPE key", READONLY | FAST, since="1.0.0", complexity="O(1)", keys="RO")
def type_(db: Keyspace, key: bytes) -> Status:
    """Determines the type of value stored at a key."""
    value = db.look(key)
    return NONE if value is None else Status(type_name(value))


NONE = Status("none")


@command(
    "DEL key [key ...]",
    WRITE,
    since="1.0.0",
    complexity="O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than"
    " a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set,"
    " sorted set or hash. Removing a single key that holds a string value is O(1).",
    keys="RM delete",
    fan=MULTI_SHARD,
    merge=AGG_SUM,
)
def del_(db: Keyspace, *keys: bytes) -> int:
    """Deletes one or more keys."""
    return sum(map(db.delete, keys))


@command(
    "UNLINK key [key ...]",
    WRITE | FAST,
    since="4.0.0",
    complexity="O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread"
    " in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
    keys="RM delete",
    fan=MULTI_SHARD,
    merge=AGG_SUM,
)
def unlink(db: Keyspace, *keys: bytes) -> int:
    """Asynchronously deletes one or more keys."""
    # As DEL: the keyspace frees what is large later in any case.
    return sum(map(db.delete, keys))


# --- Another name, another db, a copy --------------------------------------------------------------------------------


@command("RENAME key newkey", WRITE, since="1.0.0", complexity="O(1)", keys="RW access delete; OW update", event="")
def rename(db: Keyspace, key: bytes, newkey: bytes) -> Status:
    """Renames a key and overwrites the destination."""
    if db.get_to_write(key) is None:
        raise NoSuchKey()
    if key != newkey:
        _move(db, key, db, newkey, b"rename")
    return OK


@command(
    "RENAMENX key newkey", WRITE | FAST, since="1.0.0", complexity="O(1)", keys="RW access delete; OW insert", event=""
)
def renamenx(db: Keyspace, key: bytes, newkey: bytes) -> int:
    """Renames a key only when the target key name doesn't exist."""
    if db.get_to_write(key) is None:
        raise NoSuchKey()
    if db.get_to_write(newkey) is not None:
        return 0
    _move(db, key, db, newkey, b"rename")
    return 1


@command("MOVE key db", WRITE | FAST, since="1.0.0", complexity="O(1)", keys="RW access update", event="")
def move(db: Keyspace, key: bytes, index: bytes) -> int:
    """Moves a key to another database."""
    destination = _db(db, index)
    if destination is db:
        raise SameObject()
    if db.get_to_write(key) is None or destination.get_to_write(key) is not None:
        return 0
    _move(db, key, destination, key, b"move")
    return 1


@command(
    "COPY source destination [DB destination-db] [REPLACE]",
    WRITE | DENYOOM,
    since="6.2.0",
    complexity="O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
    keys="RO access; OW update",
    event="",
)
def copy(db: Keyspace, source: bytes, destination: bytes, *options: bytes) -> int:
    """Copies the value of a key to a new key."""
    target, replace = _copy_options(db, options)
    if target is db and source == destination:
        raise SameObject()
    value = db.get(source)
    if value is None or (target.get_to_write(destination) is not None and not replace):
        return 0
    if target.heard:
        tell_renewed(target, destination)
    target.set(destination, _copied(value), expire_at_ms=db.expiry_ms(source))
    if target.heard:
        tell(target, destination, b"copy_to")
    return 1


def _copy_options(db: Keyspace, options: tuple[bytes, ...]) -> tuple[Keyspace, bool]:
    """Into which db, and whether over a key that is there.  Raises RedisError."""
    target, replace = db, False
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DB" and (index := next(words, None)) is not None:
            target = _db(db, index)
        else:
            raise SyntaxFault()
    return target, replace


def _copied(value: Value) -> Value:
    return value if type(value) is bytes else value.copy()


def _move(source: Keyspace, key: bytes, destination: Keyspace, newkey: bytes, event: bytes) -> None:
    value, at_ms = source.take(key)
    if destination.heard:
        tell_renewed(destination, newkey)
    destination.set(newkey, value, expire_at_ms=at_ms)
    if source.heard:
        tell(source, key, event + b"_from")
        tell(destination, newkey, event + b"_to")


def _db(db: Keyspace, word: bytes) -> Keyspace:
    """The db of that number.  Raises RedisError."""
    index = integer(word)
    if not INT_MIN <= index <= INT_MAX:
        raise RedisError(f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}")
    if not 0 <= index < len(db.store.dbs):
        raise RedisError("ERR DB index is out of range")
    return db.store.dbs[index]


class SameObject(RedisError):
    text = "ERR source and destination objects are the same"
