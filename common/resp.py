"""Replies as bytes: what a handler returns, encoded in RESP2 or RESP3.

A handler returns plain Python values: bytes is a bulk string, int an integer, None the null, list an array, dict a map,
set a set, float a double, bool a boolean, a RedisError an error. The few things that Python has no word for are here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from common.errors import RedisError
from common.numbers import shortest_text


class Status(str):
    """A simple string: `+OK`."""

    __slots__ = ()


class Verbatim(str):
    """A text for people: a verbatim string in RESP3, a bulk string in RESP2."""

    __slots__ = ()


class Decimal(str):
    """A double in other digits than the shortest: a double in RESP3, a bulk string in RESP2."""

    __slots__ = ()


class Push(list[Any]):
    """An out-of-band message: a push in RESP3, an array in RESP2."""

    __slots__ = ()


class Messages(list[Any]):
    """Several messages, one behind the other, that together answer one command."""

    __slots__ = ()


class Pairs(list[tuple[Any, Any]]):
    """Pairs whose order counts: an array of arrays in RESP3, one flat array in RESP2."""

    __slots__ = ()


class FlatMap(list[Any]):
    """A map as a flat list, each key before its value: cheaper to make, and to encode, than a large dict."""

    __slots__ = ()


class Members(list[Any]):
    """Different values, in an order that a Python set would lose: a set in RESP3, an array in RESP2."""

    __slots__ = ()


class Chunks(list[bytes]):
    """Encoded replies in chunks, since something among them is large: joining them would copy it."""

    __slots__ = ()


class NullArray:
    """The absent array: `*-1` in RESP2, the null in RESP3."""

    __slots__ = ()


class NoReply:
    """What a handler returns that must not be answered at all."""

    __slots__ = ()


OK = Status("OK")
NULL_ARRAY = NullArray()
NO_REPLY = NoReply()

NULL = (b"$-1\r\n", b"_\r\n")
"""The null in RESP2 and RESP3, indexed by `protocol - 2`."""

INTEGERS_COUNT = 1024
INTEGERS = [b":%d\r\n" % number for number in range(INTEGERS_COUNT)]
"""Small integers are most of what counts answer: a look-up costs a third of the formatting."""


HEADS_COUNT = 1024
HEADS = [b"$%d\r\n" % size for size in range(HEADS_COUNT)]
"""What is before a bulk string, by its size, for those that are short: so is most that leaves."""
SIZES = [b"$%d" % size for size in range(HEADS_COUNT)]
LINE_END = b"\r\n"

STRINGS_MIN = 8
"""From how many elements on it pays to hope that all are short strings."""


def encode(reply: Any, protocol: int) -> bytes:
    """`reply` in RESP `protocol` (2 or 3).  Raises TypeError on a value that is no reply: a bug of ours."""
    if type(reply) is bytes:
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return ENCODERS[type(reply)](reply, protocol)


def _bulk(reply: bytes | bytearray, protocol: int) -> bytes:
    return b"".join((b"$%d\r\n" % len(reply), reply, b"\r\n"))


def _text(reply: str, protocol: int) -> bytes:
    return _bulk(reply.encode(), protocol)


def _status(reply: Status, protocol: int) -> bytes:
    return b"+%b\r\n" % reply.encode()


def _integer(reply: int, protocol: int) -> bytes:
    if 0 <= reply < INTEGERS_COUNT:
        return INTEGERS[reply]
    return b":%d\r\n" % reply


def _null(reply: None, protocol: int) -> bytes:
    return NULL[protocol - 2]


def _null_array(reply: NullArray, protocol: int) -> bytes:
    return b"*-1\r\n" if protocol == 2 else b"_\r\n"


def _boolean(reply: bool, protocol: int) -> bytes:
    if protocol == 2:
        return INTEGERS[reply]
    return b"#t\r\n" if reply else b"#f\r\n"


WHOLE_MAX = 2.0**62
"""Up to here a whole number is written as an integer, all digits."""


def double_text(number: float) -> bytes:
    """A double as Valkey writes it into a reply: whole numbers as integers, else the shortest text."""
    if number and -WHOLE_MAX <= number <= WHOLE_MAX and number.is_integer():
        return b"%d" % int(number)
    return shortest_text(number)  # Of 0 too, which may have a sign.


def _double(reply: float, protocol: int) -> bytes:
    text = double_text(reply)
    return b"%b%b\r\n" % (HEADS[len(text)], text) if protocol == 2 else b",%b\r\n" % text


def _decimal(reply: Decimal, protocol: int) -> bytes:
    return _text(reply, protocol) if protocol == 2 else b",%b\r\n" % reply.encode()


def _array(reply: list[Any] | tuple[Any, ...], protocol: int) -> bytes:
    if len(reply) >= STRINGS_MIN and type(reply[0]) is bytes:
        encoded = _strings(reply)
        if encoded:
            return encoded
    parts = [b"*%d\r\n" % len(reply)]
    for item in reply:
        if type(item) is bytes:
            size = len(item)
            parts += (HEADS[size] if size < HEADS_COUNT else b"$%d\r\n" % size, item, LINE_END)
        elif item is None:
            parts.append(NULL[protocol - 2])
        else:
            parts.append(ENCODERS[type(item)](item, protocol))
    return b"".join(parts)


def _strings(reply: list[Any] | tuple[Any, ...]) -> bytes:
    """Of short bulk strings only, in half the time: 100 of 14 bytes in 5.6 µs, and not in 11. Empty if there is
    anything else.
    """
    parts = [LINE_END] * (2 * len(reply))
    try:
        parts[::2] = [SIZES[len(item)] for item in reply]
        parts[1::2] = reply
        return b"*%d\r\n%b\r\n" % (len(reply), LINE_END.join(parts))
    except (TypeError, IndexError):
        return b""


def _set(reply: set[Any] | frozenset[Any], protocol: int) -> bytes:
    head = b"*%d\r\n" if protocol == 2 else b"~%d\r\n"
    return head % len(reply) + b"".join([encode(item, protocol) for item in reply])


def _flat_map(reply: FlatMap, protocol: int) -> bytes:
    flat = _array(list(reply), protocol)  # A copy, for of a subclass compiled code takes each item in the slow way.
    return flat if protocol == 2 else b"%%%d%b" % (len(reply) // 2, flat[flat.index(b"\r") :])


def _members(reply: Members, protocol: int) -> bytes:
    flat = _array(list(reply), protocol)
    return flat if protocol == 2 else b"~" + flat[1:]


def _map(reply: Mapping[Any, Any], protocol: int) -> bytes:
    head = b"*%d\r\n" % (2 * len(reply)) if protocol == 2 else b"%%%d\r\n" % len(reply)
    return head + b"".join([encode(item, protocol) for pair in reply.items() for item in pair])


def _pairs(reply: Pairs, protocol: int) -> bytes:
    parts = [b"*%d\r\n" % (len(reply) * (2 if protocol == 2 else 1))]
    for one, other in reply:
        if protocol == 3:
            parts.append(b"*2\r\n")
        if type(one) is bytes and type(other) is float:  # A member with its score: most pairs are that.
            text = double_text(other)
            parts += (b"$%d\r\n" % len(one), one, b"\r\n$%d\r\n" % len(text) if protocol == 2 else b"\r\n,")
            parts += (text, LINE_END)
        else:
            parts += (ENCODERS[type(one)](one, protocol), ENCODERS[type(other)](other, protocol))
    return b"".join(parts)


def _push(reply: Push, protocol: int) -> bytes:
    head = b"*%d\r\n" if protocol == 2 else b">%d\r\n"
    return head % len(reply) + b"".join([encode(item, protocol) for item in reply])


def _messages(reply: Messages, protocol: int) -> bytes:
    return b"".join([encode(message, protocol) for message in reply])


def _verbatim(reply: Verbatim, protocol: int) -> bytes:
    text = reply.encode("utf-8", "surrogateescape")
    return _bulk(text, protocol) if protocol == 2 else b"=%d\r\ntxt:%b\r\n" % (len(text) + 4, text)


def joined(replies: list[Any]) -> bytes | Chunks:
    """Encoded replies, of which some may be Chunks, as one."""
    if not any(type(reply) is Chunks for reply in replies):
        return b"".join(replies)
    chunks = Chunks()
    for reply in replies:
        chunks += reply if type(reply) is Chunks else (reply,)
    return chunks


def error_reply(error: RedisError) -> bytes:
    """An error line. Line ends inside the text would end the reply early: they become spaces, as in Valkey."""
    text = str(error).replace("\r", " ").replace("\n", " ")
    return b"-%b\r\n" % text.encode("utf-8", "surrogateescape")


class _Encoders(dict[type, Callable[[Any, int], bytes]]):
    """The encoder of each type; a subclass is looked up once and then remembered."""

    def __missing__(self, kind: type) -> Callable[[Any, int], bytes]:
        for base in kind.__mro__[1:]:
            if base in self:
                self[kind] = self[base]
                return self[kind]
        raise TypeError(f"no reply can be made of a {kind.__name__}")


ENCODERS = _Encoders(
    {
        bytes: _bulk,
        bytearray: _bulk,
        str: _text,
        Status: _status,
        int: _integer,
        bool: _boolean,
        float: _double,
        type(None): _null,
        NullArray: _null_array,
        NoReply: lambda reply, protocol: b"",
        list: _array,
        tuple: _array,
        dict: _map,
        set: _set,
        frozenset: _set,
        Pairs: _pairs,
        FlatMap: _flat_map,
        Members: _members,
        Push: _push,
        Messages: _messages,
        Decimal: _decimal,
        Verbatim: _verbatim,
        RedisError: lambda reply, protocol: error_reply(reply),
    }
)


def reply_end(replies: bytes, at: int) -> int:
    """Where the reply that begins at `at` ends."""
    left = 1
    while left:
        left -= 1
        kind = replies[at : at + 1]
        line_end = replies.index(b"\r\n", at)
        following = line_end + 2
        if kind in b"$=!*~>%|":
            size = max(int(replies[at + 1 : line_end]), -1)
            if kind in b"$=!":
                following += size + 2 if size >= 0 else 0
            else:
                # A map has two values a pair, and so have attributes, which come before the reply itself.
                left += max(size, 0) * (2 if kind in b"%|" else 1) + (kind == b"|")
        at = following
    return at
