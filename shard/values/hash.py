"""Hashes: fields with texts, some of which may expire.

Two forms. A small hash is a listpack, field after text after field, as in Redis: 100 short fields take a tenth of what
they would in a dict. A large one is Buckets. Which encoding is reported is kept apart from the form: the limits that
Redis puts on a listpack can be set so high that walking through one would take long.

Rule 1: a hash whose fields have a time is a large one.
Rule 2: this file knows no clock: a field whose time has come is there until someone removes it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from shard.values.buckets import Buckets
from shard.values.field_times import FieldTimes
from shard.values.listpack import END, count, entry, find, first, following, insert, new, remove, replace, text, texts

ENTRIES_MAX = 512
"""Fields in a listpack, even if more are reported as one: walking through so many takes some µs."""
PACK_BYTES_MAX = 1 << 16
"""Size of a listpack: every change moves what is behind it."""

ENTRIES_LIMIT = "hash-max-listpack-entries"
TEXT_LIMIT = "hash-max-listpack-value"
ENTRIES_LIMIT_DEFAULT = 512
TEXT_LIMIT_DEFAULT = 64

WORDS_MAX = 128
"""In one of the commands that make a hash anew: 64 fields."""


class Hash:
    """A mapping of bytes to bytes. O(1) on a field of a large one, O(bytes) on one of a small one, at most 64 KB."""

    type_name = "hash"

    __slots__ = ("pack", "fields", "times", "small")

    def __init__(self) -> None:
        self.pack: bytearray | None = new()
        """The small form, None in the large one."""
        self.fields: Buckets | None = None
        """The large form."""
        self.times: FieldTimes | None = None
        """None if no field has a time: that costs nothing."""
        self.small = True
        """Whether it is reported as listpack. Once it is not, it never is again."""

    # One field

    def get(self, field: bytes) -> bytes | None:
        """The text of `field`, None if it is not there."""
        pack = self.pack
        if pack is None:
            found: bytes | None = self._large().get(field)
            return found
        at = find(pack, entry(field), 2)
        return None if at < 0 else text(pack, following(pack, at))

    def __contains__(self, field: bytes) -> bool:
        return field in self._large() if self.pack is None else find(self.pack, entry(field), 2) >= 0

    def put(self, field: bytes, value: bytes, config: dict[str, Any], keep_ttl: bool = False) -> bool:
        """Gives `field` a text; whether it is new. Its time goes unless `keep_ttl`."""
        if self.small:
            longest = config.get(TEXT_LIMIT, TEXT_LIMIT_DEFAULT)
            if len(field) > longest or len(value) > longest:
                self.grow()
        elif self.times is not None and not keep_ttl:
            self.persist(field)
        pack = self.pack
        if pack is None:
            added: bool = self._large().put(field, value)
        else:
            added = self._put_packed(pack, field, value)
        if added and self.small and len(self) > config.get(ENTRIES_LIMIT, ENTRIES_LIMIT_DEFAULT):
            self.grow()
        return added

    def _put_packed(self, pack: bytearray, field: bytes, value: bytes) -> bool:
        encoded = entry(field)
        at = find(pack, encoded, 2)
        if at < 0:
            insert(pack, len(pack) - 1, encoded + entry(value), 2)
        else:
            replace(pack, following(pack, at), entry(value))
        if len(pack) > PACK_BYTES_MAX or count(pack) > 2 * ENTRIES_MAX:
            self._unpack()
        return at < 0

    def remove(self, field: bytes) -> bool:
        """Removes `field`, and its time; whether it was there."""
        pack = self.pack
        if pack is None:
            if self.times is not None:
                self.persist(field)
            return self._large().pop(field) is not None
        at = find(pack, entry(field), 2)
        if at < 0:
            return False
        remove(pack, at, 2)
        return True

    # All

    def __len__(self) -> int:
        return self._large().size if self.pack is None else count(self.pack) // 2

    def flat(self) -> list[bytes]:
        """Field, text, field, text ... O(n)."""
        if self.pack is not None:
            return texts(self.pack)
        found: list[bytes] = []
        for part in self._large().parts:
            for pair in part.items():
                found += pair
        return found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All fields with their texts. O(n)."""
        if self.pack is None:
            return self._large().items()
        flat = texts(self.pack)
        return zip(flat[::2], flat[1::2], strict=True)

    def keys(self) -> list[bytes]:
        """All fields. O(n)."""
        return list(self._large()) if self.pack is None else texts(self.pack)[::2]

    def values(self) -> list[bytes]:
        """All texts, in the order of the fields. O(n)."""
        if self.pack is not None:
            return texts(self.pack)[1::2]
        return [value for part in self._large().parts for value in part.values()]

    # Times

    def expiry_ms(self, field: bytes) -> int:
        """When `field` expires, absolute unix time in ms; -1 if never. O(1)."""
        return -1 if self.times is None else self.times.get(field)

    def expire_at(self, field: bytes, at_ms: int) -> None:
        """Gives the existing `field` a time."""
        if self.times is None:
            self.grow()
            self.times = FieldTimes()
        self.times.set(field, at_ms)

    def persist(self, field: bytes) -> bool:
        """Takes the time of `field` away; whether it had one."""
        times = self.times
        if times is None or not times.discard(field):
            return False
        if not times.times.size:
            self.times = None
        return True

    def first_ms(self) -> int:
        """The earliest time of all fields, -1 if none has one. O(1)."""
        return -1 if self.times is None else self.times.first_ms()

    def due(self, now_ms: int, count: int) -> list[bytes]:
        """Fields whose time is not after `now_ms`, at most `count`. O(count)."""
        return [] if self.times is None else self.times.due(now_ms, count)

    # The form

    def encoding(self, config: dict[str, Any]) -> str:
        """What OBJECT ENCODING answers."""
        return "listpack" if self.small else "hashtable"

    def grow(self) -> None:
        """Makes it a large one, in form and by report, for good."""
        self.small = False
        if self.pack is not None:
            self._unpack()

    def expect(self, words: tuple[bytes, ...], config: dict[str, Any]) -> None:
        """Says which fields and texts come next. As in Redis so many of them, or one so long, make it a large one even
        if it turns out that they are the same field each time.
        """
        if len(words) // 2 > config.get(ENTRIES_LIMIT, ENTRIES_LIMIT_DEFAULT):
            self.grow()
            return
        longest = config.get(TEXT_LIMIT, TEXT_LIMIT_DEFAULT)
        for word in words:
            if len(word) > longest:
                self.grow()
                return

    def _unpack(self) -> None:
        """Turns a listpack into Buckets: 512 fields in some 0.1 ms."""
        assert self.pack is not None
        fields = Buckets()
        at = first(self.pack)
        while self.pack[at] != END:
            behind = following(self.pack, at)
            fields.put(text(self.pack, at), text(self.pack, behind))
            at = following(self.pack, behind)
        self.fields = fields
        self.pack = None

    def _large(self) -> Buckets:
        """The Buckets of a large one. For the type checker; compiled code takes them as they are."""
        assert self.fields is not None
        return self.fields

    # As a whole

    def copy(self) -> "Hash":
        """Another with the same fields and times. O(n)."""
        other = Hash()
        other.pack = None if self.pack is None else self.pack[:]
        other.fields = None if self.fields is None else self.fields.copy()
        other.times = None if self.times is None else self.times.copy()
        other.small = self.small
        return other

    def containers(self) -> list[Any]:
        """What it is made of, for whoever frees it a slice at a time; nothing if it is small."""
        found = [] if self.fields is None else self.fields.containers()
        return found if self.times is None else found + self.times.containers()

    def to_wire(self) -> list[Any]:
        """What travels to another shard: see `from_wire`."""
        packed = self.flat() if self.pack is None else bytes(self.pack)
        return [
            self.small,
            packed,
            [] if self.times is None else [word for pair in self.times.items() for word in pair],
        ]

    @staticmethod
    def from_wire(wire: list[Any]) -> "Hash":
        """The hash that `to_wire` made this of."""
        small, packed, times = wire
        made = Hash()
        made.small = small
        if isinstance(packed, bytes):
            made.pack = bytearray(packed)
        else:
            made.pack, made.fields = None, Buckets()
            for at in range(0, len(packed), 2):
                made.fields.put(packed[at], packed[at + 1])
        for at in range(0, len(times), 2):
            made.expire_at(times[at], times[at + 1])
        return made

    def commands(self, key: bytes) -> Iterator[list[bytes]]:
        """What makes it anew where there is no such key; at most 64 fields in each."""
        flat = self.flat()
        for at in range(0, len(flat), WORDS_MAX):
            yield [b"HSET", key, *flat[at : at + WORDS_MAX]]
        for at_ms, fields in _by_time(() if self.times is None else self.times.items()):
            yield [b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"%d" % len(fields), *fields]

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        assert (self.pack is None) is not (self.fields is None)
        if self.pack is not None:
            assert self.small and self.times is None
            assert len(self.pack) <= PACK_BYTES_MAX and len(self) <= ENTRIES_MAX
            assert len(dict(self.items())) == len(self) and len(texts(self.pack)) % 2 == 0
        if self.fields is not None:
            self.fields._check()
        if self.times is not None:
            self.times._check()
            assert len(self.times) and not self.small
            assert all(field in self for field, _ in self.times.items())


def _by_time(items: Iterable[tuple[bytes, int]]) -> Iterator[tuple[int, list[bytes]]]:
    """Fields with the same time together, at most 64 of them; `items` come in the order of the times."""
    at_ms, fields = -1, list[bytes]()
    for field, when_ms in items:
        if fields and (when_ms != at_ms or len(fields) >= WORDS_MAX // 2):
            yield at_ms, fields
            fields = []
        at_ms = when_ms
        fields.append(field)
    if fields:
        yield at_ms, fields
