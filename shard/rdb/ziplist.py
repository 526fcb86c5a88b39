"""What small values were before there were listpacks: ziplists, zipmaps and intsets. Only intsets are still written.

    ziplist   bytes (4)  place of the last entry (4)  entries (2)  entry ...  0xFF
    entry     size of the entry before: 1 byte below 0xFE, else 0xFE + 4;  encoding;  data
    zipmap    pairs (1)  size key  size  unused (1) value unused ...  0xFF;  a size as in a ziplist
    intset    bytes of an integer (4)  integers (4)  integer ... ascending

All of them are checked as Redis's deep check does. O(n). Low bytes come first, but for sizes of texts in a ziplist.
"""

from shard.rdb.encoding import BadObject

END = 0xFF
LONG = 0xFE
ZIPLIST_HEADER_BYTES = 10
INTSET_HEADER_BYTES = 8
UNKNOWN_COUNT = 65535

INTEGER_BYTES = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def ziplist(data: bytes) -> list[bytes]:
    """What its entries say.  Raises BadObject."""
    size = len(data)
    if size <= ZIPLIST_HEADER_BYTES or _number(data, 0, 4) != size or data[-1] != END:
        raise BadObject()
    tail, count = _number(data, 4, 4), _number(data, 8, 2)
    texts = []
    at = last = ZIPLIST_HEADER_BYTES
    before = 0
    while at < size - 1:
        last = at
        said, at = _size(data, at)
        if said != before or data[last] == END:
            raise BadObject()
        text, at = _entry(data, at)
        texts.append(text)
        before = at - last
    if at != size - 1 or tail != last or count not in (len(texts), UNKNOWN_COUNT):
        raise BadObject()
    return texts


def _entry(data: bytes, at: int) -> tuple[bytes, int]:
    """What an entry says whose encoding is at `at`, and where it ends, which is within `data`."""
    kind = data[at]
    if kind < 0xC0:
        if kind < 0x40:
            size, at = kind, at + 1
        elif kind < 0x80:
            size, at = (kind & 63) << 8 | _number(data, at + 1, 1), at + 2
        elif kind == 0x80:
            size, at = int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
        else:
            raise BadObject()
        return _slice(data, at, size), at + size
    if 0xF1 <= kind <= 0xFD:
        return b"%d" % (kind - 0xF1), at + 1
    if kind not in INTEGER_BYTES:
        raise BadObject()
    size = INTEGER_BYTES[kind]
    return b"%d" % int.from_bytes(_slice(data, at + 1, size), "little", signed=True), at + 1 + size


def zipmap(data: bytes) -> list[bytes]:
    """Its keys and values in turn.  Raises BadObject."""
    if len(data) < 2 or data[-1] != END:
        raise BadObject()
    texts: list[bytes] = []
    at = 1
    while data[at] != END:
        for unused_bytes in (0, 1):
            size, at = _size(data, at)
            unused = _number(data, at, unused_bytes)
            texts.append(_slice(data, at + unused_bytes, size))
            at += unused_bytes + size + unused
            if at >= len(data):
                raise BadObject()
    if not texts or at != len(data) - 1 or data[0] not in (len(texts) // 2, LONG):
        raise BadObject()
    return texts


def intset(data: bytes) -> list[int]:
    """Its integers.  Raises BadObject."""
    if len(data) < INTSET_HEADER_BYTES:
        raise BadObject()
    size, count = _number(data, 0, 4), _number(data, 4, 4)
    if size not in (2, 4, 8) or not count or len(data) != INTSET_HEADER_BYTES + size * count:
        raise BadObject()
    places = range(INTSET_HEADER_BYTES, len(data), size)
    numbers = [int.from_bytes(data[at : at + size], "little", signed=True) for at in places]
    if any(one >= other for one, other in zip(numbers, numbers[1:], strict=False)):
        raise BadObject()
    return numbers


def _size(data: bytes, at: int) -> tuple[int, int]:
    """A size of 1 or 5 bytes, and where it ends, which is before the end of `data`."""
    size, at = (_number(data, at + 1, 4), at + 5) if data[at] >= LONG else (data[at], at + 1)
    if at >= len(data):
        raise BadObject()
    return size, at


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(_slice(data, at, size), "little")


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise BadObject()
    return data[at : at + size]
