"""HyperLogLogs: strings that count how many different elements were added.

PFCOUNT keeps the count that it reckons in the string: a read that writes, and is logged, as in the reference.

Deviation: where a corrupt one is found out only after some elements of a PFADD were added, none is; the reference keeps
those, without a word to its log.
"""

from typing import Any

from common.command import ADMIN, DENYOOM, FAST, MAY_REPLICATE, READONLY, WRITE
from common.errors import RedisError, WrongType, shown
from common.resp import OK, Status
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.value import STRING_TYPES
from shard.values import hyperloglog as hll

command = TABLE.family("hyperloglog")

String = bytes | bytearray

CORRUPT = "INVALIDOBJ Corrupted HLL object detected"
NOT_ONE = "WRONGTYPE Key is not a valid HyperLogLog string value."
SELF_TEST_ELEMENTS = 500


@command(
    "PFADD key [element [element ...]]",
    WRITE | DENYOOM | FAST,
    since="2.8.9",
    complexity="O(1) to add every element.",
    keys="RW insert",
)
def pfadd(db: Keyspace, key: bytes, *elements: bytes) -> int:
    """Adds elements to a HyperLogLog key. Creates the key if it doesn't exist."""
    string = _checked(db.get_to_write(key))
    places = [hll.place_of(element) for element in elements]
    if string is None or hll.is_sparse(string):
        return _add_to_copy(db, key, string, places)
    if not hll.would_change(string, places):
        return 0
    string = db.edit_string(key)
    for place in places:
        hll.add(string, place, 0)
    hll.make_stale(string)
    return 1


def _add_to_copy(db: Keyspace, key: bytes, string: String | None, places: list[int]) -> int:
    """Adds to one that may turn out to be corrupt on the way."""
    copy = hll.new() if string is None else bytearray(string)
    sparse_bytes_max = _sparse_bytes_max(db)
    added = string is None
    for place in places:
        result = hll.add(copy, place, sparse_bytes_max)
        if result < 0:
            raise RedisError(CORRUPT)
        added = added or result > 0
    if added:
        hll.make_stale(copy)
        db.set(key, copy, keep_ttl=True)
    return int(added)


@command(
    "PFCOUNT key [key ...]",
    READONLY | MAY_REPLICATE,
    since="2.8.9",
    complexity="O(1) with a very small average constant time when called with a single key. O(N) with N being the "
    "number of keys, and much bigger constant times, when called with multiple keys.",
    keys="RW access",
    event="",
)
def pfcount(db: Keyspace, *keys: bytes) -> int:
    """Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)."""
    if len(keys) > 1:
        return hll.count(_union(db, keys)[0])
    string = _checked(db.get(keys[0]))
    if string is None:
        return 0
    count = hll.cached_count(string)
    if count < 0:
        count = hll.count(_registers(string))
        hll.keep_count(db.edit_string(keys[0]), count)
    return count


@command(
    "PFMERGE destkey [sourcekey [sourcekey ...]]",
    WRITE | DENYOOM,
    since="2.8.9",
    complexity="O(N) to merge N HyperLogLogs, but with high constant times.",
    keys="RW access insert; RO access",
    event="pfadd",
)
def pfmerge(db: Keyspace, *keys: bytes) -> Status:
    """Merges one or more HyperLogLog values into a single key."""
    values, dense = _union(db, keys)
    string = bytearray(db.get_to_write(keys[0]) or hll.new())
    if dense:
        hll.put_dense(string, values)
    else:
        hll.raise_to(string, values, _sparse_bytes_max(db))
    hll.make_stale(string)
    db.set(keys[0], string, keep_ttl=True)
    return OK


@command(
    "PFDEBUG subcommand key",
    WRITE | DENYOOM | ADMIN,
    since="2.8.9",
    complexity="N/A",
    keys="RW access",
    event="",
)
def pfdebug(db: Keyspace, subcommand: bytes, key: bytes) -> Any:
    """Internal commands for debugging HyperLogLog values."""
    name = subcommand.upper()
    if name == b"SIMD":
        return _simd(key)
    string = _checked(db.get_to_write(key))
    if string is None:
        raise RedisError("ERR The specified key does not exist")
    if name == b"ENCODING":
        return Status("sparse" if hll.is_sparse(string) else "dense")
    if name == b"DECODE":
        return _decoded(string)
    if name not in (b"GETREG", b"TODENSE"):
        raise RedisError(f"ERR Unknown PFDEBUG subcommand '{shown(subcommand)}'")
    values = _registers(string)
    was_sparse = hll.is_sparse(string)
    if was_sparse:
        heard, db.heard = db.heard, False  # It is the same set: nobody is told.
        hll.put_dense(db.edit_string(key), values)
        db.heard = heard
    return list(values) if name == b"GETREG" else int(was_sparse)


def _simd(state: bytes) -> Status:
    """What the reference says of its vector instructions; nothing depends on them here."""
    if state.upper() not in (b"ON", b"OFF"):
        raise RedisError("ERR Argument must be ON or OFF")
    return Status("enabled" if state.upper() == b"ON" else "disabled")


def _decoded(string: String) -> bytes:
    """The runs of a sparse one, as text."""
    if not hll.is_sparse(string):
        raise RedisError("ERR HLL encoding is not sparse")
    return b" ".join(
        b"v:%d,%d" % (value, length) if value else b"%b:%d" % (b"Z" if long else b"z", length)
        for value, length, long in hll.runs(string)
    )


@command("PFSELFTEST", ADMIN, since="2.8.9", complexity="N/A")
def pfselftest(db: Keyspace) -> Status:
    """An internal command for testing HyperLogLog values."""
    sparse, dense = hll.new(), hll.new()
    hll.to_dense(dense)
    for number in range(SELF_TEST_ELEMENTS):
        place = hll.place_of(b"%d" % number)
        if hll.add(sparse, place, hll.SPARSE_BYTES_MAX) != hll.add(dense, place, 0):
            raise RedisError("TESTFAILED dense/sparse disagree")
    values = hll.registers(dense)
    if values is None or values != hll.registers(sparse) or hll.packed(values) != dense[hll.HEADER_BYTES :]:
        raise RedisError("TESTFAILED dense/sparse disagree")
    if abs(hll.count(values) - SELF_TEST_ELEMENTS) > SELF_TEST_ELEMENTS // 20:
        raise RedisError("TESTFAILED Too big error")
    return OK


def _union(db: Keyspace, keys: tuple[bytes, ...]) -> tuple[bytes, bool]:
    """The registers of all that was added to any, and whether one of them is dense.  Raises RedisError."""
    values = bytes(hll.REGISTERS)
    dense = False
    for key in keys:
        string = _checked(db.get(key))
        if string is not None:
            values = hll.merged(values, _registers(string))
            dense = dense or not hll.is_sparse(string)
    return values, dense


def _checked(value: Any) -> String | None:
    """A value that is a HyperLogLog, as far as its header says, or that is not there.  Raises RedisError."""
    if value is None:
        return None
    if type(value) not in STRING_TYPES:
        raise WrongType()
    if not hll.is_valid(value):
        raise RedisError(NOT_ONE)
    string: String = value
    return string


def _registers(string: String) -> bytes:
    """Raises RedisError if its runs are not right."""
    values = hll.registers(string)
    if values is None:
        raise RedisError(CORRUPT)
    return values


def _sparse_bytes_max(db: Keyspace) -> int:
    limit: int = db.store.config.get("hll-sparse-max-bytes", hll.SPARSE_BYTES_MAX)
    return limit
