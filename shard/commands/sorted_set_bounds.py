"""What commands on sorted sets are told in words: scores, and the bounds of ranges by score, by name and by rank."""

from common.errors import NotAFloat, RedisError
from common.numbers import double, maybe_double
from shard.values.sorted_set import SortedSet

PLAIN = b"0123456789.-"
PLAIN_BYTES_MAX = 20
"""Of so few of these signs no number is too large or too small: float() reads it as C does, in a third of the time."""

Span = tuple[int, int]
"""A range of ranks: the first, and the one behind the last. All exist, or the two are equal."""

NOTHING = (0, 0)


def score_of(word: bytes) -> float:
    """The score that `word` is.  Raises NotAFloat."""
    if len(word) < PLAIN_BYTES_MAX and not word.translate(None, PLAIN):
        try:
            return float(word)
        except ValueError:
            raise NotAFloat() from None
    return double(word)


# --- By rank ---------------------------------------------------------------------------------------------------------


def span_by_rank(length: int, first: int, last: int, reverse: bool) -> Span:
    """The ranks between two, which count from the end if negative; `reverse` counts from the highest score."""
    first = max(first + length, 0) if first < 0 else first
    last = last + length if last < 0 else min(last, length - 1)
    if first > last or first >= length:
        return NOTHING
    return (length - 1 - last, length - first) if reverse else (first, last + 1)


# --- By score --------------------------------------------------------------------------------------------------------


def score_bound(word: bytes) -> tuple[float, bool]:
    """A score and whether it is itself left out.  Raises RedisError.

    The reference reads it with C's strtod: no digits are 0, what is too large is infinite, too small is 0.
    """
    text = word.partition(b"\0")[0]
    exclusive = text[:1] == b"("
    text = text[1:] if exclusive else text
    number = maybe_double(text) if text else 0.0
    if number is None:
        number = _rounded(text)
    return number, exclusive


def _rounded(text: bytes) -> float:
    """A number that is too large or too small for a double.  Raises RedisError if it is no number at all."""
    if text.translate(None, PLAIN + b"+eE"):
        raise RedisError("ERR min or max is not a float")
    try:
        return float(text)
    except ValueError:
        raise RedisError("ERR min or max is not a float") from None


def span_by_score(value: SortedSet, low: tuple[float, bool], high: tuple[float, bool]) -> Span:
    """The ranks of the scores between two bounds. O(log n)."""
    start = value.not_above(low[0]) if low[1] else value.below(low[0])
    stop = value.below(high[0]) if high[1] else value.not_above(high[0])
    return (start, stop) if start < stop else NOTHING


# --- By name ---------------------------------------------------------------------------------------------------------

WALKED_MAX = 128
"""Members that are looked at one by one where their order is not that of their names."""

NameBound = tuple[bytes, bool]

FIRST = (b"-", False)
LAST = (b"+", False)
"""As bounds; a name in a bound has a sign before it, so these are none."""


def name_bound(word: bytes) -> NameBound:
    """FIRST, LAST, or "[" and a name, and whether that is itself left out.  Raises RedisError."""
    sign = word[:1]
    if sign in (b"-", b"+") and word[1:2] in (b"", b"\0"):
        return FIRST if sign == b"-" else LAST
    if sign in (b"[", b"("):
        return b"[" + word[1:], sign == b"("
    raise RedisError("ERR min or max not valid string range item")


def span_by_name(value: SortedSet, low: NameBound, high: NameBound, reverse: bool) -> Span:
    """The ranks of the members between two bounds, where all have one score. O(log n).

    Where scores differ the reference gives what it happens upon: of a listpack that is the same here, and nearly always
    of a small skiplist, which there depends on how its levels have fallen.
    """
    length = len(value)
    if length <= WALKED_MAX and value.scores(0, 1) != value.scores(length - 1, length):
        return _span_among(value.range(0, length), low, high, reverse)
    start = _before(value, low, low[1])
    stop = _before(value, high, not high[1])
    return (start, stop) if start < stop else NOTHING


def _before(value: SortedSet, bound: NameBound, with_itself: bool) -> int:
    """How many members are before a bound. O(log n)."""
    if bound is FIRST:
        return 0
    if bound is LAST:
        return len(value)
    name = bound[0][1:]
    return value.below(value.scores(0, 1)[0], name + b"\0" if with_itself else name)


def _span_among(members: list[bytes], low: NameBound, high: NameBound, reverse: bool) -> Span:
    """From the first that is not below, or down from the last that is not above: as far as all are in the range."""
    from_low = [_is_from(member, low) for member in members]
    to_high = [_is_to(member, high) for member in members]
    if not from_low[-1] or not to_high[0]:
        return NOTHING
    if reverse:
        stop = max(rank for rank, there in enumerate(to_high) if there) + 1
        start = max((rank for rank in range(stop) if not from_low[rank]), default=-1) + 1
    else:
        start = from_low.index(True)
        stop = min((rank for rank in range(start, len(members)) if not to_high[rank]), default=len(members))
    return (start, stop) if start < stop else NOTHING


def _is_from(member: bytes, low: NameBound) -> bool:
    if low is FIRST or low is LAST:
        return low is FIRST
    return member > low[0][1:] if low[1] else member >= low[0][1:]


def _is_to(member: bytes, high: NameBound) -> bool:
    if high is FIRST or high is LAST:
        return high is LAST
    return member < high[0][1:] if high[1] else member <= high[0][1:]


# --- A part of a range -----------------------------------------------------------------------------------------------


def limited(span: Span, offset: int, count: int, reverse: bool, listpacked: bool) -> Span:
    """What LIMIT leaves of it: `count` from `offset` on, all if it is negative; `reverse` counts from its end.

    An offset below 0 leaves nothing of a listpack, and of a skiplist what it counts from the far end: so the reference.
    """
    start, stop = span
    if offset < 0 and not listpacked:
        offset += stop - start
    if offset < 0 or offset >= stop - start:
        return NOTHING
    if reverse:
        stop -= offset
        return (start if count < 0 else max(start, stop - count)), stop
    start += offset
    return start, (stop if count < 0 else min(stop, start + count))
