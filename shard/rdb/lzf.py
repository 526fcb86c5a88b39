"""LZF, the compression of strings in RDB.

A compressed text is runs and references, told apart by the first byte:

    000lllll                        run of l + 1 bytes, which follow
    LLLooooo oooooooo               the L + 2 bytes that begin o + 1 bytes before here
    111ooooo llllllll oooooooo      the l + 9 bytes that begin o + 1 bytes before here

`compress` finds the references that Redis's liblzf finds (its "very fast" kind, 16 bits of hash), so the same text
gives the same bytes.
"""

from array import array

_RUN_MAX = 32
_OFFSET_MAX = 1 << 13
_MATCH_MAX = 264
_EXPANSION_MAX = 264 // 3 + 1
"""A reference of three bytes gives 264."""
_TABLE_MASK = 0xFFFF

COMPRESSED_BYTES_MAX = 1 << 20
"""A longer text is left as it is: to look through it would stall the loop. Redis has no limit."""

_table = array("Q", bytes(8 << 16))
"""Where three bytes with that hash were seen last, counted from the beginning of all texts so far."""
_seen = 1
"""Bytes of the texts so far: a place before belongs to another text. So the table need not be cleared."""


class BadCompression(ValueError):
    """Bytes that are no compressed text of that size."""


def decompress(data: bytes, size: int) -> bytes:
    """The text of `size` bytes.  Raises BadCompression. O(size), and never more than `data` can give."""
    if size > len(data) * _EXPANSION_MAX:
        raise BadCompression()
    found = bytearray()
    at = 0
    try:
        while at < len(data):
            kind = data[at]
            at += 1
            if kind < _RUN_MAX:
                run = data[at : at + kind + 1]
                if len(run) <= kind:
                    raise BadCompression()
                found += run
                at += kind + 1
                continue
            length = kind >> 5
            if length == 7:
                length += data[at]
                at += 1
            _repeat(found, ((kind & 31) << 8 | data[at]) + 1, length + 2)
            at += 1
    except IndexError:
        raise BadCompression() from None
    if len(found) != size:
        raise BadCompression()
    return bytes(found)


def _repeat(found: bytearray, back: int, length: int) -> None:
    """Appends `length` bytes that begin `back` bytes before the end, and may go on into themselves."""
    start = len(found) - back
    if start < 0:
        raise BadCompression()
    piece = found[start : start + length]
    if len(piece) < length:
        piece = (piece * (length // back + 1))[:length]
    found += piece


def compress(text: bytes, size_max: int) -> bytes:
    """`text` in at most `size_max` bytes; empty if that is not possible. O(n)."""
    global _seen
    size = len(text)
    if size < 4 or size > COMPRESSED_BYTES_MAX:
        return b""
    view = text
    table = _table
    base = _seen
    _seen = base + size
    out = bytearray(1)
    run = 0  # bytes of the open run, whose first byte is at out[-run - 1]
    at = 0
    while at < size - 2:
        slot = _slot(view, at)
        seen = table[slot]
        table[slot] = base + at
        before = seen - base if seen > base else 0  # As in liblzf, a match at the very beginning does not count.
        if (
            before
            and at - before <= _OFFSET_MAX
            and view[before] == view[at]
            and view[before + 1] == view[at + 1]
            and view[before + 2] == view[at + 2]
        ):
            if len(out) - (not run) + 4 >= size_max:
                return b""
            _close(out, run)
            run = 0
            length = _match(view, before, at, size) - 2
            _refer(out, at - before - 1, length)
            at += length + 2
            if at >= size - 2:
                break
            table[_slot(view, at - 2)] = base + at - 2
            table[_slot(view, at - 1)] = base + at - 1
        else:
            if len(out) >= size_max:
                return b""
            out.append(view[at])
            at += 1
            run = _longer(out, run)
    if len(out) + 3 > size_max:
        return b""
    while at < size:
        out.append(view[at])
        at += 1
        run = _longer(out, run)
    _close(out, run)
    return bytes(out)


def _slot(view: bytes, at: int) -> int:
    """The hash of three bytes."""
    number = view[at] << 16 | view[at + 1] << 8 | view[at + 2]
    return ((number >> 8) - number * 5) & _TABLE_MASK


def _match(view: bytes, before: int, at: int, size: int) -> int:
    """How many bytes at `at` are as those at `before`, at least 3. The bounds are liblzf's, odd as they are."""
    longest = min(size - at - 2, _MATCH_MAX)
    length = 2
    if longest > 16:
        while length < 18:
            length += 1
            if view[before + length] != view[at + length]:
                return length
    length += 1
    while length < longest and view[before + length] == view[at + length]:
        length += 1
    return length


def _refer(out: bytearray, offset: int, length: int) -> None:
    """Writes a reference, and begins a run."""
    if length < 7:
        out.append(offset >> 8 | length << 5)
    else:
        out.append(offset >> 8 | 7 << 5)
        out.append(length - 7)
    out.append(offset & 0xFF)
    out.append(0)


def _longer(out: bytearray, run: int) -> int:
    """The length of the open run, which got one byte more; 0 if it was full and another was begun."""
    if run + 1 < _RUN_MAX:
        return run + 1
    out[len(out) - _RUN_MAX - 1] = _RUN_MAX - 1
    out.append(0)
    return 0


def _close(out: bytearray, run: int) -> None:
    """Ends the open run, or takes its first byte away if it is empty."""
    if run:
        out[len(out) - run - 1] = run - 1
    else:
        del out[-1]
