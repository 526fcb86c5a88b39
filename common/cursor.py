"""SCAN's cursor: a place in the order in which a keyspace is walked, `slot | part << 14`.

The slot names the shard, so a cursor says where to go on whatever the number of shards; the part is for a slot that
holds so many keys that it is walked in steps. 0 is the beginning, and as a reply the end.
"""

import re

from common.errors import RedisError
from common.slot import SLOTS

SLOT_BITS = 14
NUMBER_MAX = 2**64 - 1
DIGITS_MAX = 20

NUMBER = re.compile(rb"\s*([+-]?)0*(\d+)")


def cursor_of(slot: int, part: int) -> int:
    return slot | part << SLOT_BITS


def place_of(cursor: int) -> tuple[int, int]:
    """Slot and part; the part may be any number, for a client can make up a cursor."""
    return cursor & (SLOTS - 1), cursor >> SLOT_BITS


def parse_cursor(word: bytes) -> int:
    """The cursor that a client sent.  Raises RedisError.

    Redis reads it as C's strtoull does, so ` +1` and `-07` (counted down from 2**64) are cursors, and what stands
    behind a zero byte does not matter; only a number that Redis itself would print with a minus sign is none.
    """
    found = NUMBER.fullmatch(word.partition(b"\0")[0])
    if found is None or len(found[2]) > DIGITS_MAX:
        raise RedisError("ERR invalid cursor")
    number = int(found[2])
    if number > NUMBER_MAX or (0 < number <= 2**63 and word == b"-%d" % number):
        raise RedisError("ERR invalid cursor")
    return -number & NUMBER_MAX if found[1] == b"-" else number
