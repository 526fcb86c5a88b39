"""A model of the few commands whose histories are checked: strings and lists in a dict, one call after the other.

`Model(keys).step` is what tests.linearizability asks for. A transaction is one call: `(b"EXEC", call, call ...)`; one
that found the values it had watched is `(b"WATCHED", ((key, value), ...), call, ...)`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tests.resp_client import Error, Status

OK = Status(b"OK")
NO_SUCH_KEY = Error(b"ERR no such key")

Value = bytes | tuple[bytes, ...]
Db = dict[bytes, Value]
"""Keys that are there. A list is a tuple of its elements, so that a state can be hashed."""
Call = tuple[Any, ...]
State = tuple[Value | None, ...]


class Model:
    """The keys of one history. A state has the value of each, None where it is missing."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.keys = tuple(keys)
        self.empty: State = (None,) * len(keys)

    def step(self, state: State, call: Call) -> tuple[State, Any]:
        """The state after the call, and its reply."""
        db = {key: value for key, value in zip(self.keys, state, strict=True) if value is not None}
        reply = run(db, call)
        return tuple([db.get(key) for key in self.keys]), reply


def run(db: Db, call: Call) -> Any:
    return COMMANDS[call[0]](db, *call[1:])


def _exec(db: Db, *calls: Call) -> Any:
    return [run(db, call) for call in calls]


def _watched(db: Db, values: Sequence[tuple[bytes, Value | None]], *calls: Call) -> Any:
    if any(db.get(key) != value for key, value in values):
        return None
    return _exec(db, *calls)


# Strings and keys


def _get(db: Db, key: bytes) -> Any:
    return db.get(key)


def _set(db: Db, key: bytes, value: bytes, *options: bytes) -> Any:
    old = db.get(key)
    if b"NX" not in options or old is None:
        db[key] = value
    elif b"GET" not in options:
        return None
    return old if b"GET" in options else OK


def _getset(db: Db, key: bytes, value: bytes) -> Any:
    return _set(db, key, value, b"GET")


def _incrby(db: Db, key: bytes, by: bytes) -> Any:
    number = int(db.get(key, b"0")) + int(by)  # type: ignore[arg-type]
    db[key] = b"%d" % number
    return number


def _mget(db: Db, *keys: bytes) -> Any:
    return [db.get(key) for key in keys]


def _mset(db: Db, *words: bytes) -> Any:
    db.update(zip(words[::2], words[1::2], strict=True))
    return OK


def _msetnx(db: Db, *words: bytes) -> Any:
    if _exists(db, *words[::2]):
        return 0
    _mset(db, *words)
    return 1


def _exists(db: Db, *keys: bytes) -> Any:
    return sum(key in db for key in keys)


def _del(db: Db, *keys: bytes) -> Any:
    return sum(db.pop(key, None) is not None for key in keys)


def _rename(db: Db, source: bytes, target: bytes) -> Any:
    if source not in db:
        return NO_SUCH_KEY
    db[target] = db.pop(source)
    return OK


def _renamenx(db: Db, source: bytes, target: bytes) -> Any:
    if source in db and target in db:
        return 0
    reply = _rename(db, source, target)
    return 1 if reply == OK else reply


def _copy(db: Db, source: bytes, target: bytes, *options: bytes) -> Any:
    if source not in db or (target in db and not options):
        return 0
    db[target] = db[source]
    return 1


# Lists. A blocking call whose time was over is answered by None, which is right only at a moment with nothing to pop.


def _items(db: Db, key: bytes) -> tuple[bytes, ...]:
    found = db.get(key, ())
    assert isinstance(found, tuple)
    return found


def _keep(db: Db, key: bytes, items: tuple[bytes, ...]) -> int:
    if items:
        db[key] = items
    else:
        db.pop(key, None)
    return len(items)


def _rpush(db: Db, key: bytes, *elements: bytes) -> Any:
    return _keep(db, key, _items(db, key) + elements)


def _lpush(db: Db, key: bytes, *elements: bytes) -> Any:
    return _keep(db, key, elements[::-1] + _items(db, key))


def _pop(db: Db, key: bytes, side: bytes) -> bytes | None:
    items = _items(db, key)
    if not items:
        return None
    _keep(db, key, items[1:] if side == b"LEFT" else items[:-1])
    return items[0 if side == b"LEFT" else -1]


def _lrange(db: Db, key: bytes, start: bytes, stop: bytes) -> Any:
    assert (start, stop) == (b"0", b"-1")
    return list(_items(db, key))


def _lmove(db: Db, source: bytes, target: bytes, side: bytes, other_side: bytes, *_timeout: bytes) -> Any:
    element = _pop(db, source, side)
    if element is not None:
        (_lpush if other_side == b"LEFT" else _rpush)(db, target, element)
    return element


def _blocking_pop(side: bytes) -> Callable[..., Any]:
    def pop(db: Db, *words: bytes) -> Any:
        for key in words[:-1]:
            if key in db:
                return [key, _pop(db, key, side)]
        return None

    return pop


def _lmpop(db: Db, numkeys: bytes, *words: bytes) -> Any:
    """LMPOP numkeys key ... LEFT|RIGHT [COUNT count]"""
    keys, (side, *options) = words[: int(numkeys)], words[int(numkeys) :]
    count = int(options[1]) if options else 1
    for key in keys:
        if key in db:
            return [key, [_pop(db, key, side) for _ in range(min(count, len(_items(db, key))))]]
    return None


COMMANDS: dict[bytes, Callable[..., Any]] = {
    b"EXEC": _exec,
    b"WATCHED": _watched,
    b"GET": _get,
    b"SET": _set,
    b"GETSET": _getset,
    b"GETDEL": lambda db, key: db.pop(key, None),
    b"INCRBY": _incrby,
    b"DECRBY": lambda db, key, by: _incrby(db, key, b"-" + by),
    b"MGET": _mget,
    b"MSET": _mset,
    b"MSETNX": _msetnx,
    b"EXISTS": _exists,
    b"DEL": _del,
    b"RENAME": _rename,
    b"RENAMENX": _renamenx,
    b"COPY": _copy,
    b"RPUSH": _rpush,
    b"LPUSH": _lpush,
    b"LPOP": lambda db, key: _pop(db, key, b"LEFT"),
    b"RPOP": lambda db, key: _pop(db, key, b"RIGHT"),
    b"LLEN": lambda db, key: len(_items(db, key)),
    b"LRANGE": _lrange,
    b"LMOVE": _lmove,
    b"BLMOVE": _lmove,
    b"RPOPLPUSH": lambda db, source, target: _lmove(db, source, target, b"RIGHT", b"LEFT"),
    b"BLPOP": _blocking_pop(b"LEFT"),
    b"BRPOP": _blocking_pop(b"RIGHT"),
    b"LMPOP": _lmpop,
    b"BLMPOP": lambda db, timeout, *words: _lmpop(db, *words),
}
