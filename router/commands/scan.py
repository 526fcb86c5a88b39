"""Looking through the keys of all shards as if they were one keyspace: SCAN and RANDOMKEY.

KEYS and DBSIZE need nothing here: their shards' answers are just joined.
"""

from typing import Any

from common.command import ALL_SHARDS, READONLY, SPECIAL, SPECIAL_FAN
from common.cursor import parse_cursor, place_of
from common.errors import RedisError
from common.slot import shard_of_slot
from router.commands.table import TABLE
from router.dispatch import AskShards, Forward
from router.session import Session

command = TABLE.family("generic")


@command(
    "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
    READONLY,
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
    " return back to 0. N is the number of elements inside the collection.",
    tips="nondeterministic_output",
    fan=SPECIAL_FAN,
    merge=SPECIAL,
)
def scan(session: Session, cursor: bytes, *options: bytes) -> Forward:
    """Iterates over the key names in the database."""
    # A shard's last cursor names the first slot of the next shard, so this walks from shard to shard.
    try:
        slot, _ = place_of(parse_cursor(cursor))
    except RedisError:
        slot = 0  # Any shard tells the client what is wrong.
    return Forward(shard_of_slot(slot, session.router.shards), [b"SCAN", cursor, *options])


@command(
    "RANDOMKEY",
    READONLY,
    since="1.0.0",
    complexity="O(1)",
    tips="nondeterministic_output",
    fan=ALL_SHARDS,
    merge=SPECIAL,
)
def randomkey(session: Session) -> AskShards:
    """Returns a random key name from the database."""
    return AskShards(["random_key", session.db], any_key)


def any_key(answers: list[Any]) -> bytes | None:
    """One of the keys that the shards chose, each in proportion to how many it was chosen from.

    An answer is [number of keys, key, chance], the chance a number in [0, 1): the first one decides.
    """
    place = int(answers[0][2] * sum(count for count, _, _ in answers))
    for count, key, _ in answers:
        if place < count:
            return bytes(key)
        place -= count
    return None
