"""How far an object of RDB reaches, without making its value: a walk over lengths.

Rule 1: what is not there yet is not damage. Where the bytes end before the object does, `Short` says how many are
        needed at least; whoever reads a file gives more and walks again from the object's beginning.
Rule 2: a walk takes time for what it passes, not for what a length claims: each thing that is counted has a byte.
"""

from shard.rdb import objects
from shard.rdb.encoding import BadObject

_STRING_BYTES_MAX = 1 << 32
"""A longer string is a damaged length: eight times what proto-max-bulk-len lets a client send as it comes."""

_STRINGS = 1
_PAIRS = 2
_OLD_SCORES = 3
_SCORES = 4
_ONE_STRING = 5
_NODES = 6
_STREAM_1 = 7
_STREAM_2 = 8
_STREAM_3 = 9
_TIMED_PAIRS = 10
_MODULE = 11
_REDIS_PAIRS = 12
_REDIS_PAIRS_TIMED = 13
_REDIS_PACK_TIMED = 14

_SHAPES = bytearray(256)
"""What stands in an object by its type; 0 for types that are not known."""
for _kind, _shape in {
    objects.STRING: _ONE_STRING,
    objects.LIST: _STRINGS,
    objects.SET: _STRINGS,
    objects.ZSET: _OLD_SCORES,
    objects.HASH: _PAIRS,
    objects.ZSET_2: _SCORES,
    objects.HASH_ZIPMAP: _ONE_STRING,
    objects.LIST_ZIPLIST: _ONE_STRING,
    objects.SET_INTSET: _ONE_STRING,
    objects.ZSET_ZIPLIST: _ONE_STRING,
    objects.HASH_ZIPLIST: _ONE_STRING,
    objects.LIST_QUICKLIST: _STRINGS,
    objects.STREAM_LISTPACKS: _STREAM_1,
    objects.HASH_LISTPACK: _ONE_STRING,
    objects.ZSET_LISTPACK: _ONE_STRING,
    objects.LIST_QUICKLIST_2: _NODES,
    objects.STREAM_LISTPACKS_2: _STREAM_2,
    objects.SET_LISTPACK: _ONE_STRING,
    objects.STREAM_LISTPACKS_3: _STREAM_3,
    objects.HASH_2: _TIMED_PAIRS,
}.items():
    _SHAPES[_kind] = _shape

MODULE_PRE_RELEASE = 6
MODULE = 7
_SHAPES[MODULE] = _MODULE

REDIS_SHAPES = {22: _REDIS_PAIRS, 23: _ONE_STRING, 24: _REDIS_PAIRS_TIMED, 25: _REDIS_PACK_TIMED}
"""Hashes with times as Redis writes them from 7.4 on (22 and 23: before its release), by types that mean other things
in Valkey. They can be walked over, so that a tool names the keys that it can't bring along."""


class Short(Exception):
    """The bytes end before the object does. `needed` is how many there must be at least, from their beginning."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class Walker:
    """Walks over `data` from the place `at` on. Every method passes one thing; raises Short where the bytes end before
    it does, and BadObject where no bytes could make it right. `at` counts only if neither was raised.

    >>> walker = Walker(b"\\x02\\x01a\\x01b\\x03")
    >>> walker.pass_object(objects.SET)
    >>> walker.at
    5
    """

    __slots__ = ("data", "at", "of_redis")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at
        self.of_redis = False
        """Whether types have Redis's meaning, see REDIS_SHAPES."""

    def byte(self) -> int:
        """One byte."""
        view = self.data
        at = self.at
        if at >= len(self.data):
            raise Short(at + 1)
        self.at = at + 1
        return view[at]

    def length(self) -> int:
        """A length, up to 2**64 - 1, as Reader.length gives it."""
        view = self.data
        kind = self.byte()
        if kind < 0x40 or kind >= 0xC0:
            return kind & 63
        if kind < 0x80:
            return (kind & 63) << 8 | self.byte()
        if kind > 0x81:
            raise BadObject()
        at = self.at
        size = 4 if kind == 0x80 else 8
        self.pass_bytes(size)
        number = 0
        for place in range(at, at + size):
            number = number << 8 | view[place]
        return number

    def pass_bytes(self, size: int) -> None:
        """So many bytes. O(1)."""
        if size > len(self.data) - self.at:
            raise Short(self.at + size)
        self.at += size

    def pass_string(self) -> None:
        """A string. O(1)."""
        view = self.data
        at = self.at
        if at >= len(self.data):
            raise Short(at + 1)
        kind = view[at]
        if kind < 0x40:
            self.at = at + 1
            self.pass_bytes(kind)
        elif kind < 0xC0:
            self._pass_sized(self.length())
        elif kind < 0xC3:
            self.at = at + 1
            self.pass_bytes(1 << (kind - 0xC0))
        elif kind == 0xC3:
            self.at = at + 1
            size = self.length()
            if self.length() > _STRING_BYTES_MAX:
                raise BadObject()
            self._pass_sized(size)
        else:
            raise BadObject()

    def _pass_sized(self, size: int) -> None:
        if size > _STRING_BYTES_MAX:
            raise BadObject()
        self.pass_bytes(size)

    def pass_object(self, kind: int) -> None:
        """An object of that type. O(things in it that have a length)."""
        view = _SHAPES
        shape = view[kind]
        if self.of_redis and kind >= objects.HASH_2:
            shape = REDIS_SHAPES.get(kind, 0)
        if shape == _ONE_STRING:
            self.pass_string()
        elif shape == _STRINGS:
            self._pass_strings(self.length(), 1)
        elif shape == _PAIRS:
            self._pass_strings(self.length(), 2)
        elif shape == _MODULE:
            self.length()  # Its number must be there, for the error that names it.
            raise BadObject()
        elif _STREAM_1 <= shape <= _STREAM_3:
            self._pass_stream(shape - _STREAM_1 + 1)
        elif shape == _REDIS_PACK_TIMED:
            self.pass_bytes(8)
            self.pass_string()
        elif shape:
            self._pass_odd(shape)
        else:
            raise BadObject()

    def _pass_strings(self, count: int, each: int) -> None:
        """`count` times `each` strings."""
        while count > 0:
            self.pass_string()
            if each > 1:
                self.pass_string()
            count -= 1

    def _pass_odd(self, shape: int) -> None:
        """A count of things that are strings and something else each; maybe a time before it."""
        if shape == _REDIS_PAIRS_TIMED:
            self.pass_bytes(8)
        count = self.length()
        while count > 0:
            if shape == _NODES or shape >= _REDIS_PAIRS:
                self.length()
            self.pass_string()
            if shape == _TIMED_PAIRS or shape >= _REDIS_PAIRS:
                self.pass_string()
            if shape == _OLD_SCORES:
                size = self.byte()
                self.pass_bytes(size if size < 253 else 0)
            elif shape in (_SCORES, _TIMED_PAIRS):
                self.pass_bytes(8)
            count -= 1

    def _pass_lengths(self, count: int) -> None:
        while count > 0:
            self.length()
            count -= 1

    def _pass_stream(self, version: int) -> None:
        """As shard/rdb/streams.py draws it."""
        self._pass_strings(self.length(), 2)
        self._pass_lengths(3 if version == 1 else 8)
        groups = self.length()
        while groups > 0:
            self.pass_string()
            self._pass_lengths(2 if version == 1 else 3)
            pending = self.length()
            while pending > 0:
                self.pass_bytes(24)
                self.length()
                pending -= 1
            self._pass_consumers(8 if version < 3 else 16)
            groups -= 1

    def _pass_consumers(self, times_bytes: int) -> None:
        consumers = self.length()
        while consumers > 0:
            self.pass_string()
            self.pass_bytes(times_bytes)
            pending = self.length()
            if pending > _STRING_BYTES_MAX:
                raise BadObject()
            self.pass_bytes(16 * pending)
            consumers -= 1
