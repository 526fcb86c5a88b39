"""How the keys of a data folder are spread: over how many shards, and by what of the key. Text to value and back.

`<dir>/layout.json` belongs to the whole set of folders `<dir>/shard-0 ... shard-(N-1)`, not to one of them: a change of
N swaps a set, and the set counts from the moment this one file is renamed into place.
"""

import json
from dataclasses import dataclass

from shard.log_reader import LogDamaged

FILE_NAME = "layout.json"
VERSION = 1
"""Of the file and of how a slot maps to a shard (slot * shards // 16384). Another one is not ours to read."""
SHARDS_MAX = 16384
"""One for each slot: more could never hold a key."""


@dataclass(frozen=True, slots=True)
class Layout:
    """With what settings the data was written."""

    shards: int
    hash_tags: bool

    def encode(self) -> bytes:
        """As it stands in the file."""
        value = {"version": VERSION, "shards": self.shards, "hash-tags": "yes" if self.hash_tags else "no"}
        return json.dumps(value).encode() + b"\n"

    def __str__(self) -> str:
        return f"shards {self.shards}, hash-tags {'yes' if self.hash_tags else 'no'}"


def parse(text: bytes, file: str = "") -> Layout:
    """The value of a layout file.  Raises LogDamaged; `file` is how it names the file."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LogDamaged(0, f"no JSON: {error}", file) from None
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise LogDamaged(0, f"no layout of version {VERSION}, perhaps one of a later Shardis", file)
    shards, hash_tags = value.get("shards"), value.get("hash-tags")
    if type(shards) is not int or not 1 <= shards <= SHARDS_MAX or hash_tags not in ("yes", "no"):
        raise LogDamaged(0, f"shards is 1 to {SHARDS_MAX} and hash-tags is yes or no", file)
    return Layout(shards, hash_tags == "yes")


class OtherLayout(LogDamaged):
    """Data that is whole, but was written with other settings than this start asks for."""

    def __init__(self, found: Layout, wanted: Layout, folder: str) -> None:
        super().__init__(0, difference(found, wanted), folder)

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def difference(found: Layout | None, wanted: Layout) -> str:
    """Why the data can't be served as it lies; empty if it can. There is no `found` before the first start."""
    if found is None or found == wanted:
        return ""
    options = f"--shards {found.shards} --hash-tags {'yes' if found.hash_tags else 'no'}"
    return f"the data was written with {found}, and this start asks for {wanted}: start with {options}"
