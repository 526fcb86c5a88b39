"""RDB files, read: keys and values out of a file, a slice at a time.

Rule 1: a caller must not serve, or believe, anything of a file before the iterator has ended. Whether the file is whole
        is known only when its checksum was compared, at its very end.
Rule 2: whatever the bytes are, they are read to the end or LogDamaged is raised, which names file and offset.
Rule 3: memory is bounded by a slice, and by the largest object: a window goes over the file, and grows only for that.
Rule 4: a key may be in a file once. To see that here would take all keys; who puts them into a keyspace sees it there,
        and raises `damaged`.

What may come instead of a key's type:

    0xF4 slot keys keys-with-times          of a cluster         0xFA name value             what the server was
    0xF5 code                               functions            0xFB keys keys-with-times   how many follow
    0xF7 module when ...                    of a module          0xFC 8, 0xFD 4 bytes        when the next key expires
    0xF8 idle seconds, 0xF9 1 byte: uses    of the next key      0xFE db, 0xFF               its db; the end
"""

import logging
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, BinaryIO, cast

from shard.log_reader import LogDamaged
from shard.rdb import objects
from shard.rdb.crc64 import crc64
from shard.rdb.dump import CHECKSUM_BYTES, FOREIGN_VERSIONS, VERSION
from shard.rdb.encoding import BadObject, Reader
from shard.rdb.objects import read_object
from shard.rdb.walk import MODULE, MODULE_PRE_RELEASE, Short, Walker

logger = logging.getLogger("shardis")

Entry = tuple[int, bytes, Any, int]
"""db, key, value, and when it expires in ms since 1970; -1 for never. It may have expired already."""
RawEntry = tuple[int, bytes, int, bytes, int]
"""db, key, type, the bytes of the object, and when it expires as in Entry."""

SLICE_BYTES = 1 << 16
"""About 1500 small keys, 1 ms with putting them into a keyspace."""
STEP_BYTES_MAX = 1 << 24
"""Read in one go for a large object: what a length claims is not made room for before it has come."""
CHECKED_BYTES = 1 << 20
"""At once: what is checked is copied, and a large object would be there twice."""
DATABASES_MAX = 1 << 31

HEADER_BYTES = 9
CHECKSUM_FROM_VERSION = 5
REDIS_MAGIC = b"REDIS0"
VALKEY_MAGIC = b"VALKEY"

TIME_MS = Struct("<q")
TIME_S = Struct("<i")

_STRING = 0
_NO_TIME = -1
_OPCODES = 243
SLOT_IMPORT = 243
SLOT_INFO = 244
FUNCTION = 245
FUNCTION_PRE_RELEASE = 246
MODULE_AUX = 247
IDLE = 248
FREQUENCY = 249
AUX = 250
RESIZE_DB = 251
_EXPIRES_AT_MS = 252
_EXPIRES_AT_S = 253
_SELECT_DB = 254
_END = 255

MODULE_BYTES = {3: 4, 4: 8}
"""Of a float and a double among what modules save; 1 and 2 are lengths, 5 is a string, 0 the end."""
MODULE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

COUNTED = frozenset(
    (objects.LIST, objects.SET, objects.ZSET, objects.HASH, objects.ZSET_2, objects.LIST_QUICKLIST, objects.HASH_2)
    + (objects.LIST_QUICKLIST_2,)
)
EMPTY_LISTPACK = b"\x07\x07\0\0\0\0\0\xff"
EMPTY_ZIPLIST = b"\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"
EMPTY_PACKS = {
    objects.LIST_ZIPLIST: EMPTY_ZIPLIST,
    objects.ZSET_ZIPLIST: EMPTY_ZIPLIST,
    objects.HASH_ZIPLIST: EMPTY_ZIPLIST,
    objects.HASH_LISTPACK: EMPTY_LISTPACK,
    objects.ZSET_LISTPACK: EMPTY_LISTPACK,
    objects.SET_LISTPACK: EMPTY_LISTPACK,
}
EMPTY_NODES = {objects.LIST_QUICKLIST: EMPTY_ZIPLIST, objects.LIST_QUICKLIST_2: b"\x02" + EMPTY_LISTPACK}


def read_entries(
    file: BinaryIO,
    config: dict[str, Any],
    *,
    slice_bytes: int = SLICE_BYTES,
    wanted: Callable[[bytes], bool] | None = None,
) -> "EntryReader":
    """The keys of an open file and their values, a list per slice. `config` are the directives: those of listpacks,
    `databases`, `rdbchecksum` and `rdb-version-check`.  Raises LogDamaged, OSError; nothing may follow the file's end.

    None of it counts before the iterator has ended, see Rule 1, and each key has to be looked for, see Rule 4. With
    `wanted` only the keys that it says so of are read, of the others nothing is made; then there are empty lists.
    """
    return EntryReader(file, config, slice_bytes, wanted)


def raw_entries(file: BinaryIO, *, slice_bytes: int = SLICE_BYTES) -> "Iterator[list[RawEntry]]":
    """The keys of an open file and the bytes of their objects: type + object + version + checksum is a payload of
    RESTORE, see shard/rdb/dump.py. Nothing is made of an object, so it may be none.  Raises LogDamaged, OSError.

    Files of all versions are read that this server knows the letters of; in one of Redis from 7.4 on (its version is in
    FOREIGN_VERSIONS) the types from 22 on are Redis's own. What follows the end is left: `file` stands there then.
    """
    return cast("Iterator[list[RawEntry]]", EntryReader(file, None, slice_bytes))


class EntryReader:
    """An iterator over the lists of keys of one file.

    `version` is that of the file, 0 before the first list.
    """

    __slots__ = (
        "version",
        "_file",
        "_config",
        "_slice_bytes",
        "_size_bytes",
        "_walker",
        "_reader",
        "_start",
        "_at",
        "_checksum",
        "_checking",
        "_db",
        "_at_ms",
        "_over",
        "_left_out",
        "_wanted",
    )

    def __init__(
        self,
        file: BinaryIO,
        config: dict[str, Any] | None,
        slice_bytes: int,
        wanted: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.version = 0
        self._file = file
        self._config = config
        """None for raw entries."""
        self._slice_bytes = max(slice_bytes, HEADER_BYTES)
        self._walker = Walker(b"")
        self._reader = Reader(b"")
        self._start = 0
        """Where in the file the window begins."""
        self._size_bytes = -1
        """Of the file; -1 where it can't be known."""
        self._at = 0
        """Up to where in the window everything was taken."""
        self._checksum = 0
        self._checking = config is None or bool(config.get("rdbchecksum", True))
        self._db = 0
        self._at_ms = _NO_TIME
        self._over = False
        self._wanted = wanted
        self._left_out: dict[str, int] = {}
        """What is no data, or none for this server, and how often it came."""
        if file.seekable():
            self._start = file.tell()
            self._size_bytes = file.seek(0, 2)
            file.seek(self._start)

    @property
    def offset(self) -> int:
        """Up to where in the file everything was handed out."""
        return self._start + self._at

    def damaged(self, reason: str) -> LogDamaged:
        """An error to raise: the file is damaged in what was handed out last, or comes next."""
        name = getattr(self._file, "name", "")
        return LogDamaged(self.offset, reason, name if isinstance(name, str) else "")

    def __iter__(self) -> "EntryReader":
        return self

    def __next__(self) -> list[Entry]:
        entries: list[Entry] = []
        while not entries:
            if self._over:
                raise StopIteration
            try:
                if not self.version:
                    self._begin()
                self._take(entries)
            except Short as short:
                self._fill(short.needed)
                if self._wanted is not None:  # A long way without a key that is wanted must not take long.
                    return entries
            except BadObject:
                raise self.damaged(self._reason()) from None
        return entries

    # The window

    def _fill(self, needed: int) -> None:
        """Moves the window to what has not been taken, with at least `needed` bytes from the beginning of the old."""
        walker = self._walker
        at = self._at
        parts = [walker.data[at:]]
        missing = needed - len(walker.data)
        have = len(parts[0])
        if self._size_bytes >= 0 and self._start + needed > self._size_bytes:
            raise self.damaged("the file ends in the middle of what begins here")
        # At least doubled, because the walk over a large object begins anew: so all walks together are linear.
        missing = max(missing, have, self._slice_bytes)
        self._pass(at)
        walker.data = self._reader.data = b""
        must = needed - at
        while missing > 0:
            data = self._file.read(min(missing, max(STEP_BYTES_MAX, have)))
            if not data:
                break
            parts.append(data)
            have += len(data)
            missing -= len(data)
        walker.data = self._reader.data = b"".join(parts)
        if have < must:
            raise self.damaged("the file ends in the middle of what begins here")

    def _pass(self, at: int) -> None:
        """Leaves behind what is before the place `at` of the window; the window has to be set."""
        if self._checking:
            for start in range(0, at, CHECKED_BYTES):
                self._checksum = crc64(self._walker.data[start : min(start + CHECKED_BYTES, at)], self._checksum)
        self._start += at
        self._at = 0

    # What comes

    def _begin(self) -> None:
        """Reads the header.  Raises LogDamaged, Short."""
        data = self._walker.data
        if len(data) < HEADER_BYTES:
            raise Short(HEADER_BYTES)
        magic, digits = data[:6], data[6:HEADER_BYTES]
        if magic not in (REDIS_MAGIC, VALKEY_MAGIC) or not digits.isdigit():
            raise self.damaged("it does not begin as an RDB file")
        version = int(digits)
        is_named_right = {
            REDIS_MAGIC: version < FOREIGN_VERSIONS.stop,
            VALKEY_MAGIC: version >= FOREIGN_VERSIONS.stop,
        }[magic]
        if not version or not is_named_right:
            raise self.damaged(f"there is no version {version} of {magic.decode()[:5]}'s RDB files")
        strict = self._config is not None and self._config.get("rdb-version-check") != "relaxed"
        if version > VERSION and (strict or self._config is None):
            raise self.damaged(f"it has the version {version} of RDB files, and {VERSION} is the last that is known")
        if version in FOREIGN_VERSIONS:
            if strict:
                reason = f"version {version} of RDB files is Redis's own, which is read with rdb-version-check relaxed"
                raise self.damaged(reason)
            self._walker.of_redis = True
        self.version = version
        self._at = HEADER_BYTES

    def _take(self, entries: list[Any]) -> None:
        """Takes a slice's worth of what is in the window.  Raises Short where that ends, BadObject, LogDamaged."""
        walker, reader, config, wanted = self._walker, self._reader, self._config, self._wanted
        data = walker.data
        view = data
        at = self._at
        until = at + self._slice_bytes
        end = len(data)
        while at < until:
            walker.at = at
            if at >= end:
                raise Short(at + 1)
            kind = view[at]
            if kind >= _OPCODES:
                walker.at = at + 1
                self._opcode(kind)
                if self._over:
                    return
                at = self._at = walker.at
                continue
            walker.at = at + 1
            walker.pass_string()
            start = walker.at
            walker.pass_object(kind)
            stop = walker.at
            reader.at = at + 1
            key = reader.string()
            at_ms = self._at_ms
            if wanted is not None and not wanted(key):
                self._at_ms = _NO_TIME
                at = self._at = stop
                continue
            if kind == _STRING and config is not None:
                entries.append((self._db, key, reader.string(), at_ms))
            elif kind != _STRING and is_empty(data, kind, start, stop):
                self._leave_out("empty keys")
                reader.at = stop
            elif config is None:
                entries.append((self._db, key, kind, data[start:stop], at_ms))
            else:
                if walker.of_redis and kind >= objects.HASH_2:
                    raise BadObject()
                entries.append((self._db, key, read_object(reader, kind, config), at_ms))
            if config is not None and reader.at != stop:
                raise BadObject()
            self._at_ms = _NO_TIME
            at = self._at = stop

    def _opcode(self, kind: int) -> None:
        """What is no key."""
        walker = self._walker
        if kind in (_EXPIRES_AT_MS, _EXPIRES_AT_S):
            at = walker.at
            if kind == _EXPIRES_AT_MS:
                walker.pass_bytes(8)
                at_ms = TIME_MS.unpack_from(walker.data, at)[0]
            else:
                walker.pass_bytes(4)
                at_ms = TIME_S.unpack_from(walker.data, at)[0] * 1000
            # A time before 1970 has passed; only -1 says that there is none.
            self._at_ms = at_ms if at_ms >= _NO_TIME else 0
        elif kind == _SELECT_DB:
            db = walker.length()
            databases = DATABASES_MAX if self._config is None else self._config.get("databases", DATABASES_MAX)
            if db >= databases:
                raise self.damaged(f"no such db: {db}")
            self._db = db
        elif kind == _END:
            self._finish()
        else:
            self._odd_opcode(kind)

    def _odd_opcode(self, kind: int) -> None:
        """What may come that is of no use here."""
        walker = self._walker
        if kind == AUX:
            walker.pass_string()
            walker.pass_string()
        elif kind == RESIZE_DB:
            walker.length()
            walker.length()
        elif kind == IDLE:
            walker.length()
        elif kind == FREQUENCY:
            walker.byte()
        elif kind == SLOT_INFO:
            for _ in range(3):
                walker.length()
        elif kind == FUNCTION:
            walker.pass_string()
            self._leave_out("libraries of functions")
        elif kind == MODULE_AUX:
            self._pass_module()
            self._leave_out("fields of modules")
        else:
            raise BadObject()

    def _pass_module(self) -> None:
        """What a module has saved beside the keys: its number, and things that say of themselves what they are."""
        walker = self._walker
        walker.length()
        walker.length()
        walker.length()
        while kind := walker.length():
            if kind in (1, 2):
                walker.length()
            elif kind in MODULE_BYTES:
                walker.pass_bytes(MODULE_BYTES[kind])
            elif kind == 5:
                walker.pass_string()
            else:
                raise BadObject()

    def _leave_out(self, what: str) -> None:
        self._left_out[what] = self._left_out.get(what, 0) + 1

    # The end

    def _finish(self) -> None:
        """Behind the last opcode.  Raises LogDamaged, Short."""
        walker = self._walker
        end = walker.at
        if self.version >= CHECKSUM_FROM_VERSION:
            walker.pass_bytes(CHECKSUM_BYTES)
            said = int.from_bytes(walker.data[end : end + CHECKSUM_BYTES], "little")
            if said and self._checking and said != crc64(walker.data[:end], self._checksum):
                raise self.damaged("its checksum is another")
        at = walker.at
        if self._config is None:
            if self._size_bytes >= 0:
                self._file.seek(self._start + at)
        elif at < len(walker.data) or self._file.read(1):
            self._at = at
            raise self.damaged("something follows the end of the RDB file")
        self._at = at
        self._over = True
        for what, count in self._left_out.items():
            logger.warning("%s: %d %s are left out", getattr(self._file, "name", "RDB"), count, what)

    def _reason(self) -> str:
        """Why what begins at `offset` is no object."""
        data, at = self._walker.data, self._at
        kind = data[at]
        if kind == SLOT_IMPORT and not self._walker.of_redis:
            return "slots were being imported from another server, so it has parts of them only"
        if kind == FUNCTION_PRE_RELEASE:
            return "functions in a form from before there was a release"
        if kind >= _OPCODES:
            return f"what follows the opcode {kind} can't be read"
        walker = Walker(data, at + 1)
        try:
            walker.pass_string()
            number = walker.length() if kind == MODULE else 0
        except (BadObject, Short):
            return f"the key that follows the type {kind} can't be read"
        if kind == MODULE_PRE_RELEASE:
            return "a value of a module, in a form from before there was a release"
        if kind == MODULE:
            return f"a value of the module type {module_name(number)!r}, and modules are not supported"
        if self._walker.of_redis and kind >= objects.HASH_2:
            return f"a value of type {kind}, which only Redis has"
        if kind not in objects.READERS:
            return f"{kind} is no type of a value"
        return f"no value of type {kind}"


def is_empty(data: bytes, kind: int, start: int, stop: int) -> bool:
    """Whether an object is a list, set, hash or sorted set with nothing in it. There is no such key, but Redis had bugs
    that made some; the reference passes over them, too. O(1), for a list O(its nodes that are empty)."""
    if kind in EMPTY_PACKS:
        return stop - start == len(EMPTY_PACKS[kind]) and data[start:stop] == EMPTY_PACKS[kind]
    if kind not in COUNTED:
        return False
    if data[start] == 0:
        return True
    if kind in EMPTY_NODES:
        count, node = data[start], EMPTY_NODES[kind]
        return stop - start == 1 + count * len(node) and data[start + 1 : stop] == node * count
    return False


def module_name(number: int) -> str:
    """The name of a module's type: nine letters of six bits each, above ten bits of its version."""
    return "".join(MODULE_LETTERS[number >> shift & 63] for shift in range(58, 9, -6))
