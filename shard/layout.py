"""How the keys of a data folder are spread: over how many shards, and by what of the key. Text to value and back.

`<dir>/layout.json` belongs to the whole set of folders of the shards, not to one of them: a change of N makes a new
set, its next generation (see resharding.py), and that counts from the moment this one file is renamed into place.

    generation 1    <dir>/shard-0 ... shard-(N-1)
    generation 2    <dir>/generation-2/shard-0 ... shard-(N-1)
"""

import json
from dataclasses import dataclass

from shard.log_reader import LogDamaged

FILE_NAME = "layout.json"
GENERATION = "generation"
VERSION = 1
"""Of the file and of how a slot maps to a shard (slot * shards // 16384). Another one is not ours to read."""
VERSION_OF_LATER_GENERATIONS = 2
"""Who knows of no generations would look for the data in the wrong place, find none and begin anew."""
SHARDS_MAX = 16384
"""One for each slot: more could never hold a key."""


@dataclass(frozen=True, slots=True)
class Layout:
    """With what settings the data was written."""

    shards: int
    hash_tags: bool
    generation: int = 1
    """How many sets of folders there have been, with this one."""

    def encode(self) -> bytes:
        """As it stands in the file."""
        value: dict[str, int | str] = {"version": VERSION, "shards": self.shards}
        value["hash-tags"] = "yes" if self.hash_tags else "no"
        if self.generation > 1:
            value |= {"version": VERSION_OF_LATER_GENERATIONS, "generation": self.generation}
        return json.dumps(value).encode() + b"\n"

    def folder(self) -> str:
        """Where the folders of the shards are, seen from `dir`: "" is `dir` itself."""
        return generation_folder(self.generation) if self.generation > 1 else ""

    def folder_of(self, index: int) -> str:
        """The folder of shard `index`, seen from `dir`."""
        return f"{self.folder()}/shard-{index}".removeprefix("/")

    def serves(self, wanted: "Layout") -> bool:
        """Whether each key is where `wanted` looks for it, whatever the generation."""
        return (self.shards, self.hash_tags) == (wanted.shards, wanted.hash_tags)

    def __str__(self) -> str:
        return f"shards {self.shards}, hash-tags {'yes' if self.hash_tags else 'no'}"


def parse(text: bytes, file: str = "") -> Layout:
    """The value of a layout file.  Raises LogDamaged; `file` is how it names the file."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LogDamaged(0, f"no JSON: {error}", file) from None
    if not isinstance(value, dict) or value.get("version") not in (VERSION, VERSION_OF_LATER_GENERATIONS):
        raise LogDamaged(0, f"no layout of version {VERSION}, perhaps one of a later Shardis", file)
    shards, hash_tags, generation = value.get("shards"), value.get("hash-tags"), value.get("generation", 1)
    if type(shards) is not int or not 1 <= shards <= SHARDS_MAX or hash_tags not in ("yes", "no"):
        raise LogDamaged(0, f"shards is 1 to {SHARDS_MAX} and hash-tags is yes or no", file)
    if type(generation) is not int or generation < 1:
        raise LogDamaged(0, "generation is 1 or more", file)
    return Layout(shards, hash_tags == "yes", generation)


def generation_folder(generation: int) -> str:
    """The folder of a set but the first, seen from `dir`."""
    return f"{GENERATION}-{generation}"


def generation_of(name: str) -> int:
    """Of which set `name`, seen in `dir`, is the folder; 0 if of none."""
    word, _, number = name.partition("-")
    plain = word == GENERATION and number.isascii() and number.isdigit() and not number.startswith("0")
    return int(number) if plain else 0


class OtherLayout(LogDamaged):
    """Data that is whole, but was written with other settings than this process asks for."""

    def __init__(self, found: Layout, wanted: Layout, folder: str) -> None:
        reason = f"the data is spread with {found}, and this process asks for {wanted}: re-hash it first"
        super().__init__(0, f"{reason}, with the command shardis or with python -m shard.resharding", folder)

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"
