"""IDs of stream entries, as clients write them: `ms-sequence`, `ms`, `-`, `+`, `(` in front of an end that is left out.

An ID is one integer, `ms << 64 | sequence`. Its parts are read as C's strtoull does, where they aren't plain digits:
blanks and a sign in front, and a number below zero counts from the other end.
"""

import re

from common.errors import RedisError
from common.numbers import maybe_integer
from shard.values.stream import ID_MAX
from shard.values.stream_log import id_text as id_text
from shard.values.stream_node import ID_BITS, MASK

INVALID = "ERR Invalid stream ID specified as stream command argument"
ID_BYTES_MAX = 127
DIGITS_PLAIN_MAX = 18
"""Fewer than any number that does not fit."""

NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)0*([0-9]{1,20})")


def parse_id(word: bytes, sequence: int = 0) -> int:
    """The ID that `word` is; `sequence` is used if it says none.  Raises RedisError."""
    ms, dash, rest = word.partition(b"-")
    if ms.isdigit() and len(ms) <= DIGITS_PLAIN_MAX:
        if not dash:
            return int(ms) << ID_BITS | sequence
        if rest.isdigit() and len(rest) <= DIGITS_PLAIN_MAX:
            return int(ms) << ID_BITS | int(rest)
    return _unusual(word, sequence)


def parse_end(word: bytes, sequence: int = 0) -> int:
    """As `parse_id`, of an end of a range: `-` and `+` are the least and the greatest ID."""
    if word == b"-":
        return 0
    return ID_MAX if word == b"+" else parse_id(word, sequence)


def parse_start(word: bytes) -> int:
    """The first ID of a range.  Raises RedisError."""
    if word[:1] != b"(" or len(word) == 1:
        return parse_end(word)
    start = parse_id(word[1:])
    if start == ID_MAX:
        raise RedisError("ERR invalid start ID for the interval")
    return start + 1


def parse_last(word: bytes) -> int:
    """The last ID of a range.  Raises RedisError."""
    if word[:1] != b"(" or len(word) == 1:
        return parse_end(word, MASK)
    end = parse_id(word[1:], MASK)
    if end == 0:
        raise RedisError("ERR invalid end ID for the interval")
    return end - 1


def parse_incomplete(word: bytes) -> int:
    """The first part of `ms-*`, -1 if `word` is no such ID.  Raises RedisError."""
    if not word.endswith(b"-*") or len(word) > ID_BYTES_MAX:
        return -1
    return _part(word[:-2]) if b"-" not in word[:-2] else -1


def _unusual(word: bytes, sequence: int) -> int:
    if len(word) > ID_BYTES_MAX:
        raise RedisError(INVALID)
    ms, dash, rest = word.partition(b"\0")[0].partition(b"-")
    return _part(ms) << ID_BITS | (_part(rest) if dash else sequence)


def _part(word: bytes) -> int:
    """One of both numbers of an ID.  Raises RedisError."""
    match = NUMBER.fullmatch(word)
    number = int(match[2]) if match else MASK + 1
    negative = match is not None and match[1] == b"-"
    if number > MASK or (negative and maybe_integer(word) is not None):
        raise RedisError(INVALID)
    return -number & MASK if negative else number
