"""Frames between router and shard: msgpack over a Unix socket, streamed, one a turn and direction.

first frame     ["router", nonce]: who repeats what the shard said in its hello is a router, and nobody else is served.
request frame   [now_ms, header, run, header, run, ...]. A run is the commands that one client sent in one turn and that
                go to this shard, each a list of bytes; its header says for all of them what few bits can say.
reply frame     a list: an entry per run, in the order of the runs: bytes (JOINED), a list with an entry per command,
                or None where the answer comes late. Or a dict: {"hello": ...}, {"state": ...}, {"late": {n: reply}},
                {"slow": [...]}, {"refusal": what writes are told, or ""}, {"blocked": [[n, deadline in ms or 0], ...]}:
                these wait for a key; `n` is the number of the run in the stream, from 0; {"ready": [n, ...]}: these
                wait for keys on several shards, and may be served here; {"events": [[kind, ...],
                ...]}: what happened in the turn whose replies came before, in order.

A run is what is numbered and answered, so that a pipeline of a hundred commands costs one entry and not a hundred.
"""

import struct
from collections.abc import Callable
from typing import Any, Self

import msgpack

from common.errors import RedisError

ROUTER = "router"
"""How the first frame to a shard begins."""

RESP3 = 1
"""Encode the replies in RESP3."""
JOINED = 2
"""Answer the whole run with one bytes object: nobody has to look between its replies."""
VALUES = 4
"""Answer with Python values: the router joins them with those of other shards."""
CONTROL = 8
"""Each item of the run is a message from the router itself and no command of a client."""
NO_TOUCH = 16
"""The client asked that its reads leave no trace in the idle clocks (CLIENT NO-TOUCH)."""
AS_ONE = 32
"""The commands of the run are a transaction: nothing comes between them."""
RECORDED = 64
"""The run is a part of a write over several shards: instead of its commands it has the record of the whole, which has
them, see common/record.py; always AS_ONE."""
DB_SHIFT = 8
"""The number of the db is the rest of the header."""

STAGED_CODE, STAGED_NUMBER = 2, struct.Struct(">Q")
"""The msgpack extension type of a large string that was sent ahead, and the number by which it was: see
router/freight.py."""

LARGE_CODE, LARGE_NAME = 3, struct.Struct(">QQ")
"""That of a large string in a reply, which stays with the shard until it is fetched: its number and its size."""

BIN32, BIN32_MARK = struct.Struct(">BI"), 0xC6
"""How msgpack begins a string of bytes of up to 4 GB."""

ERROR_CODE = 1
"""The msgpack extension type of a RedisError among values."""

LARGE_SIZE_BYTES = 1024 * 1024
"""A string from here on is a piece of its own on a link, and the room that was needed to read it is given back: the
packer copies twice and the unpacker once, and both keep room for the largest frame that they ever had."""

FRAME_SIZE_BYTES_MAX = 2**32 - 1
"""What msgpack's C Unpacker can buffer: a frame with one value of 512 MB fits several times over."""


class Large:
    """The name of a large string in a reply, and then the string itself."""

    __slots__ = ("number", "size_bytes", "value")

    def __init__(self, number: int, size_bytes: int) -> None:
        self.number = number
        self.size_bytes = size_bytes
        self.value = b""


def _default(value: Any) -> Any:
    if type(value) is Large:
        return msgpack.ExtType(LARGE_CODE, LARGE_NAME.pack(value.number, value.size_bytes))
    if isinstance(value, RedisError):
        return msgpack.ExtType(ERROR_CODE, str(value).encode("utf-8", "surrogateescape"))
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__} cannot travel between processes")


def value_of(code: int, data: bytes) -> Any:
    """The value of an extension type that stands for itself.  Raises ValueError for any other."""
    if code != ERROR_CODE:
        raise ValueError(f"an extension of type {code} stands for nothing here")
    return RedisError(data.decode("utf-8", "surrogateescape"))


def packer() -> msgpack.Packer:
    """What turns a frame into bytes."""
    return msgpack.Packer(default=_default, autoreset=True)


Staged = dict[int, tuple[int, bytes]]
"""What was sent ahead, by the id() of the string: the number, and the string, which so keeps its id()."""


def pieces(frame: Any, staged: Staged) -> list[bytes]:
    """A frame as `packer` packs it, in pieces; what is large in it is not copied, but is one of them. What is `staged`
    is only named, and is so no more: the other end takes it from there.
    """
    packer = msgpack.Packer(default=_default, autoreset=False)
    found: list[bytes] = []
    _add(frame, packer, found, staged)
    return [*found, packer.bytes()]


def _add(value: Any, packer: msgpack.Packer, found: list[bytes], staged: Staged) -> None:
    """Packs a value; whenever something large comes, what was packed before it and then itself go to `found`."""
    if type(value) is list:
        packer.pack_array_header(len(value))
        for item in value:
            _add(item, packer, found, staged)
    elif type(value) is bytes and len(value) >= LARGE_SIZE_BYTES:
        known = staged.pop(id(value), None)
        if known is not None:
            packer.pack_ext_type(STAGED_CODE, STAGED_NUMBER.pack(known[0]))
            return
        found.append(packer.bytes() + BIN32.pack(BIN32_MARK, len(value)))
        found.append(value)
        packer.reset()
    else:
        packer.pack(value)


def unpack(data: bytes | memoryview) -> Any:
    """The one value that was packed."""
    return msgpack.unpackb(data, strict_map_key=False, ext_hook=value_of, use_list=True)


def unpacker(ext_hook: Callable[[int, bytes], Any] = value_of) -> msgpack.Unpacker:
    """What turns a stream of bytes into frames: `feed` it, then iterate."""
    return msgpack.Unpacker(
        strict_map_key=False, ext_hook=ext_hook, max_buffer_size=FRAME_SIZE_BYTES_MAX, use_list=True
    )


class Frames:
    """The frames of one end of a link: `feed` it what came, then iterate over those that are whole.

    An unpacker keeps the room of the largest frame that it ever had: behind a large one another takes its place.
    """

    def __init__(self, ext_hook: Callable[[int, bytes], Any] = value_of) -> None:
        """`ext_hook` gives what an extension type of msgpack stands for."""
        self.ext_hook = ext_hook
        self._renew()

    def _renew(self) -> None:
        self.unpacker = unpacker(self.ext_hook)
        self.fed = 0
        """Bytes that it was fed."""
        self.mark = 0
        """How many they were when the last frame was complete."""
        self.grown = False
        """Whether it has made room for something large."""

    def feed(self, data: bytes) -> None:
        """Takes what came."""
        self.fed += len(data)
        if self.fed - self.mark > LARGE_SIZE_BYTES:
            self.grown = True
        self.unpacker.feed(data)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        frame = next(self.unpacker)
        self.mark = self.fed
        # Not later: behind the last frame `tell` also counts what there is of the next.
        if self.grown and self.unpacker.tell() == self.fed:
            self._renew()
        return frame
