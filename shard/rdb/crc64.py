"""The checksum of RDB: CRC-64 of Jones, reflected, as Redis has it.

>>> hex(crc64(b"123456789"))
'0xe9c6d914c4b8d9ca'
"""

from array import array

_POLYNOMIAL_REFLECTED = 0x95AC9329AC4BC9B5


def _make_tables() -> "array[int]":
    """Eight tables of 256: what a byte does to the checksum that 0 to 7 more bytes follow."""
    tables = array("Q")
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ _POLYNOMIAL_REFLECTED if crc & 1 else crc >> 1
        tables.append(crc)
    for place in range(256, 8 * 256):
        crc = tables[place - 256]
        tables.append(tables[crc & 0xFF] ^ crc >> 8)
    return tables


_TABLES = _make_tables()


def crc64(data: bytes, crc: int = 0) -> int:
    """The checksum of `data`, which goes on from that of what is before it. O(n): eight bytes a step."""
    view = data
    table = _TABLES
    at = 0
    end = len(data)
    while at + 8 <= end:
        crc = (
            table[0x700 | (crc ^ view[at]) & 0xFF]
            ^ table[0x600 | (crc >> 8 ^ view[at + 1]) & 0xFF]
            ^ table[0x500 | (crc >> 16 ^ view[at + 2]) & 0xFF]
            ^ table[0x400 | (crc >> 24 ^ view[at + 3]) & 0xFF]
            ^ table[0x300 | (crc >> 32 ^ view[at + 4]) & 0xFF]
            ^ table[0x200 | (crc >> 40 ^ view[at + 5]) & 0xFF]
            ^ table[0x100 | (crc >> 48 ^ view[at + 6]) & 0xFF]
            ^ table[(crc >> 56 ^ view[at + 7]) & 0xFF]
        )
        at += 8
    while at < end:
        crc = table[(crc ^ view[at]) & 0xFF] ^ crc >> 8
        at += 1
    return crc
