"""The longest common subsequence of two strings.

The table that the algorithm fills has a number for each pair of prefixes, and neighbours differ by 0 or 1. So a line of
it is one integer here, a bit for each place where the number does *not* grow, and a whole line is made from the one
before in a few operations on long integers (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): two strings
of 10,000 bytes take 30 ms, where a loop over the numbers takes 10 s. Lines lie along the longer string, so that there
are few.
"""

from collections.abc import Iterator
from typing import Any

from common.command import READONLY
from common.errors import RedisError, SyntaxFault
from common.numbers import integer
from shard.commands.string_parts import STRING_BYTES_MAX
from shard.commands.table import TABLE
from shard.keyspace import Keyspace

command = TABLE.family("string")

String = bytes | bytearray
Match = tuple[int, int, int]
"""Where a common run begins in either string, and its length."""

CELL_BYTES = 4
"""What a pair of prefixes takes in Redis's table, which is what the limit is about."""


@command(
    "LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    READONLY,
    since="7.0.0",
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
)
def lcs(db: Keyspace, key1: bytes, key2: bytes, *options: bytes) -> Any:
    """Finds the longest common substring."""
    one, other = _string(db, key1, key2)
    length_only, indexes, with_length, shortest = _parse(options)
    if (len(one) + 1) * (len(other) + 1) * CELL_BYTES > db.store.config.get("proto-max-bulk-len", STRING_BYTES_MAX):
        raise RedisError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    if length_only:
        return lcs_length(one, other)
    matches = list(lcs_matches(one, other))
    if not indexes:
        return b"".join([one[start : start + length] for start, _, length in reversed(matches)])
    return {
        "matches": [
            [[at, at + length - 1], [at_other, at_other + length - 1]] + ([length] if with_length else [])
            for at, at_other, length in matches
            if length >= shortest
        ],
        "len": sum(length for _, _, length in matches),
    }


def _string(db: Keyspace, key1: bytes, key2: bytes) -> tuple[String, String]:
    """Both strings; a missing one is empty. Redis has its own words for another type here."""
    one, other = db.get(key1), db.get(key2)
    if isinstance(one, String | None) and isinstance(other, String | None):
        return one or b"", other or b""
    raise RedisError("ERR The specified keys must contain string values")


def _parse(words: tuple[bytes, ...]) -> tuple[bool, bool, bool, int]:
    """LEN, IDX, WITHMATCHLEN and the value of MINMATCHLEN.  Raises RedisError."""
    flags = {b"LEN": False, b"IDX": False, b"WITHMATCHLEN": False}
    shortest = 0
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name in flags:
            flags[name] = True
        elif name == b"MINMATCHLEN" and (value := next(rest, None)) is not None:
            shortest = integer(value)
        else:
            raise SyntaxFault()
    if flags[b"LEN"] and flags[b"IDX"]:
        raise RedisError("ERR If you want both the length and indexes, please just use IDX.")
    return flags[b"LEN"], flags[b"IDX"], flags[b"WITHMATCHLEN"], shortest


def lcs_length(one: String, other: String) -> int:
    """The length of the longest common subsequence. O(N*M/30) time, O(N+M) memory."""
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    masks = _masks(short, long)
    line = full = (1 << len(long)) - 1
    for byte in short:
        common = line & masks[byte]
        line = (line + common | line - common) & full
    return len(long) - line.bit_count()


def lcs_matches(one: String, other: String) -> Iterator[Match]:
    """The runs of the subsequence that Redis finds, from the last to the first. O(N*M/30) time and memory.

    Redis walks back from the ends: a step in both strings where their bytes are equal; else in `one` where the number
    has grown with the last byte of `other`; else in `other`.
    """
    if len(one) <= len(other):
        yield from _walk(one, other, _rows(one, other))
    else:
        for at_other, at, length in _walk(other, one, _columns(one, other)):
            yield at, at_other, length


def _walk(short: String, long: String, lines: list[int]) -> Iterator[Match]:
    """The runs on the way back. Line i belongs to byte i of `short`; its bits are 1 where the way goes along `long`.

    It goes there in one leap, to the next byte that is equal or the next bit that is 0.
    """
    at, at_long = len(short), len(long)
    length = 0
    while at and at_long:
        if short[at - 1] == long[at_long - 1]:
            length += 1
            at -= 1
            at_long -= 1
            continue
        if length:
            yield at, at_long, length
            length = 0
        turn = (~lines[at - 1] & (1 << at_long) - 1).bit_length()
        if turn == at_long:
            at -= 1
        else:
            at_long = max(turn, long.rfind(short[at - 1], 0, at_long) + 1)
    if length:
        yield at, at_long, length


def _rows(one: String, other: String) -> list[int]:
    """For each byte of `one` a bit for each of `other`: 0 where the number grows with that byte of `other`."""
    masks = _masks(one, other)
    row = full = (1 << len(other)) - 1
    rows = []
    for byte in one:
        common = row & masks[byte]
        row = (row + common | row - common) & full
        rows.append(row)
    return rows


def _columns(one: String, other: String) -> list[int]:
    """For each byte of `other` a bit for each of `one`: 1 where the number grows with that byte of `other`.

    Which is where the addition carries: the carry out of a place says that the number there is larger than in the
    column before.
    """
    masks = _masks(other, one)
    column = full = (1 << len(one)) - 1
    columns = []
    for byte in other:
        common = column & masks[byte]
        total = column + common
        columns.append((total ^ column ^ common) >> 1)
        column = (total | column - common) & full
    return columns


def _masks(short: String, long: String) -> dict[int, int]:
    """For each byte of `short` an integer with a bit for each place where it stands in `long`."""
    backwards = bytes(long[::-1])
    return {byte: int(b"0" + backwards.translate(b"0" * byte + b"1" + b"0" * (255 - byte)), 2) for byte in set(short)}
