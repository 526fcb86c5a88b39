"""Commands on their way into a log: encoded, kept in order, and given up only once they are written.

Bytes in memory, no files. `append` runs once per write command: what it costs is in its comment.
"""

from collections.abc import Sequence
from typing import Any, cast

JOINED_BYTES_MAX = 1 << 20
"""Up to here a turn's commands become one buffer: copying is cheaper than a vector of many small pieces. Above, big
pieces stay as they are, so that a value of megabytes is not copied once more."""
BIG_PIECE_BYTES = 1 << 16
UNCOPIED_BYTES_MIN = 1 << 21
"""More than all pieces of a turn that become one buffer."""
BUFFERS_MAX = 1024
"""Linux's IOV_MAX: what one writev takes."""

HEADS_COUNT = 1024
"""A power of two: then sizes are below it if all their bits are."""
HEADS = [b"\r\n$%d\r\n" % size for size in range(HEADS_COUNT)]
"""What is between an argument and what is before it, by its size, for those that are short."""
LINE_END = b"\r\n"

Piece = bytes | memoryview


class LogBuffer:
    """RESP commands not yet written, oldest first.

    >>> buffer = LogBuffer()
    >>> buffer.append(0, [b"DEL", b"k"])
    >>> buffer.gather()
    [b'*2\\r\\n$6\\r\\nSELECT\\r\\n$1\\r\\n0\\r\\n*2\\r\\n$3\\r\\nDEL\\r\\n$1\\r\\nk\\r\\n']
    """

    __slots__ = ("_db", "_pieces", "_gathered")

    def __init__(self) -> None:
        self._db = -1
        self._pieces: list[bytes] = []
        self._gathered: list[Piece] = []

    @property
    def empty(self) -> bool:
        """Whether all is written."""
        return not self._pieces and not self._gathered

    @property
    def bytes_count(self) -> int:
        """How much waits. O(number of commands)."""
        return sum(map(len, self._pieces)) + sum(map(len, self._gathered))

    def append(self, db: int, argv: Sequence[bytes]) -> None:
        """Adds a command for `db`. O(bytes of argv), which are copied: the caller may go on to change them.

        One join of heads out of a table per command: 0.25 µs for a SET of three arguments, one format takes 0.43.
        """
        if db != self._db:
            self._select(db)
        count = len(argv)
        if count == 3:
            a, b, c = argv
            i, j, k = len(a), len(b), len(c)
            if i | j | k < HEADS_COUNT:
                self._pieces.append(b"".join((b"*3", HEADS[i], a, HEADS[j], b, HEADS[k], c, LINE_END)))
                return
        elif count == 2:
            a, b = argv
            i, j = len(a), len(b)
            if i | j < HEADS_COUNT:
                self._pieces.append(b"".join((b"*2", HEADS[i], a, HEADS[j], b, LINE_END)))
                return
        self._pieces += encoded(argv)

    def append_group(self, entries: Sequence[tuple[int, Any]]) -> None:
        """Adds the effects of one command, [(db, argv), ...], so that a replay does all of them or none. One may be a
        buffer that begins with its db: all that waits in it."""
        if len(entries) < 2 and not (entries and type(entries[0][1]) is LogBuffer):
            for db, argv in entries:
                self.append(db, argv)
            return
        self._pieces.append(b"*1\r\n$5\r\nMULTI\r\n")
        for db, argv in entries:
            if type(argv) is LogBuffer:
                self._take(argv)
            else:
                self.append(db, argv)
        self._pieces.append(b"*1\r\n$4\r\nEXEC\r\n")

    def take(self, pieces: Sequence[Piece]) -> None:
        """Adds what is encoded already, and begins with its db."""
        self._pieces.extend(cast(Any, pieces))
        self._db = -1

    def _take(self, other: "LogBuffer") -> None:
        self._pieces.extend(cast(Any, other.gather()))
        self._db = other._db

    def gather_some(self) -> None:
        """Makes one piece of those that wait, once they are as much as stays a piece of its own."""
        if sum(map(len, self._pieces)) >= BIG_PIECE_BYTES:
            self.gather()

    def forget_db(self) -> None:
        """Has the next command begin with its SELECT: what comes now goes into another file."""
        self._db = -1

    def gather(self) -> list[Piece]:
        """All that waits, as few buffers; empty if nothing does. It stays here until `drop`."""
        pieces = self._pieces
        if pieces:
            if len(pieces) == 1 or sum(map(len, pieces)) > JOINED_BYTES_MAX:
                self._gathered += _joined(pieces)
            else:
                self._gathered.append(b"".join(pieces))
            pieces.clear()
        return self._gathered

    def drop(self, count_bytes: int) -> list[Piece]:
        """Gives up the oldest `count_bytes` of what `gather` gave: they are written, even if they end in a command."""
        gathered = self._gathered
        whole = 0
        while whole < len(gathered) and count_bytes >= len(gathered[whole]):
            count_bytes -= len(gathered[whole])
            whole += 1
        dropped = gathered[:whole]
        del gathered[:whole]
        if count_bytes:
            view = memoryview(gathered[0])
            dropped.append(view[:count_bytes])
            gathered[0] = view[count_bytes:]
        return dropped

    def put_back(self, pieces: list[Piece]) -> None:
        """Takes what `drop` gave up last, to be written again."""
        self._gathered[:0] = pieces

    def _select(self, db: int) -> None:
        number = b"%d" % db
        self._pieces.append(b"*2\r\n$6\r\nSELECT\r\n$%d\r\n%b\r\n" % (len(number), number))
        self._db = db


def encode(argv: Sequence[bytes]) -> bytes:
    """A command in RESP."""
    return b"".join(encoded(argv))


def encoded(argv: Sequence[bytes]) -> list[bytes]:
    """A command in RESP: one piece, but that an argument of megabytes is not copied if nobody can change it."""
    pieces: list[bytes] = []
    parts: list[bytes] = [b"*%d" % len(argv)]
    for argument in argv:
        size = len(argument)
        parts.append(HEADS[size] if size < HEADS_COUNT else b"\r\n$%d\r\n" % size)
        if size >= UNCOPIED_BYTES_MIN and type(argument) is bytes:
            pieces.append(b"".join(parts))
            pieces.append(argument)
            parts = []
        else:
            parts.append(argument)
    parts.append(LINE_END)
    pieces.append(b"".join(parts))
    return pieces


def _joined(pieces: list[bytes]) -> list[Piece]:
    """Neighbours that are small become one, big ones stay: few buffers and little copying."""
    buffers: list[Piece] = []
    small: list[bytes] = []
    small_bytes = 0
    for piece in pieces:
        if len(piece) < BIG_PIECE_BYTES and small_bytes < JOINED_BYTES_MAX:
            small.append(piece)
            small_bytes += len(piece)
            continue
        buffers.append(b"".join(small))
        small, small_bytes = [], 0
        if len(piece) < BIG_PIECE_BYTES:
            small, small_bytes = [piece], len(piece)
        else:
            buffers.append(piece)
    buffers.append(b"".join(small))
    return [buffer for buffer in buffers if buffer]
