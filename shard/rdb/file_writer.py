"""RDB files, written: the bytes of a header, of keys, of the end. Whoever has the file writes them, in that order."""

from collections.abc import Iterator
from struct import Struct
from typing import Any

from shard.log_buffer import Piece
from shard.rdb.dump import VERSION
from shard.rdb.encoding import Writer
from shard.rdb.objects import STRING, kind_of, steps_of, write_object

AUX = b"\xfa"
RESIZE_DB = b"\xfb"
EXPIRES_AT_MS = b"\xfc"
SELECT_DB = b"\xfe"
END = b"\xff"

TIME = Struct("<q")
STRING_TYPE = b"%c" % STRING

PIECE_BYTES = 1 << 16
"""What is large is cut into pieces of that size."""
COMPRESSED_BYTES_MAX = 1 << 20
"""A string that is longer is not compressed in pieces: that is done at once, and takes 3 ms for a MB."""

NO_TIME = -1
VALKEY_VERSION = "9.1.2"
"""Of the server whose format this is: tools ask for it, and none of ours would tell them which types may come."""


def in_pieces(text: bytes | bytearray) -> Iterator[Piece]:
    """A long text, cut. What can't be changed is not copied: then all of it takes no time, and no memory."""
    uncopied = memoryview(text) if isinstance(text, bytes) else text
    for at in range(0, len(text), PIECE_BYTES):
        piece = uncopied[at : at + PIECE_BYTES]
        yield bytes(piece) if isinstance(piece, bytearray) else piece


def aux_fields(now_ms: int, used_memory_bytes: int, *, aof_base: bool) -> dict[str, str]:
    """What the reference says of itself at the head of a file, in its order."""
    return {
        "valkey-ver": VALKEY_VERSION,
        "redis-bits": "64",
        "ctime": str(now_ms // 1000),
        "used-mem": str(used_memory_bytes),
        "aof-base": str(int(aof_base)),
    }


class FileWriter:
    """The pieces of one file. `config` are the directives: rdbcompression and what says how large a listpack may be.

    Rule 1: the pieces go into the file in the order in which they were asked for. Each entry relies on the db of the
            one before.
    Rule 2: behind the footer comes the checksum of all the pieces, see shard/rdb/crc64.py; eight zeros say that there
            is none (rdbchecksum no).
    """

    __slots__ = ("_config", "_writer", "_db")

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._writer = Writer(config.get("rdbcompression", True))
        self._db = -1

    def header(self, aux: dict[str, str]) -> bytes:
        """The beginning: the version, and what the file says of its server, see `aux_fields`."""
        writer = self._writer
        writer.raw(b"VALKEY%03d" % VERSION)
        for name, value in aux.items():
            writer.raw(AUX)
            writer.string(name.encode())
            writer.string(value.encode())
        return self._taken()

    def sizes(self, db: int, keys: int, keys_with_times: int) -> bytes:
        """How many keys of a db follow, before any of them: a hint, with which a reader makes room at once."""
        writer = self._writer
        self._db = db
        writer.raw(SELECT_DB)
        writer.length(db)
        writer.raw(RESIZE_DB)
        writer.length(keys)
        writer.length(keys_with_times)
        return self._taken()

    def entry(self, db: int, key: bytes, value: Any, at_ms: int) -> bytes:
        """A key with its value and the time when it expires, -1 for none. O(bytes)."""
        writer = self._writer
        self._place(db, at_ms)
        if isinstance(value, bytes):
            writer.raw(STRING_TYPE)
            writer.string(key)
            writer.string(value)
        else:
            kind = kind_of(value, self._config)
            writer.raw(b"%c" % kind)
            writer.string(key)
            write_object(writer, kind, value)
        return self._taken()

    def entry_in_pieces(self, db: int, key: bytes, value: Any, at_ms: int) -> Iterator[Piece]:
        """The same, of which each piece takes little time: for a large value, which must not change meanwhile. Nothing
        else may be asked for until the last piece, but between two others; what that gives stands behind the last."""
        writer = self._writer
        kind = kind_of(value, self._config)
        self._place(db, at_ms)
        if kind == STRING and len(value) > COMPRESSED_BYTES_MAX:
            writer.raw(STRING_TYPE)
            writer.string(key)
            writer.length(len(value))
            yield self._taken()
            yield from in_pieces(value)
            return
        writer.raw(b"%c" % kind)
        writer.string(key)
        for _ in steps_of(writer, kind, value) or ():
            yield from self._pieces()
        yield from self._pieces()

    def _place(self, db: int, at_ms: int) -> None:
        """What stands before the type: the db, if it is another than that of the entry before, and the time."""
        writer = self._writer
        if db != self._db:
            writer.raw(SELECT_DB)
            writer.length(db)
            self._db = db
        if at_ms != NO_TIME:
            writer.raw(EXPIRES_AT_MS)
            writer.raw(TIME.pack(at_ms))

    def _pieces(self) -> list[bytes]:
        """What was written, in pieces: long strings are cut."""
        parts = self._writer.parts
        if sum(map(len, parts)) <= PIECE_BYTES:
            return [self._taken()]
        pieces = [part[at : at + PIECE_BYTES] for part in parts for at in range(0, len(part), PIECE_BYTES)]
        parts.clear()
        return pieces

    def footer(self) -> bytes:
        """The end, but for the checksum."""
        return END

    def _taken(self) -> bytes:
        piece = b"".join(self._writer.parts)
        self._writer.parts.clear()
        return piece
