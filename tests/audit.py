"""All that a server holds, read by commands: to compare two servers, or one before and after a restart.

An audit is a dict: (db, key) to (type, value, absolute expiry in ms or None, encoding). Values of types whose elements
have no order are sorted.
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
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", None, 0, -1, "WITHSCORES"),
    b"stream": ("XRANGE", None, "-", "+"),
}
"""How a type is read; None, or the end, is the place of the key."""


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
    argv = list(READERS.get(kind, ("EXISTS",)))
    value = call(*[key if word is None else word for word in argv] if None in argv else [*argv, key])
    expiry_ms = call("PEXPIRETIME", key)
    encoding = call("OBJECT", "ENCODING", key)
    return kind, _sorted(kind, value), expiry_ms if expiry_ms != -1 else None, encoding


def _sorted(kind: bytes, value: Any) -> Any:
    if kind == b"hash" and type(value) is list:
        return sorted(zip(value[::2], value[1::2], strict=True))
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
