"""HyperLogLogs: how many different elements were seen, in at most 12 KB, as the bytes that Valkey keeps.

A string of 16 bytes of header and then 16384 registers of 0 to 63, each the longest run of zeros, plus 1, in the hashes
of the elements that fall into it.

    "HYLL", encoding (0 dense, 1 sparse), 3 unused bytes, 8 bytes of cached count: valid while its highest bit is 0
    dense       6 bits a register, from the lowest bit of each byte on
    sparse      runs of equal registers:  00LLLLLL            64 registers of 0 at most, their number less 1
                                          01LLLLLL LLLLLLLL   16384 of 0 at most
                                          1VVVVVLL            4 of value 1 to 32 at most

The bytes are equal to the reference's after the same commands: runs are split and joined as it does, and where it
does. Estimator: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from math import sqrt

Registers = bytes | bytearray
"""One byte each."""

REGISTERS = 16384
INDEX_BITS = 14
HEADER_BYTES = 16
DENSE_BYTES = HEADER_BYTES + REGISTERS * 6 // 8
DENSE = 0
SPARSE = 1
ENCODING_AT = 4
STALE_AT = 15
"""The byte whose highest bit says that the cached count is not valid."""
STALE = 0x80

RUN_MAX = 64
"""Registers of the longest run of zeros in one byte."""
SPARSE_VALUE_MAX = 32
SPARSE_LENGTH_MAX = 4
SPARSE_BYTES_MAX = 3000
"""Where `hll-sparse-max-bytes` is not set."""
RUNS_JOINED_MAX = 5
"""How many runs are looked at after a change, for neighbours to join."""

HASH_BITS = 50
"""Of a hash, those that are not the register's number."""
RANK_END = 1 << HASH_BITS
"""What ends the run of zeros in a hash that has no other bit set."""
ALPHA = 0.721347520444481703680
HIGHEST_BITS = int.from_bytes(b"\x80" * REGISTERS, "little")
"""That of each register's byte."""
DIGITS = b2a_base64(
    bytes.fromhex("".join(f"{n << 18 | n + 1 << 12 | n + 2 << 6 | n + 3:06x}" for n in range(0, 64, 4)))
)
FROM_BASE64 = bytes.maketrans(DIGITS[:64], bytes(range(64)))
TO_BASE64 = bytes.maketrans(bytes(range(64)), DIGITS[:64])

WORD = 0xFFFFFFFFFFFFFFFF

# The same as C integers, for what is compiled.
_HEADER_BYTES = HEADER_BYTES
_REGISTERS = REGISTERS
_ENCODING_AT = ENCODING_AT
_INDEX_BITS = INDEX_BITS
_RANK_END = RANK_END
_SEED = 0xADC83B19
_FACTOR = 0xC6A4A7935BD1E995
_WORD = WORD

COUNT_MAX = 2.0**63
IMPOSSIBLE_COUNT = -(2**63)
"""What the reference answers for registers that no elements make, such as a dense one of 0xff bytes."""


def new() -> bytearray:
    """One that has seen nothing: sparse, with a valid count of 0, as the reference makes it before it adds."""
    return bytearray(b"HYLL\x01" + bytes(11) + b"\x7f\xff")


def is_valid(data: bytes | bytearray) -> bool:
    """Whether a string looks like one; what its sparse runs are is seen when they are read. O(1)."""
    if len(data) < HEADER_BYTES or data[:4] != b"HYLL" or data[ENCODING_AT] > SPARSE:
        return False
    return data[ENCODING_AT] == SPARSE or len(data) == DENSE_BYTES


def is_sparse(data: bytes | bytearray) -> bool:
    """Whether its registers are kept as runs. O(1)."""
    return data[ENCODING_AT] == SPARSE


def cached_count(data: bytes | bytearray) -> int:
    """The count that is kept, -1 if it is not valid. O(1)."""
    return -1 if data[STALE_AT] & STALE else int.from_bytes(data[8:16], "little")


def keep_count(data: bytearray, count: int) -> None:
    """Writes the count into the header; one that is impossible stays stale. O(1)."""
    data[8:16] = (count & WORD).to_bytes(8, "little")


def make_stale(data: bytearray) -> None:
    """Says that the count is to be reckoned again. O(1)."""
    data[STALE_AT] |= STALE


# --- Adding ----------------------------------------------------------------------------------------------------------


def place_of(element: bytes) -> int:
    """The register that an element falls into, times 64, plus the value that it asks for there. O(n)."""
    hashed = murmur(element)
    rest = hashed >> _INDEX_BITS | _RANK_END
    return (hashed & (_REGISTERS - 1)) << 6 | (rest & -rest).bit_length()


def murmur(data: bytes) -> int:
    """MurmurHash64A with the reference's seed. O(n)."""
    size = len(data)
    hashed = _SEED ^ (size * _FACTOR & _WORD)
    end = size & ~7
    for at in range(0, end, 8):
        word = _mixed(int.from_bytes(data[at : at + 8], "little"))
        hashed = (hashed ^ word) * _FACTOR & _WORD
    if end < size:
        hashed = (hashed ^ int.from_bytes(data[end:], "little")) * _FACTOR & _WORD
    hashed = (hashed ^ hashed >> 47) * _FACTOR & _WORD
    return hashed ^ hashed >> 47


def _mixed(word: int) -> int:
    word = word * _FACTOR & _WORD
    return (word ^ word >> 47) * _FACTOR & _WORD


def would_change(data: bytes | bytearray, places: Sequence[int]) -> bool:
    """Whether a dense one is changed by what `place_of` gave. O(1) an element."""
    return any(_dense_register(data, place >> 6) < place & 63 for place in places)


def add(data: bytearray, place: int, sparse_bytes_max: int) -> int:
    """Adds what `place_of` gave: 1 if a register grew, 0 if none did, -1 if `data` is no HyperLogLog.

    A sparse one becomes dense where it would be longer than `sparse_bytes_max`. O(1) if dense, else O(n) in its bytes.
    """
    index, value = place >> 6, place & 63
    if data[_ENCODING_AT] == DENSE:
        return _add_dense(data, index, value)
    return _add_sparse(data, index, value, sparse_bytes_max, Cursor())


def raise_to(data: bytearray, values: Registers, sparse_bytes_max: int) -> None:
    """Raises the registers of a valid one to at least `values`, one after the other, as PFMERGE does. O(1)."""
    cursor = Cursor()
    for index, value in enumerate(values):
        if value and data[_ENCODING_AT] == SPARSE:
            _add_sparse(data, index, value, sparse_bytes_max, cursor)
        elif value:
            _add_dense(data, index, value)


def _add_dense(data: bytearray, index: int, value: int) -> int:
    if _dense_register(data, index) >= value:
        return 0
    at, shift = _HEADER_BYTES + (index * 6 >> 3), index * 6 & 7
    data[at] = data[at] & ~(63 << shift) & 255 | value << shift & 255
    if shift > 2:
        data[at + 1] = data[at + 1] & ~(63 >> (8 - shift)) & 255 | value >> (8 - shift)
    return 1


def _dense_register(data: bytes | bytearray, index: int) -> int:
    at, shift = _HEADER_BYTES + (index * 6 >> 3), index * 6 & 7
    low = data[at] >> shift
    return (low | data[at + 1] << (8 - shift)) & 63 if shift > 2 else low & 63


class Cursor:
    """A run of a sparse one, and the two before it: where they begin; the first run stands for those that aren't there.

    From `second` on, nothing is moved by a change of the run, so that the search for a later register begins there.
    """

    __slots__ = ("second", "second_first", "before", "before_first", "at", "first", "length")

    def __init__(self) -> None:
        self.second = self.before = self.at = _HEADER_BYTES
        self.second_first = self.before_first = self.first = 0
        """The first register of each."""
        self.length = 0
        """How many registers the run has."""


def _add_sparse(data: bytearray, index: int, value: int, sparse_bytes_max: int, cursor: Cursor) -> int:
    """As `add`; `cursor` is a new one, or that of an addition to a register before this."""
    if value > SPARSE_VALUE_MAX:
        return _add_promoted(data, index, value)
    if not _find_run(data, index, cursor):
        return -1
    at = cursor.at
    byte = data[at]
    old = (byte >> 2 & 31) + 1 if byte & 0x80 else 0
    if old >= value:
        return 0
    runs = _split(old, cursor.length, index - cursor.first, value)
    size = 2 if byte & 0xC0 == 0x40 else 1
    if len(runs) > size and len(data) + len(runs) - size > sparse_bytes_max:
        return _add_promoted(data, index, value)
    data[at : at + size] = runs
    _join(data, cursor.before)
    make_stale(data)
    return 1


def _find_run(data: bytearray, index: int, cursor: Cursor) -> bool:
    """Moves the cursor to the run of register `index`; whether one has it. O(n)."""
    before = at = second = cursor.second
    before_first = first = second_first = cursor.second_first
    end = len(data)
    while at < end:
        byte = data[at]
        size = 1
        if byte & 0x80:
            length = (byte & 3) + 1
        elif byte & 0x40:
            size = 2
            length = ((byte & 63) << 8 | (data[at + 1] if at + 1 < end else 0)) + 1
        else:
            length = byte + 1
        if index < first + length:
            cursor.second, cursor.second_first = second, second_first
            cursor.before, cursor.before_first = before, before_first
            cursor.at, cursor.first, cursor.length = at, first, length
            return True
        second, second_first = before, before_first
        before, before_first = at, first
        at += size
        first += length
    return False


def _split(old: int, length: int, offset: int, value: int) -> bytes:
    """The runs in the place of one of `length` registers that are `old`, when that at `offset` becomes `value`."""
    one = bytes((0x80 | (value - 1) << 2,))
    return _run(old, offset) + one + _run(old, length - offset - 1)


def _run(value: int, length: int) -> bytes:
    """The run of `length` registers of that value, which fits into one."""
    if not length:
        return b""
    if value:
        return bytes((0x80 | (value - 1) << 2 | (length - 1),))
    return bytes((length - 1,)) if length <= RUN_MAX else bytes((0x40 | (length - 1) >> 8, (length - 1) & 255))


def _join(data: bytearray, at: int) -> None:
    """Makes one of neighbours of the same value, from the run at `at` on, as far as the reference looks."""
    left = RUNS_JOINED_MAX
    end = len(data)
    while at < end and left:
        left -= 1
        byte = data[at]
        if not byte & 0x80:
            at += 2 if byte & 0x40 else 1
            continue
        if at + 1 < end:
            following = data[at + 1]
            length = (byte & 3) + (following & 3) + 2
            if following & 0x80 and byte >> 2 == following >> 2 and length <= SPARSE_LENGTH_MAX:
                data[at : at + 2] = bytes((byte & 0xFC | (length - 1),))
                end -= 1
                continue
        at += 1


def _add_promoted(data: bytearray, index: int, value: int) -> int:
    return _add_dense(data, index, value) if to_dense(data) else -1


# --- Registers -------------------------------------------------------------------------------------------------------


def registers(data: bytes | bytearray) -> bytes | None:
    """All registers, a byte each; None if `data` is no HyperLogLog. O(1)."""
    return sparse_registers(data) if data[ENCODING_AT] == SPARSE else dense_registers(data)


def dense_registers(data: bytes | bytearray) -> bytes:
    """Of a dense one. Groups of 6 bits are what base64 is about, only that it begins with the highest: 15 µs."""
    return b2a_base64(data[: HEADER_BYTES - 1 : -1], newline=False).translate(FROM_BASE64)[::-1]


def packed(values: Registers) -> bytes:
    """The bytes of dense registers."""
    return a2b_base64(values[::-1].translate(TO_BASE64))[::-1]


def sparse_registers(data: bytes | bytearray) -> bytes | None:
    """Of a sparse one; None if its runs are not exactly all registers."""
    found = bytearray(REGISTERS)
    number = 0
    at, end = HEADER_BYTES, len(data)
    while at < end:
        byte = data[at]
        at += 1
        value = 0
        if byte & 0x80:
            value, length = (byte >> 2 & 31) + 1, (byte & 3) + 1
        elif byte & 0x40:
            length = ((byte & 63) << 8 | (data[at] if at < end else 0)) + 1
            at += 1
        else:
            length = byte + 1
        if number + length > REGISTERS:
            return None
        if value:
            for place in range(number, number + length):
                found[place] = value
        number += length
    return bytes(found) if number == REGISTERS else None


def to_dense(data: bytearray) -> bool:
    """Makes a sparse one dense; False, and nothing done, if it is no HyperLogLog."""
    found = sparse_registers(data)
    if found is None:
        return False
    put_dense(data, found)
    return True


def put_dense(data: bytearray, values: Registers) -> None:
    """Makes it dense, with these registers; the cached count stays as it is. O(1)."""
    data[ENCODING_AT] = DENSE
    data[HEADER_BYTES:] = packed(values)


def merged(one: Registers, other: Registers) -> bytes:
    """The larger of each two registers, all at once: 1 ms one by one, a tenth of it as two long integers. O(1)."""
    x, y = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    larger = (x | HIGHEST_BITS) - y & HIGHEST_BITS  # The highest bit stays where x is not smaller.
    mask = larger - (larger >> 7)
    return (x & mask | y & ~mask).to_bytes(REGISTERS, "little")


def runs(data: bytes | bytearray) -> list[tuple[int, int, bool]]:
    """The runs of a sparse one: value, length, and whether it takes two bytes."""
    found = []
    at, end = HEADER_BYTES, len(data)
    while at < end:
        byte = data[at]
        at += 1
        if byte & 0x80:
            found.append(((byte >> 2 & 31) + 1, (byte & 3) + 1, False))
        elif byte & 0x40:
            found.append((0, ((byte & 63) << 8 | (data[at] if at < end else 0)) + 1, True))
            at += 1
        else:
            found.append((0, byte + 1, False))
    return found


# --- Counting --------------------------------------------------------------------------------------------------------


def count(values: Registers) -> int:
    """The estimate of how many different elements were added. O(1)."""
    having = [0] * (HASH_BITS + 2)
    left = REGISTERS
    for value in range(HASH_BITS + 2):
        if not left:
            break
        having[value] = values.count(value)
        left -= having[value]
    total = float(REGISTERS)
    sum_ = total * _tau((total - having[HASH_BITS + 1]) / total)
    for value in range(HASH_BITS, 0, -1):
        sum_ = (sum_ + having[value]) * 0.5
    sum_ += total * _sigma(having[0] / total)
    estimate = ALPHA * total * total / sum_ if sum_ else COUNT_MAX
    if estimate >= COUNT_MAX:
        return IMPOSSIBLE_COUNT
    whole = int(estimate)
    return whole + (estimate - whole >= 0.5)


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y = 1.0
    z = 1 - x
    before = -1.0
    while before != z:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3


def _sigma(x: float) -> float:
    if x == 1.0:
        return float("inf")
    y = 1.0
    z = x
    before = -1.0
    while before != z:
        x *= x
        before = z
        z += x * y
        y += y
    return z
