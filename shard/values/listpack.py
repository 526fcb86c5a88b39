"""Listpacks: many short texts in one piece of memory, byte for byte as Redis has them.

    total bytes (4)  entries (2)  entry entry entry ...  0xFF
    entry: encoding  data  length of those two, in 1 to 5 bytes, to be read from its end

    0xxxxxxx            an integer of 7 bits        11110001 + 2 bytes  an integer of 16 bits
    10xxxxxx            a text of up to 63 bytes    11110010 + 3        of 24
    110xxxxx + 1 byte   an integer of 13 bits       11110011 + 4        of 32
    1110xxxx + 1 byte   a text of up to 4095        11110100 + 8        of 64
    11110000 + 4 bytes  a longer text               little-endian; high bits first in the left column

Rule 1: what prints as a 64 bit integer is an integer, of the fewest bytes. So equal texts have equal entries, which is
        what `find` looks for. What comes from elsewhere is checked with `whole`, and made anew where it differs.
Rule 2: a place is an offset into the bytearray, of an entry or of the 0xFF behind the last. An edit invalidates all.
Rule 3: the header counts up to 65534 entries; 65535 says that there may be any number.
"""

from collections.abc import Iterable

from common.numbers import maybe_integer

_END = 0xFF
END = _END
"""What is at the end of every listpack."""
# Names with an underscore are C numbers where this is compiled: another module does not see them.
_HEADER_BYTES = 6
_UNKNOWN_COUNT = 65535

_INTEGER_BYTES = (2, 3, 4, 8)
"""Of the integers that have bytes of their own, from 0xF1 on."""
_INTEGER_DIGITS_MAX = 20
_SMALL_INTEGERS = [b"%d" % number for number in range(128)]
_SMALL_ENTRIES = [bytes([number, 1]) for number in range(128)]


def new() -> bytearray:
    """An empty one."""
    return bytearray(b"\x07\0\0\0\0\0\xff")


def of(texts: Iterable[bytes]) -> bytearray:
    """One of all `texts`. O(n)."""
    entries = [entry(text) for text in texts]
    pack = new()
    insert(pack, _HEADER_BYTES, b"".join(entries), len(entries))
    return pack


def entry(text: bytes) -> bytes:
    """The encoded entry of a text. O(size).

    >>> entry(b"5"), entry(b"05"), entry(b"-1")
    (b'\\x05\\x01', b'\\x8205\\x03', b'\\xdf\\xff\\x02')
    """
    size = len(text)
    if 0 < size <= _INTEGER_DIGITS_MAX and 0x2D <= text[0] <= 0x39:
        number = maybe_integer(text)
        if number is not None:
            return _integer_entry(number)
    if size < 64:
        return b"%c%b%c" % (0x80 | size, text, size + 1)
    head = b"%c%c" % (0xE0 | size >> 8, size & 0xFF) if size < 4096 else b"\xf0" + size.to_bytes(4, "little")
    return b"%b%b%b" % (head, text, _backlen(len(head) + size))


def count(pack: bytearray) -> int:
    """How many entries there are. O(1), O(n) once there have been 65535."""
    number = pack[4] | pack[5] << 8
    if number == _UNKNOWN_COUNT:
        at = _HEADER_BYTES
        number = 0
        while pack[at] != _END:
            at = _end(pack, at)
            number += 1
        if number < _UNKNOWN_COUNT:
            _put_count(pack, number)
    return number


def first(pack: bytearray) -> int:
    """The place of the first entry, or of the end. O(1)."""
    return _HEADER_BYTES


def following(pack: bytearray, at: int) -> int:
    """The place behind the entry at `at`; the end's for the end. O(1)."""
    return at if pack[at] == _END else _end(pack, at)


def preceding(pack: bytearray, at: int) -> int:
    """The place of the entry before `at`, which may be the end; -1 if there is none. O(1)."""
    if at <= _HEADER_BYTES:
        return -1
    last = at - 1
    size = pack[last] & 127
    shift = 0
    while pack[last] & 128:
        last -= 1
        shift += 7
        size |= (pack[last] & 127) << shift
    return last - size


def nth(pack: bytearray, index: int) -> int:
    """The place of the entry `index`, which counts from the end if negative; -1 if there is none. O(index)."""
    if index < 0:
        at = preceding(pack, len(pack) - 1)
        while index < -1 and at > 0:
            at = preceding(pack, at)
            index += 1
        return at
    at = _HEADER_BYTES
    while index > 0 and pack[at] != _END:
        at = _end(pack, at)
        index -= 1
    return -1 if pack[at] == _END else at


def text(pack: bytearray, at: int) -> bytes:
    """What the entry at `at` says. O(size)."""
    kind = pack[at]
    if kind < 0x80:
        return _SMALL_INTEGERS[kind]
    if kind < 0xC0:
        return bytes(pack[at + 1 : at + 1 + (kind & 63)])
    if kind < 0xE0 or kind > 0xF0:
        return b"%d" % _integer(pack, at)
    size = _text_bytes(pack, at)
    start = at + (2 if kind < 0xF0 else 5)
    return bytes(pack[start : start + size])


def texts(pack: bytearray) -> list[bytes]:
    """What all entries say, in order. O(n)."""
    return texts_from(pack, _HEADER_BYTES, len(pack))


def texts_from(pack: bytearray, at: int, most: int) -> list[bytes]:
    """What the entries from the place `at` on say, at most so many. O(most), but for a copy of the bytes."""
    data = bytes(pack)
    view = data
    found = []
    kind = view[at]
    while kind != _END and most > 0:
        if kind < 0x80:
            found.append(_SMALL_INTEGERS[kind])
            at += 2
        elif kind < 0xC0:
            size = kind & 63
            found.append(view[at + 1 : at + 1 + size])
            at += size + 2
        else:
            found.append(text(pack, at))
            at = _end(pack, at)
        kind = view[at]
        most -= 1
    return found


def find(pack: bytearray, encoded: bytes, step: int = 1) -> int:
    """The place of the first of the entries 0, `step`, 2 * `step` ... that is `encoded`; -1 if there is none. O(n).

    The bytes are looked for first, which is fast. What is found may be in the midst of an entry, or one of the entries
    between: then a walk over the entries, which compares nothing, tells.
    """
    view = pack
    hit = pack.find(encoded, _HEADER_BYTES)
    at = _HEADER_BYTES
    left = 0  # entries until one that counts
    while hit >= 0:
        while at < hit:
            kind = view[at]
            if kind < 0x80:
                at += 2
            elif kind < 0xC0:
                at += (kind & 63) + 2
            else:
                at = _end(pack, at)
            left = left - 1 if left else step - 1
        if at == hit and not left:
            return at
        hit = pack.find(encoded, at if at > hit else hit + 1)
    return -1


def insert(pack: bytearray, at: int, encoded: bytes, count: int) -> None:
    """Puts `count` entries, already encoded and joined, before `at`. O(bytes behind `at`)."""
    pack[at:at] = encoded
    _put_sizes(pack, count)


def replace(pack: bytearray, at: int, encoded: bytes) -> None:
    """Puts `encoded` in place of the entry at `at`. O(bytes behind `at`), O(size) where it is as long."""
    pack[at : _end(pack, at)] = encoded
    _put_sizes(pack, 0)


def remove(pack: bytearray, at: int, count: int) -> None:
    """Removes `count` entries from `at` on, or as many as there are. O(bytes behind `at`)."""
    end = at
    removed = 0
    while removed < count and pack[end] != _END:
        end = _end(pack, end)
        removed += 1
    del pack[at:end]
    _put_sizes(pack, -removed)


def whole(data: bytes) -> bool:
    """Whether all of `data` is one listpack, each entry sound, as Redis's deep check has it. O(n)."""
    size = len(data)
    if size <= _HEADER_BYTES or int.from_bytes(data[:4], "little") != size or data[size - 1] != _END:
        return False
    at = _HEADER_BYTES
    found = 0
    while data[at] != _END:
        at = _checked_end(data, at, size - 1)
        if at < 0:
            return False
        found += 1
    number = data[4] | data[5] << 8
    return at == size - 1 and number in (found, _UNKNOWN_COUNT)


# An entry's parts


def _integer_entry(number: int) -> bytes:
    if 0 <= number < 128:
        return _SMALL_ENTRIES[number]
    if -4096 <= number < 4096:
        return b"%c%c\x02" % (0xC0 | number >> 8 & 0x1F, number & 0xFF)
    if -32768 <= number < 32768:
        return b"\xf1%b\x03" % number.to_bytes(2, "little", signed=True)
    if -8388608 <= number < 8388608:
        return b"\xf2%b\x04" % number.to_bytes(3, "little", signed=True)
    if -2147483648 <= number < 2147483648:
        return b"\xf3%b\x05" % number.to_bytes(4, "little", signed=True)
    return b"\xf4%b\x09" % number.to_bytes(8, "little", signed=True)


def _integer(pack: bytearray, at: int) -> int:
    """Of an entry that is one, but of 7 bits."""
    kind = pack[at]
    if kind < 0xE0:
        small = (kind & 0x1F) << 8 | pack[at + 1]
        return small - 8192 if small & 4096 else small
    return int.from_bytes(pack[at + 1 : at + 1 + _INTEGER_BYTES[kind - 0xF1]], "little", signed=True)


def _text_bytes(pack: bytearray, at: int) -> int:
    """The size of a text of 64 bytes or more."""
    kind = pack[at]
    if kind < 0xF0:
        return (kind & 15) << 8 | pack[at + 1]
    return pack[at + 1] | pack[at + 2] << 8 | pack[at + 3] << 16 | pack[at + 4] << 24


def _end(pack: bytearray, at: int) -> int:
    """The place behind the entry at `at`."""
    kind = pack[at]
    if kind < 0x80:
        return at + 2
    if kind < 0xC0:
        return at + (kind & 63) + 2
    if kind < 0xE0:
        return at + 3
    if kind <= 0xF0:
        size = _text_bytes(pack, at) + (2 if kind < 0xF0 else 5)
        return at + size + _backlen_bytes(size)
    return at + _INTEGER_BYTES[kind - 0xF1] + 2


def _backlen_bytes(size: int) -> int:
    """How many bytes the length behind an entry takes. (Redis begins with more one size earlier, Valkey does not.)"""
    if size < 1 << 7:
        return 1
    if size < 1 << 14:
        return 2
    if size < 1 << 21:
        return 3
    return 4 if size < 1 << 28 else 5


def _backlen(size: int) -> bytes:
    """The length behind an entry: 7 bits a byte, the high ones first; all but the first have the top bit set."""
    found = [size >> 7 * place & 127 | 128 for place in range(_backlen_bytes(size) - 1, -1, -1)]
    found[0] &= 127
    return bytes(found)


def _checked_end(data: bytes, at: int, end: int) -> int:
    """The place behind the entry at `at`, which may be anything; -1 if it is no entry that ends before `end`."""
    kind = data[at]
    if kind > 0xF4:
        return -1
    if 0xE0 <= kind <= 0xF0:
        head = 2 if kind < 0xF0 else 5
        if at + head > end:
            return -1
        size = (kind & 15) << 8 | data[at + 1] if head == 2 else int.from_bytes(data[at + 1 : at + 5], "little")
        size += head
    elif kind < 0xE0:
        size = 1 if kind < 0x80 else (kind & 63) + 1 if kind < 0xC0 else 2
    else:
        size = _INTEGER_BYTES[kind - 0xF1] + 1
    behind = at + size + _backlen_bytes(size)
    return behind if behind <= end and data[at + size : behind] == _backlen(size) else -1


# The header


def _put_sizes(pack: bytearray, more: int) -> None:
    """Says how long it is now, and that it has `more` entries."""
    size = len(pack)
    pack[0] = size & 0xFF
    pack[1] = size >> 8 & 0xFF
    pack[2] = size >> 16 & 0xFF
    pack[3] = size >> 24 & 0xFF
    if more:
        number = pack[4] | pack[5] << 8
        if number != _UNKNOWN_COUNT:
            _put_count(pack, min(number + more, _UNKNOWN_COUNT))


def _put_count(pack: bytearray, number: int) -> None:
    pack[4] = number & 0xFF
    pack[5] = number >> 8 & 0xFF
