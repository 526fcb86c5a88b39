"""Messages from the router to a shard: what is no client's command.

Each is a function of the shard, by name: `[name, argument, ...]` in a run under the CONTROL header. It answers a plain
value, or raises a RedisError.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from shard import listeners, walk
from shard.digest import NOTHING, digest_of_db, digest_of_value
from shard.events import SILENT, call
from shard.footprint import db_overhead_bytes

if TYPE_CHECKING:
    from shard.server import Shard

CONTROLS: dict[str, Callable[..., Any]] = {}
WHOLES: set[str] = set()
"""Those that look at keys. While some are held they wait, as any command on the whole keyspace does."""


def control(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function answer to its name."""
    CONTROLS[function.__name__] = function
    return function


def whole(function: Callable[..., Any]) -> Callable[..., Any]:
    """Says that a message looks at keys."""
    WHOLES.add(function.__name__)
    return function


@control
def info(shard: "Shard") -> dict[str, Any]:
    """Everything that INFO, MEMORY STATS and LATENCY say of this shard."""
    store = shard.store
    executor = shard.executor
    stats = store.stats
    return {
        "process": shard.process_info(),
        "loading": executor.loading,
        "loading_since_s": shard.loading_since_s,
        "loaded_bytes": shard.aof.loaded_bytes,
        "total_bytes": shard.aof.total_bytes,
        "commands_loaded": shard.commands_loaded,
        "errors": executor.errors,
        "changes": store.changes_total - shard.saves.changes_saved,
        "refusing": executor.refusal is not None,
        "internal_errors": executor.internal_errors,
        "stats": stats.as_dict(),
        "dbs": {db.index: walk.info(db) for db in store.dbs if db.size},
        "commands": {name: counted.to_wire() for name, counted in executor.command_stats().items()},
        "garbage": len(store.garbage),
        "blocking_keys": sum(len(db.waiting) for db in store.dbs),
        "lasting_keys": sum(bool(queue.lasting) for db in store.dbs for queue in db.waiting.values()),
        "aof": shard.aof.info() | shard.rewriter.info(),
        "save": shard.saves.info(),
    }


@control
def count_keys(shard: "Shard") -> int:
    """The keys of all dbs, for what the router says of itself: those too whose time has just come."""
    return sum(db.size for db in shard.store.dbs)


@control
def config(shard: "Shard", values: dict[str, Any]) -> str:
    """Takes over directives that CONFIG SET changed; why that is not possible, or nothing."""
    try:
        shard.configure(values)
    except RedisError as error:
        return str(error)
    return ""


@control
def unblock(shard: "Shard", number: int, reason: str | None) -> bool:
    """Ends the blocked call that is run `number` of this link, if it still waits; whether it did. See Waiters.end."""
    return shard.room.waiters.end((shard.room.origin, number), reason)


@control
def track(shard: "Shard", tracked: bool) -> None:
    """Says whether clients cache what they read: then every change is told, see listeners.py."""
    shard.tracked = tracked
    if shard.loaded:  # What a replay does is no change.
        listeners.track(shard.store, tracked=tracked)


@control
def reset_stats(shard: "Shard") -> None:
    """CONFIG RESETSTAT."""
    shard.store.stats.reset()
    shard.executor.reset_stats()
    shard.rewriter.reset_stats()
    shard.aof.delayed_fsyncs = 0


@control
def sleep(shard: "Shard", seconds: float) -> None:
    """DEBUG SLEEP."""
    shard.sleep(seconds)


@control
def active_expiry(shard: "Shard", active: bool) -> None:
    """DEBUG SET-ACTIVE-EXPIRE: whether keys that nobody reads are removed when their time has come."""
    shard.active_expiry = active


@control
@whole
def reload(shard: "Shard") -> None:
    """DEBUG LOADAOF and RELOAD."""
    shard.reload()


@control
@whole
def digests(shard: "Shard") -> dict[int, bytes]:
    """This shard's part of DEBUG DIGEST, see shard/digest.py, by db."""
    return {db.index: digest_of_db(db) for db in shard.store.dbs if db.size}


@control
def pause_expiry(shard: "Shard", paused: bool) -> None:
    """CLIENT PAUSE and its end: while clients are paused, no key is removed because its time has come, also not when
    somebody reads it."""
    shard.expiry_paused = shard.store.hiding = paused


@control
@whole
def random_key(shard: "Shard", db: int) -> list[Any]:
    """One shard's part of RANDOMKEY: how many keys it has, one of them, and a chance in [0, 1) for the router's choice.

    Without a key the number is 0, for the keys that it may still have expired.
    """
    store = shard.store
    key = walk.random_key(store.dbs[db])
    shard.executor.take_expired()
    return [store.dbs[db].size if key is not None else 0, key, store.random.random()]


@control
@whole
def digests_of_values(shard: "Shard", db: int, keys: list[bytes]) -> list[bytes]:
    """DEBUG DIGEST-VALUE of these keys of one db; zeros for a key that is not here."""
    keyspace = shard.store.dbs[db]
    values = [(key, keyspace.peek(key)) for key in keys]
    return [NOTHING if value is None else digest_of_value(keyspace, key, value) for key, value in values]


@control
@whole
def populate(shard: "Shard", db: int, count: int, prefix: bytes, size_bytes: int) -> None:
    """This shard's part of DEBUG POPULATE: those of `prefix:0` to `prefix:count-1` that belong here and are missing."""
    store = shard.store
    keyspace = store.dbs[db]
    for number in range(count):
        key = b"%b:%d" % (prefix, number)
        if keyspace.slot_of(key) in store.slots_owned and keyspace.peek(key) is None:
            value = b"value:%d" % number
            value = value[:size_bytes].ljust(size_bytes, b"\0") if size_bytes else value
            shard.executor.log_expired()  # Before what takes the place of it.
            call(keyspace, SILENT)
            keyspace.set(key, value)
            shard.executor.log(db, [b"SET", key, value])
    shard.executor.take_expired()


@control
def memory(shard: "Shard") -> dict[str, Any]:
    """What MEMORY STATS says: INFO's, and the overhead of each db that has keys, as [main, expires] in bytes."""
    overheads = {db.index: list(db_overhead_bytes(db)) for db in shard.store.dbs if db.size}
    return {**info(shard), "overheads": overheads}
