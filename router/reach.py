"""How far a call reaches: keys that no declaration can name, because the data decides which they are.

SORT k BY weight_* reads a key for each element of k, and the router cannot hold what it does not know. Where those keys
must all be on the shard of the call's own (their slot is pinned by a {tag} that comes before the star, or there is one
shard) the call goes there as any other. Else everything is held, the shard of k says which keys it is about, and those
are lent to it: see borrow.py.
"""

from common.command import Command
from common.slot import Owners, slot_of


def reaches(command: Command, argv: list[bytes], shards: list[int], owners: Owners) -> bool:
    """Whether a call may need keys of other shards than it names; its own are on `shards`."""
    patterns = command.patterns_of(argv) if owners.shards > 1 else []
    if not patterns:
        return False
    pinned = slot_of(argv[command.key_specs[0].begin]) if owners.hash_tags and len(shards) == 1 else None
    return any(
        b"*" in pattern.partition(b"\0")[0] and (pinned is None or pinned_slot(pattern) != pinned)
        for _, pattern in patterns
    )


def pinned_slot(pattern: bytes) -> int | None:
    """The slot of all keys that a pattern forms; None if it depends on what comes for the `*`."""
    prefix = pattern.partition(b"*")[0]
    start = prefix.find(b"{")
    end = prefix.find(b"}", start + 1)
    return slot_of(prefix) if 0 <= start < end - 1 else None
