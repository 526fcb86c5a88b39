"""The mapping of one slot: a dict, or many dicts once it is wide.

With a {hash tag} a client can put all its keys into one slot. A slot that outgrows SLOT_KEYS_MAX becomes a WideSlot,
which answers as a dict does: no dict in it grows so large that growing it stalls the loop, and SCAN walks it in steps.
"""

from collections.abc import Iterator
from typing import Any
from zlib import crc32

SLOT_KEYS_MAX = 1024
"""Keys in the plain dict of a slot. Turning so many into a WideSlot takes about 0.1 ms."""

PARTS = 1024
"""Dicts in a WideSlot."""


def part_of(key: bytes) -> int:
    """The number of the dict of a WideSlot in which `key` is."""
    return crc32(key) & (PARTS - 1)


class WideSlot:
    """A slot of many keys, as PARTS dicts chosen by CRC32 of the key. Every operation on a key is O(1)."""

    __slots__ = ("parts", "size")

    def __init__(self, keys: dict[bytes, Any]) -> None:
        self.parts: list[dict[bytes, Any]] = [{} for _ in range(PARTS)]
        self.size = 0
        for key, value in keys.items():
            self[key] = value

    def get(self, key: bytes, default: Any = None) -> Any:
        return self.parts[crc32(key) & (PARTS - 1)].get(key, default)

    def pop(self, key: bytes, default: Any = None) -> Any:
        part = self.parts[crc32(key) & (PARTS - 1)]
        if key in part:
            self.size -= 1
            return part.pop(key)
        return default

    def __getitem__(self, key: bytes) -> Any:
        return self.parts[crc32(key) & (PARTS - 1)][key]

    def __setitem__(self, key: bytes, value: Any) -> None:
        part = self.parts[crc32(key) & (PARTS - 1)]
        self.size -= len(part)
        part[key] = value
        self.size += len(part)

    def __contains__(self, key: bytes) -> bool:
        return key in self.parts[crc32(key) & (PARTS - 1)]

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            yield from part

    def containers(self) -> list[dict[bytes, Any]]:
        """The dicts that it is made of."""
        return self.parts

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        assert self.size == sum(map(len, self.parts))
        for number, part in enumerate(self.parts):
            assert all(crc32(key) & (PARTS - 1) == number for key in part)


Slot = dict[bytes, Any] | WideSlot

EMPTY: dict[bytes, Any] = {}
"""Stands for every slot that has had no key yet, so that reading needs no test; never written to."""
