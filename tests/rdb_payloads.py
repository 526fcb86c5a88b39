"""Payloads of DUMP for tests: objects of RDB put together by hand, also of types that no server writes any more."""

from random import Random
from typing import Any

from shard.rdb.crc64 import crc64
from shard.rdb.encoding import Writer, length
from shard.values import listpack

VERSION = 80


def sealed(body: bytes, version: int = VERSION) -> bytes:
    """With a version and the right checksum."""
    body += version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def string(text: bytes) -> bytes:
    writer = Writer(compressing=False)
    writer.string(text)
    return b"".join(writer.parts)


def strings(*texts: bytes, count: int = -1) -> bytes:
    """How many there are, or what is said instead, and the strings."""
    return length(len(texts) if count < 0 else count) + b"".join(map(string, texts))


def packed(*texts: bytes) -> bytes:
    return string(bytes(listpack.of(texts)))


def ziplist(*texts: bytes) -> bytes:
    """A string that is a ziplist."""
    body, before, tail = b"", 0, 10
    for text in texts:
        tail = 10 + len(body)
        entry = (b"%c" % before if before < 254 else b"\xfe" + before.to_bytes(4, "little")) + _ziplist_text(text)
        body += entry
        before = len(entry)
    sizes = (11 + len(body)).to_bytes(4, "little") + tail.to_bytes(4, "little") + len(texts).to_bytes(2, "little")
    return string(sizes + body + b"\xff")


def _ziplist_text(text: bytes) -> bytes:
    number = int(text) if text.lstrip(b"-").isdigit() else None
    if number is not None and b"%d" % number == text:
        if 0 <= number <= 12:
            return b"%c" % (0xF1 + number)
        for size, kind in ((1, 0xFE), (2, 0xC0), (3, 0xF0), (4, 0xD0), (8, 0xE0)):
            if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
                return b"%c" % kind + number.to_bytes(size, "little", signed=True)
    size = len(text)
    if size < 64:
        return b"%c" % size + text
    return (b"%c%c" % (0x40 | size >> 8, size & 255) if size < 1 << 14 else b"\x80" + size.to_bytes(4, "big")) + text


def zipmap(*texts: bytes, count: int = -1) -> bytes:
    """A string that is a zipmap."""
    body = b"%c" % (min(len(texts) // 2, 254) if count < 0 else count)
    for place, text in enumerate(texts):
        size = len(text)
        body += (b"%c" % size if size < 254 else b"\xfe" + size.to_bytes(4, "little")) + b"\0" * (place % 2) + text
    return string(body + b"\xff")


def intset(numbers: list[int], size: int) -> bytes:
    """A string that is an intset."""
    head = size.to_bytes(4, "little") + len(numbers).to_bytes(4, "little")
    return string(head + b"".join(number.to_bytes(size, "little", signed=True) for number in numbers))


def node(*ids: int, ms: int = 5, deleted: tuple[int, ...] = ()) -> bytes:
    """A node of a stream: its ID, and a listpack with entries of these sequences."""
    words = [b"%d" % (len(ids) - len(deleted)), b"%d" % len(deleted), b"1", b"f", b"0"]
    for id_ in ids:
        words += [b"3" if id_ in deleted else b"2", b"0", b"%d" % (id_ - ids[0]), b"v%d" % id_, b"4"]
    return string(ms.to_bytes(8, "big") + ids[0].to_bytes(8, "big")) + packed(*words)


def mutated(chance: Random, body: bytes) -> bytes:
    """With some bytes changed, taken out or put in: most often in ways that lengths and kinds are told."""
    made = bytearray(body)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(made)) if made else 0
        act = chance.randrange(8)
        if act == 0 and made:
            del made[at : at + chance.randrange(1, 5)]
        elif act == 1:
            made[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif act == 2:
            made = made[:at]
        elif act == 3 and made:
            other = chance.randrange(len(made))
            made[at:at] = made[other : other + chance.randrange(1, 20)]
        elif made:
            made[at] = chance.choice(
                (0, 1, 2, 3, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xE0, 0xF0, 0xF1, 0xF4, 0xFE, 0xFF)
                if act < 6
                else (made[at] ^ 1 << chance.randrange(8), made[at] + 1 & 255, made[at] - 1 & 255)
            )
    return bytes(made)


Case = tuple[str, bytes]

LONG = b"x" * 65
FIELDS = [b"f%d" % number for number in range(1026)]
SCORES = [word for number in range(129) for word in (b"m%d" % number, b"%d" % number)]
ONE_TIME = (1 << 45).to_bytes(8, "little")
NEVER = b"\xff" * 8
STREAM_END = b"\x03\x05\x03\x05\x01\x00\x00\x03"
"""Length, last ID, first ID, greatest deleted one, added: of `node(1, 2, 3)`."""
PENDING = (5).to_bytes(8, "big") + (1).to_bytes(8, "big")
DELIVERY = PENDING + (1 << 40).to_bytes(8, "little") + b"\x01"

SOUND: list[Case] = [
    ("a string", b"\x00" + string(b"abc")),
    ("an integer", b"\x00\xc1\x10\x27"),
    ("a compressed string", b"\x00\xc3\x05\x0a\x00a\xe0\x00\x00"),
    ("an empty compressed string", b"\x00\xc3\x00\x00"),
    ("a string and more", b"\x00\x01ajunk"),
    ("a list", b"\x01" + strings(b"a", b"12", b"c")),
    ("a list of a long one", b"\x01" + strings(b"x" * 9000, b"a")),
    ("a list as ziplist", b"\x0a" + ziplist(b"a", b"12", b"-5", b"x" * 300, b"70000", b"13", b"9999999999")),
    ("a list as large ziplist", b"\x0a" + ziplist(*[b"x" * 50] * 400)),
    ("a list of ziplists", b"\x0e\x03" + ziplist(b"a", b"3") + ziplist() + ziplist(b"b")),
    ("a list of one ziplist", b"\x0e\x01" + ziplist(b"a", b"3")),
    ("a list of listpacks", b"\x12\x03\x02" + packed(b"a", b"12") + b"\x02" + packed() + b"\x02" + packed(b"b")),
    ("a list of one listpack", b"\x12\x01\x02" + packed(b"a", b"12")),
    ("a list of a large listpack", b"\x12\x01\x02" + packed(*[b"x" * 50] * 400)),
    ("a list with a plain node", b"\x12\x02\x01" + string(b"x" * 9000) + b"\x02" + packed(b"a")),
    ("a set", b"\x02" + strings(b"a", b"12")),
    ("a set of integers", b"\x02" + strings(b"-70000", b"12")),
    ("a set of a long one", b"\x02" + strings(b"12", LONG)),
    ("a set of 129", b"\x02" + strings(*FIELDS[:129])),
    ("a set of 513", b"\x02" + strings(*(b"%d" % number for number in range(513)))),
    ("a set of 129 integers and another", b"\x02" + strings(*(b"%d" % number for number in range(129)), b"a")),
    ("a set as intset", b"\x0b" + intset([-3, 0, 70], 2)),
    ("a set as wide intset", b"\x0b" + intset([-3, 0, 70], 8)),
    ("a set as intset of 513", b"\x0b" + intset(list(range(513)), 4)),
    ("a set as listpack", b"\x14" + packed(b"a", b"12", LONG)),
    ("a set as listpack of integers", b"\x14" + packed(b"13", b"12")),
    ("a set as listpack of 129", b"\x14" + packed(*FIELDS[:129])),
    ("a sorted set of texts", b"\x03\x03\x01m\x031.5\x01n\xfe\x01o\xff"),
    ("a sorted set", b"\x05\x02" + string(b"m") + bytes(8) + string(b"n") + b"\0\0\0\0\0\0\xf8\x3f"),
    ("a sorted set of a long one", b"\x05\x01" + string(LONG) + bytes(7) + b"\x80"),
    ("a sorted set as ziplist", b"\x0c" + ziplist(b"m", b"1", LONG, b"2.5", b"n", b"inf")),
    ("a sorted set as ziplist of 129", b"\x0c" + ziplist(*SCORES)),
    ("a sorted set as listpack", b"\x11" + packed(b"m", b"1", LONG, b"2.5", b"n", b"inf")),
    ("a sorted set as listpack of 129", b"\x11" + packed(*SCORES)),
    ("a hash", b"\x04" + strings(b"f", b"1", b"g", b"2", count=2)),
    ("a hash of a long one", b"\x04" + strings(b"f", LONG, b"g", b"2", count=2)),
    ("a hash of 513", b"\x04" + strings(*FIELDS, count=513)),
    ("a hash as zipmap", b"\x09" + zipmap(b"f", b"1", b"g", b"x" * 60)),
    ("a hash as zipmap of a long one", b"\x09" + zipmap(b"f", b"1", b"g", b"x" * 300)),
    ("a hash as zipmap of 513", b"\x09" + zipmap(*FIELDS)),
    ("a hash as ziplist", b"\x0d" + ziplist(b"f", b"1", b"g", LONG)),
    ("a hash as ziplist of 513", b"\x0d" + ziplist(*FIELDS)),
    ("a hash as listpack", b"\x10" + packed(b"f", b"1", b"g", LONG)),
    ("a hash as listpack of 513", b"\x10" + packed(*FIELDS)),
    ("a hash with times", b"\x16\x02" + strings(b"f", b"1")[1:] + ONE_TIME + strings(b"g", b"2")[1:] + NEVER),
    ("a hash without times", b"\x16\x01" + strings(b"f", b"1")[1:] + NEVER),
    ("a stream of the first kind", b"\x0f\x01" + node(1, 2, 3) + b"\x03\x05\x03\x01\x01g\x05\x02\x00\x00"),
    (
        "a stream of the second kind",
        b"\x13\x02" + node(1, 2) + node(3) + STREAM_END + b"\x01\x01g\x05\x02\x02\x01" + DELIVERY
        + b"\x01\x01c" + (1 << 40).to_bytes(8, "little") + b"\x01" + PENDING,
    ),
    (
        "a stream",
        b"\x15\x01" + node(1, 2, 3, deleted=(2,)) + b"\x02\x05\x03\x05\x01\x05\x02\x03\x01\x01g\x05\x02\x81" + NEVER
        + b"\x01" + DELIVERY + b"\x02\x01c" + (1 << 40).to_bytes(8, "little") * 2 + b"\x01" + PENDING
        + b"\x01d" + (1 << 40).to_bytes(8, "little") + NEVER + b"\x00",
    ),
    ("an empty stream", b"\x15\x00\x00\x05\x03\x00\x00\x05\x03\x07\x00"),
]  # fmt: skip
"""What both servers take."""

UNSOUND: list[Case] = [
    ("nothing", b""),
    ("a type only", b"\x00"),
    *[(f"no type {number}", b"%c" % number + string(b"abc")) for number in (6, 7, 8, 23, 25, 127, 255)],
    ("a string cut off", b"\x00\x20abc"),
    ("a string of 4 GB", b"\x00\x80\xff\xff\xff\xffabc"),
    ("a string of 2**64 - 1", b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffabc"),
    ("an unknown length", b"\x00\x82\0\0\0\0abc"),
    ("an unknown kind of string", b"\x00\xc4\x01a"),
    ("a compressed string of another size", b"\x00\xc3\x05\x0b\x00a\xe0\x00\x00"),
    ("a compressed string cut off", b"\x00\xc3\x02\x02\x01a"),
    ("a compressed string that refers before its beginning", b"\x00\xc3\x05\x0a\x00a\xe0\x00\x01"),
    ("a compressed string of 2**62", b"\x00\xc3\x05\x81\x40\0\0\0\0\0\0\0\x00a\xe0\x00\x00"),
    ("an empty list", b"\x01\x00"),
    ("a list of 2**63", b"\x01\x81\x80\0\0\0\0\0\0\0" + string(b"a")),
    ("a list of an empty ziplist", b"\x0e\x01" + ziplist()),
    ("a list as empty ziplist", b"\x0a" + ziplist()),
    ("a list of an empty listpack", b"\x12\x01\x02" + packed()),
    ("a list of no nodes", b"\x12\x00"),
    ("a list with an unknown node", b"\x12\x01\x03" + packed(b"a")),
    ("a list with an empty plain node", b"\x12\x02\x01\x00\x02" + packed(b"a")),
    ("an empty set", b"\x02\x00"),
    ("a set with one twice", b"\x02" + strings(b"a", b"b", b"a")),
    ("an intset in no order", b"\x0b" + intset([1, 0], 2)),
    ("an intset with one twice", b"\x0b" + intset([1, 1], 2)),
    ("an empty intset", b"\x0b" + intset([], 2)),
    ("a set as listpack with one twice", b"\x14" + packed(b"1", b"1")),
    ("a set as empty listpack", b"\x14" + packed()),
    ("an empty sorted set", b"\x05\x00"),
    ("a sorted set with one twice", b"\x05\x02" + string(b"m") + bytes(8) + string(b"m") + bytes(8)),
    ("a score that is none", b"\x05\x01" + string(b"m") + b"\xff" * 8),
    ("an old score that is none", b"\x03\x01" + string(b"m") + b"\xfd"),
    ("a sorted set as listpack of three", b"\x11" + packed(b"m", b"1", b"n")),
    ("a sorted set as listpack with one twice", b"\x11" + packed(b"m", b"1", b"m", b"2")),
    ("a sorted set as ziplist with one twice", b"\x0c" + ziplist(b"m", b"1", b"m", b"2")),
    ("a packed score that is none", b"\x11" + packed(b"m", b"nan")),
    ("an empty hash", b"\x04\x00"),
    ("a hash with one twice", b"\x04" + strings(b"f", b"1", b"f", b"2", count=2)),
    ("a hash of one more", b"\x04" + strings(b"f", b"1", count=2)),
    ("a zipmap with one twice", b"\x09" + zipmap(b"f", b"1", b"f", b"2")),
    ("an empty zipmap", b"\x09" + zipmap()),
    ("a zipmap of another count", b"\x09" + zipmap(b"f", b"1", count=2)),
    ("a ziplist with one twice", b"\x0d" + ziplist(b"f", b"1", b"f", b"2")),
    ("a ziplist of three", b"\x0d" + ziplist(b"f", b"1", b"g")),
    ("a listpack with one twice", b"\x10" + packed(b"f", b"1", b"f", b"2")),
    ("a listpack of three", b"\x10" + packed(b"f", b"1", b"g")),
    ("a field's time before all times", b"\x16\x01" + strings(b"f", b"1")[1:] + b"\xfe" + b"\xff" * 7),
    ("a stream's node without an ID", b"\x15\x01" + string(b"a") + packed(b"1") + STREAM_END + b"\0"),
    ("a stream's node without entries", b"\x15\x01" + string(bytes(15) + b"1") + packed() + STREAM_END + b"\0"),
    ("a stream with a node twice", b"\x15\x02" + node(1, 2) * 2 + STREAM_END + b"\0"),
    ("a stream of entries without nodes", b"\x15\x00\x01\x05\x03\x00\x00\x05\x03\x07\x00"),
    ("a group twice", b"\x15\x01" + node(1, 2, 3) + STREAM_END + b"\x02" + 2 * b"\x01g\x05\x02\x02\x00\x00"),
    ("pending for nobody", b"\x15\x01" + node(1, 2, 3) + STREAM_END + b"\x01\x01g\x05\x02\x02\x01" + DELIVERY + b"\0"),
    (
        "a consumer with what is not pending",
        b"\x15\x01" + node(1, 2, 3) + STREAM_END + b"\x01\x01g\x05\x02\x02\x00\x01\x01c"
        + NEVER * 2 + b"\x01" + PENDING,
    ),
]  # fmt: skip
"""What both servers refuse."""


def cases(pairs: list[Case]) -> dict[str, Any]:
    """As pytest.mark.parametrize takes them."""
    return {"argnames": "body", "argvalues": [body for _, body in pairs], "ids": [name for name, _ in pairs]}
