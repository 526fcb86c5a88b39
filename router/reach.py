"""How far a call reaches: keys that no declaration can name, because the data decides which they are.

SORT k BY weight_* reads a key for each element of k. The router cannot hold what it does not know, so where there are
several shards it lets such a call through only if all those keys must be in the slot of its first key, and that with
its other keys on one shard. That is the rule of Redis Cluster, and its error but for what is not true here.
"""

from common.command import Command
from common.errors import RedisError
from common.slot import slot_of


def check_reach(command: Command, argv: list[bytes], shards: list[int], hash_tags: bool) -> None:
    """Refuses a call that may need keys of other shards than it names; its own are on `shards`.  Raises RedisError."""
    for option, pattern in command.patterns_of(argv):
        if b"*" not in pattern.partition(b"\0")[0]:
            continue  # Nothing is read for an element.
        name = f"{option} option of {command.name.upper()}"
        if len(shards) > 1:
            raise RedisError(f"ERR {name} denied when the destination is on another shard.")
        if not hash_tags or pinned_slot(pattern) != slot_of(argv[command.key_specs[0].begin]):
            raise RedisError(
                f"ERR {name} denied with several shards when keys formed by the pattern may be in different slots."
            )


def pinned_slot(pattern: bytes) -> int | None:
    """The slot of all keys that a pattern forms; None if it depends on what comes for the `*`."""
    prefix = pattern.partition(b"*")[0]
    start = prefix.find(b"{")
    end = prefix.find(b"}", start + 1)
    return slot_of(prefix) if 0 <= start < end - 1 else None
