"""Redis's glob patterns: KEYS, SCAN, PSUBSCRIBE, CONFIG GET, ACL rules.

`*` any bytes, `?` any one byte, `[a-c]` one of a class, `[^a-c]` one of all others, `\\x` the byte x. What Redis does
with the odd ones is part of its language and done here too:

- A class that is not closed ends with the pattern: `[ab` is `[ab]`, and `[^` is any byte. `[]` is empty.
- A range counts bytes from 0x80 on as negative, as C's char does, and may be written from its end: `[z-a]`.
- Letters of either case match if asked for, but not one with a backslash in a class.
- An empty text matches the empty pattern only: not even `*`. (KEYS and SCAN don't ask where the pattern is just `*`.)

Redis refuses to go deeper than 1000 `*` and skips what a longer match for an earlier `*` cannot change. Here each
stretch between two `*` is looked for once, at its leftmost place (an atomic group), so a match takes at most the
product of both lengths.
"""

import re
from collections.abc import Callable
from functools import lru_cache

STARS_MAX = 1000
"""With more `*` than this (neighbours count as one, a last one not) a pattern matches nothing: Redis's protection."""

COMPILED_BYTES_MAX = 4096
"""Longer patterns are walked instead of compiled, which takes time and memory in proportion to them."""

CACHED_MAX = 512
"""Compiled patterns kept: at 4 KB each they take some MB."""

STAR, QUESTION, OPEN, CLOSE, BACKSLASH, DASH, CARET = b"*?[]\\-^"
ALL_BYTES = bytes(range(256))

Matcher = Callable[[bytes], object]
"""Says by its truth whether a text matches."""


def matches(pattern: bytes, text: bytes, *, ignore_case: bool = False) -> bool:
    """Whether `text` as a whole matches. O(pattern * text)."""
    return bool(matcher(pattern, ignore_case=ignore_case)(text))


def matcher(pattern: bytes, *, ignore_case: bool = False) -> Matcher:
    """The function that tells which texts match: for many texts, ask for it once."""
    if len(pattern) > COMPILED_BYTES_MAX:
        return lambda text: _walk(pattern, text, ignore_case)
    return _compiled(pattern, ignore_case)


@lru_cache(CACHED_MAX)
def _compiled(pattern: bytes, ignore_case: bool) -> Matcher:
    stretches = _stretches(pattern, ignore_case)
    if len(stretches) - 1 - (not stretches[-1]) > STARS_MAX:
        return lambda text: False
    return _quick(stretches) or re.compile(_expression(stretches), re.DOTALL).fullmatch


def _quick(stretches: list[list[bytes]]) -> Matcher | None:
    """What needs no regular expression: `text`, `prefix*`, `*suffix`, `*middle*` and `*`."""
    literals = [_literal(stretch) for stretch in stretches]
    match literals:
        case [bytes(literal)]:
            return literal.__eq__
        case [b"", b""]:
            return len
        case [bytes(prefix), b""]:
            return lambda text: text.startswith(prefix)
        case [b"", bytes(suffix)]:
            return lambda text: text.endswith(suffix)
        case [b"", bytes(middle), b""]:
            return lambda text: middle in text
    return None


def _expression(stretches: list[list[bytes]]) -> bytes:
    """The regular expression for stretches between `*`, to be matched against the whole text."""
    first, *middle = [b"".join(map(_one_of, stretch)) for stretch in stretches]
    if not middle:
        return first
    last = middle.pop()
    return b"%b%b.*%b" % (first, b"".join([b"(?>.*?%b)" % stretch for stretch in middle]), last)


def _one_of(choices: bytes) -> bytes:
    """The expression for one byte out of `choices`."""
    if len(choices) == 1:
        return re.escape(choices)
    if len(choices) == 256:
        return b"."
    return b"[%b]" % b"".join([b"\\x%02x" % choice for choice in choices]) if choices else b"(?!)"


def _literal(stretch: list[bytes]) -> bytes | None:
    """The only text that a stretch matches, None if there are others or none."""
    return b"".join(stretch) if all(len(choices) == 1 for choices in stretch) else None


def _stretches(pattern: bytes, ignore_case: bool) -> list[list[bytes]]:
    """What stands between the `*`: for each place the bytes that match there."""
    stretches: list[list[bytes]] = [[]]
    index = 0
    while index < len(pattern):
        if pattern[index] == STAR:
            if stretches[-1] or len(stretches) == 1:
                stretches.append([])
            index += 1
        else:
            choices, index = _choices(pattern, index, ignore_case)
            stretches[-1].append(choices)
    return stretches


def _choices(pattern: bytes, index: int, ignore_case: bool) -> tuple[bytes, int]:
    """The bytes that match what stands at `index`, which is no `*`, and the index behind it."""
    byte = pattern[index]
    if byte == QUESTION:
        return ALL_BYTES, index + 1
    if byte == OPEN:
        return _class(pattern, index + 1, ignore_case)
    if byte == BACKSLASH and index + 1 < len(pattern):
        index += 1
    return _byte(pattern[index], ignore_case), index + 1


def _byte(byte: int, ignore_case: bool) -> bytes:
    one = bytes((byte,))
    return one.lower() + one.upper() if ignore_case and one.lower() != one.upper() else one


def _class(pattern: bytes, index: int, ignore_case: bool) -> tuple[bytes, int]:
    """The bytes of the class whose first element stands at `index`, and the index behind its end."""
    end = len(pattern)
    negated = index < end and pattern[index] == CARET
    index += negated
    found: set[int] = set()
    while index < end:
        byte = pattern[index]
        if byte == BACKSLASH and index + 1 < end:
            found.add(pattern[index + 1])
            index += 2
        elif byte == CLOSE:
            break
        elif index + 2 < end and pattern[index + 1] == DASH:
            found.update(_range(byte, pattern[index + 2], ignore_case))
            index += 3
        else:
            found.update(_byte(byte, ignore_case))
            index += 1
    return bytes([byte for byte in ALL_BYTES if (byte in found) is not negated]), index + 1


def _range(start: int, end: int, ignore_case: bool) -> list[int]:
    """The bytes of a range. Redis puts its ends in order, then makes them small letters: so `[Z-a]` is empty."""
    low, high = sorted((_signed(start), _signed(end)))
    if ignore_case:
        low, high = _small(low), _small(high)
        return [byte for byte in ALL_BYTES if low <= _small(_signed(byte)) <= high]
    return [byte for byte in ALL_BYTES if low <= _signed(byte) <= high]


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _small(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


def _walk(pattern: bytes, text: bytes, ignore_case: bool) -> bool:
    """Whether `text` matches, found by walking along both; goes back only to the last `*`."""
    if not text:
        return False
    at = index = stars = 0
    star_index = star_at = -1
    while at < len(text):
        if index < len(pattern) and pattern[index] == STAR:
            while index < len(pattern) and pattern[index] == STAR:
                index += 1
            if index == len(pattern):
                return True
            stars += 1
            if stars > STARS_MAX:
                return False
            star_index, star_at = index, at
            continue
        if index < len(pattern):
            choices, behind = _choices(pattern, index, ignore_case)
            if text[at] in choices:
                index, at = behind, at + 1
                continue
        if star_index < 0:
            return False
        star_at += 1
        index, at = star_index, star_at
    return not pattern[index:].strip(b"*")
