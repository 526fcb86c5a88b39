"""Messages from the router to a shard: what is no client's command.

Each is a function of the shard, by name: `[name, argument, ...]` in a run under the CONTROL header. It answers a plain
value, or raises a RedisError.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shard import walk

if TYPE_CHECKING:
    from shard.server import Shard

CONTROLS: dict[str, Callable[..., Any]] = {}


def control(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function answer to its name."""
    CONTROLS[function.__name__] = function
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
        "commands_loaded": shard.commands_loaded,
        "changes": store.changes_total,
        "refusing": executor.refusal is not None,
        "internal_errors": executor.internal_errors,
        "stats": stats.as_dict(),
        "dbs": {db.index: db.info() for db in store.dbs if db.size},
        "commands": {name: counted.to_wire() for name, counted in executor.command_stats().items()},
        "garbage": len(store.garbage),
        "aof": shard.aof.info(),
    }


@control
def config(shard: "Shard", values: dict[str, Any]) -> None:
    """Takes over directives that CONFIG SET changed."""
    shard.configure(values)


@control
def reset_stats(shard: "Shard") -> None:
    """CONFIG RESETSTAT."""
    shard.store.stats.reset()
    shard.executor.reset_stats()


@control
def pause_expiry(shard: "Shard", paused: bool) -> None:
    """CLIENT PAUSE and its end: while clients are paused, no key is removed because its time has come."""
    shard.expiry_paused = paused


@control
def random_key(shard: "Shard", db: int) -> list[Any]:
    """One shard's part of RANDOMKEY: how many keys it has, one of them, and a chance in [0, 1) for the router's choice.

    Without a key the number is 0, for the keys that it may still have expired.
    """
    store = shard.store
    key = walk.random_key(store.dbs[db])
    store.changes_total += store.changes
    store.changes = 0
    shard.executor.log_expired()
    return [store.dbs[db].size if key is not None else 0, key, store.random.random()]
