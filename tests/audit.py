"""All that a server holds, read by commands: to compare two servers, or one before and after a restart.

An audit is a dict: (db, key) to (type, value, absolute expiry in ms or None, encoding). Values of types whose elements
have no order are sorted. Of a hash the fields' own expiries belong to the value, of a stream its groups with all that
is pending; but not when a consumer was seen last, which no log tells.
"""

from collections.abc import Callable
from typing import Any

from tests.resp_client import Map, Set

Call = Callable[..., Any]
"""Calls a command and gives the value of its reply: `client.call`."""

Audit = dict[tuple[int, bytes], tuple[bytes, Any, int | None, Any]]

READERS: dict[bytes, tuple[Any, ...]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", None, 0, -1),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", None, 0, -1, "WITHSCORES"),
}
"""How a type is read that one command reads; None, or the end, is the place of the key."""

NOT_LOGGED = (b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time")


def audit(call: Call, dbs: int = 16) -> Audit:
    """Selects each db in turn, and leaves the last one selected."""
    found: Audit = {}
    for db in range(dbs):
        call("SELECT", db)
        if call("DBSIZE"):
            for key in sorted(call("KEYS", "*")):
                found[db, key] = _audit_key(call, key)
    return found


def _audit_key(call: Call, key: bytes) -> tuple[bytes, Any, int | None, Any]:
    kind = bytes(call("TYPE", key))
    value = _value(call, kind, key)
    expiry_ms = call("PEXPIRETIME", key)
    encoding = call("OBJECT", "ENCODING", key)
    return kind, _sorted(kind, value), expiry_ms if expiry_ms != -1 else None, encoding


def _value(call: Call, kind: bytes, key: bytes) -> Any:
    if kind == b"hash":
        return _hash(call, key)
    if kind == b"stream":
        return _stream(call, key)
    argv = list(READERS.get(kind, ("EXISTS",)))
    return call(*[key if word is None else word for word in argv] if None in argv else [*argv, key])


def _hash(call: Call, key: bytes) -> list[tuple[bytes, bytes, int]]:
    """Fields, their texts, and when they expire: absolute, in ms; -1 for never."""
    pairs = _pairs(call("HGETALL", key))
    fields = [field for field, _ in pairs]
    times = call("HPEXPIRETIME", key, "FIELDS", len(fields), *fields) if fields else []
    return sorted((field, text, time) for (field, text), time in zip(pairs, times, strict=True))


def _stream(call: Call, key: bytes) -> dict[bytes, Any]:
    """What XINFO says of all of it: ids, entries, groups, consumers and what is pending."""
    found = _logged(call("XINFO", "STREAM", key, "FULL", "COUNT", 0))
    found[b"groups"] = [_logged(group) for group in found[b"groups"]]
    for group in found[b"groups"]:
        group[b"consumers"] = [_logged(consumer) for consumer in group[b"consumers"]]
    return found


def _logged(reply: Any) -> dict[bytes, Any]:
    return {name: value for name, value in _pairs(reply) if name not in NOT_LOGGED}


def _pairs(reply: Any) -> list[tuple[Any, Any]]:
    """A map, whatever the protocol."""
    return list(zip(reply[::2], reply[1::2], strict=True)) if type(reply) is list else list(reply)


def _sorted(kind: bytes, value: Any) -> Any:
    if kind in (b"hash", b"stream"):
        return value
    return sorted(value) if kind == b"set" or isinstance(value, Map | Set) else value


def differences(one: Audit, other: Audit, tolerance_ms: int = 0) -> list[str]:
    """What differs, in words; expiries may be that far apart."""
    found = []
    for db, key in sorted(one.keys() | other.keys()):
        first, second = one.get((db, key)), other.get((db, key))
        if first == second:
            continue
        if first and second and first[:2] + first[3:] == second[:2] + second[3:]:
            expiries = first[2], second[2]
            if None not in expiries and abs((first[2] or 0) - (second[2] or 0)) <= tolerance_ms:
                continue
        found.append(f"db {db}, key {key!r}: {first!r} and {second!r}")
    return found
