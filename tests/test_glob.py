"""Glob patterns against a plain port of Redis's stringmatchlen, and against a real server's KEYS."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.glob import COMPILED_BYTES_MAX, STARS_MAX, _walk, matcher, matches
from tests.reference import Reference
from tests.resp_client import Client

# --- The oracle ------------------------------------------------------------------------------------------------------


def signed(byte: int) -> int:
    """A char of C."""
    return byte - 256 if byte > 127 else byte


def tolower(char: int) -> int:
    return char + 32 if ord("A") <= char <= ord("Z") else char


def stringmatchlen(pattern: bytes, text: bytes, nocase: bool = False) -> bool:
    """Redis's function, statement by statement."""
    return impl(pattern, text, nocase, [False], 0)


def impl(pattern: bytes, text: bytes, nocase: bool, skip_longer: list[bool], nesting: int) -> bool:
    if nesting > 1000:
        return False
    p = t = 0
    while p < len(pattern) and t < len(text):
        char = pattern[p : p + 1]
        if char == b"*":
            while pattern[p + 1 : p + 2] == b"*":
                p += 1
            if p + 1 == len(pattern):
                return True
            while t < len(text):
                if impl(pattern[p + 1 :], text[t:], nocase, skip_longer, nesting + 1):
                    return True
                if skip_longer[0]:
                    return False
                t += 1
            skip_longer[0] = True
            return False
        if char == b"?":
            t += 1
        elif char == b"[":
            p, match = class_impl(pattern, p + 1, signed(text[t]), nocase)
            if not match:
                return False
            t += 1
        else:
            if char == b"\\" and p + 1 < len(pattern):
                p += 1
            one, other = signed(pattern[p]), signed(text[t])
            if (tolower(one) != tolower(other)) if nocase else (one != other):
                return False
            t += 1
        p += 1
        if t == len(text):
            while pattern[p : p + 1] == b"*":
                p += 1
            break
    return p == len(pattern) and t == len(text)


def class_impl(pattern: bytes, p: int, char: int, nocase: bool) -> tuple[int, bool]:
    """The index of the class's last byte, and whether `char` is in it."""
    negated = pattern[p : p + 1] == b"^"
    p += negated
    match = False
    while True:
        left = len(pattern) - p
        if left >= 2 and pattern[p] == ord("\\"):
            p += 1
            match |= signed(pattern[p]) == char
        elif left == 0:
            p -= 1
            break
        elif pattern[p] == ord("]"):
            break
        elif left >= 3 and pattern[p + 1] == ord("-"):
            start, end, wanted = signed(pattern[p]), signed(pattern[p + 2]), char
            if start > end:
                start, end = end, start
            if nocase:
                start, end, wanted = tolower(start), tolower(end), tolower(char)
            p += 2
            match |= start <= wanted <= end
        elif nocase:
            match |= tolower(signed(pattern[p])) == tolower(char)
        else:
            match |= signed(pattern[p]) == char
        p += 1
    return p, match is not negated


# --- Random patterns -------------------------------------------------------------------------------------------------

PIECES = [b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"A", b"Z", b"z", b"\x00", b"\x80", b"\xff", b"\n"]
PATTERNS = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
TEXTS = st.lists(st.sampled_from(PIECES[4:]), max_size=8).map(b"".join)


@given(PATTERNS, TEXTS, st.booleans())
@settings(max_examples=1500, deadline=None)
@example(b"*", b"", False)
@example(b"[a-\xff]", b"\x00", False)
@example(b"[Z-a]", b"b", True)
@example(b"[\\A]", b"a", True)
@example(b"*a*a*", b"aa", False)
@example(b"\\", b"\\", False)
def test_as_stringmatchlen(pattern: bytes, text: bytes, ignore_case: bool) -> None:
    expected = stringmatchlen(pattern, text, ignore_case)
    assert matches(pattern, text, ignore_case=ignore_case) is expected
    if pattern:
        assert _walk(pattern, text, ignore_case) is expected


@given(st.binary(max_size=10), st.binary(max_size=6), st.booleans())
@settings(max_examples=1000, deadline=None)
def test_any_bytes_as_stringmatchlen(pattern: bytes, text: bytes, ignore_case: bool) -> None:
    assert matches(pattern, text, ignore_case=ignore_case) is stringmatchlen(pattern, text, ignore_case)


@pytest.fixture(scope="module")
def valkey(reference: Reference) -> Iterator[Client]:
    with reference.connect() as client:
        yield client


@given(st.lists(PATTERNS, min_size=1, max_size=8), st.sets(TEXTS, min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_as_keys_of_the_reference(valkey: Client, patterns: list[bytes], texts: set[bytes]) -> None:
    valkey.call("FLUSHALL")
    valkey.call("MSET", *[word for text in texts for word in (text, b"1")])
    for pattern in patterns:
        found = {text for text in texts if pattern == b"*" or matches(pattern, text)}
        assert found == set(valkey.call("KEYS", pattern))


# --- Single cases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"hello", b"hello", True),
        (b"hello", b"hell", False),
        (b"h?llo", b"hallo", True),
        (b"h*llo", b"heeeello", True),
        (b"h*llo", b"h\nllo", True),
        (b"h[ae]llo", b"hello", True),
        (b"h[^e]llo", b"hello", False),
        (b"h[a-c]llo", b"hbllo", True),
        (b"user:*", b"user:1", True),
        (b"user:*", b"use", False),
        (b"*:name", b"user:1:name", True),
        (b"*mid*", b"amidst", True),
        (b"*mid*", b"mdi", False),
        (b"a*a", b"a", False),
        (b"*", b"", False),
        (b"", b"", True),
        (b"[]", b"]", False),
        (b"[^]", b"x", True),
        (b"[ab", b"b", True),
        (b"\\*", b"*", True),
    ],
)
def test_case(pattern: bytes, text: bytes, expected: bool) -> None:
    assert matches(pattern, text) is expected is stringmatchlen(pattern, text)


def test_stars_at_the_limit_and_one_past_it() -> None:
    text = b"a" * (STARS_MAX + 5)
    for stars, expected in ((STARS_MAX, True), (STARS_MAX + 1, False)):
        assert matches(b"*a" * stars, text) is expected
        assert matches(b"*a" * stars + b"*", text) is expected
        assert _walk(b"*a" * stars, text, False) is expected


def test_patterns_at_the_length_that_is_compiled_and_one_past_it() -> None:
    for length in (COMPILED_BYTES_MAX, COMPILED_BYTES_MAX + 1):
        pattern = b"?" * (length - 2) + b"*b"
        assert matches(pattern, b"a" * (length - 2) + b"xyb")
        assert not matches(pattern, b"a" * (length - 2) + b"xyc")
        assert not matches(pattern, b"")


@pytest.mark.parametrize("ignore_case", [False, True])
def test_hostile_patterns_take_no_long_time(ignore_case: bool) -> None:
    started = time.process_time()
    match = matcher(b"a*" * 50 + b"b", ignore_case=ignore_case)
    assert not match(b"a" * 5000)
    assert not matcher(b"*?" * 500 + b"b", ignore_case=ignore_case)(b"a" * 2000)
    assert not _walk(b"a*" * 50 + b"b", b"a" * 1000, ignore_case)
    assert time.process_time() - started < 1.0
