# cython: language_level=3, annotation_typing=False
"""Requests: commands out of a client's byte stream, as Valkey 9.1 reads it.

The rules of this file:

1. It knows no socket and no clock. It is told bytes and gives argument lists.
2. One source, two speeds: the same file runs as it is, or compiled with the C types of `requests.pxd`. Only the walk
   over small commands has two forms, because what is fast in C (look at each byte) is slow in Python and the other
   way round: `_scan_bytes` runs compiled, `_scan_marks` plain, and the tests run either one everywhere.
   A SET of three arguments, 16 in a buffer: 0.86 us by marks and 1.84 us by bytes in Python; 0.11 us by bytes compiled.
3. A scan takes only what is whole, small and perfectly in order. Whatever it does not take goes through `_step`, which
   goes by the letter: so every error and every limit is in one place, and nothing depends on how the bytes were cut.
4. Nothing is reserved on the word of a header. Memory grows with the bytes that came, and not faster.
"""

import re
from io import BytesIO

from common.arguments import split_arguments
from common.errors import ProtocolError

COMPILED = not __file__.endswith(".py")
"""Whether this is the compiled module."""

STAR, DOLLAR, ZERO, NINE, CR, LF = b"*$09\r\n"

BULK_SIZE_BYTES_MAX = 512 * 1024 * 1024
"""Valkey's default of proto-max-bulk-len."""

QUERY_SIZE_BYTES_MAX = 1024 * 1024 * 1024
"""Valkey's default of client-query-buffer-limit: what one command may take in all."""

ARGUMENTS_MAX = 2**31 - 1
"""What Valkey takes for a count: an int. The bytes that really come are bounded by the query limit."""

UNAUTHENTICATED_ARGUMENTS_MAX = 10
UNAUTHENTICATED_BULK_SIZE_BYTES_MAX = 16 * 1024
"""Whoever has not given a password yet can't make the server keep much: AUTH and HELLO need no more."""

LINE_SIZE_BYTES_MAX = 64 * 1024
"""PROTO_INLINE_MAX_SIZE: an inline command, or a header, before its line end."""

SMALL_SIZE_BYTES_MAX = 16 * 1024
"""A bulk up to here is kept with the bytes around it and looked at again when more has come; a bigger one is collected
piece by piece, so that its bytes are copied once. Within the limits of the unauthenticated, so a scan need not ask."""

LARGE_SIZE_BYTES = 1024 * 1024
"""From here on whoever hands an argument on should know that it is one not to be copied."""

BAD_LINE_END = "invalid CRLF in request"

HEAD_OF = {b"*%d\r\n$%d\r\n" % (1 + left, size): (left, size) for left in range(9) for size in range(10)}.get
COUNT_OF = {b"*%d\r\n" % count: count for count in range(1, 10)}.get
SIZE_OF = {(b"\r\n$%d\r\n" % size)[:6]: size for size in range(1000)}.get
"""Marks, of which one look-up tells that they are in order: a command's begin up to a short name; its first header; the
line end before a bulk, and the bulk's header as far as six bytes go."""

NUMBER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
"""What Valkey's string2ll reads: no plus, no blank, no leading zero, no `-0`."""


class QueryTooLong(Exception):
    """A command that outgrew the query limit. Valkey closes such a connection without a word."""


class Requests:
    """Commands out of a byte stream. Feed it anything; it keeps what is incomplete.

    The loop of a caller, who looks at one attribute in the usual case:

        run(requests.feed(data))
        while requests.stopped:
            run(requests.feed(b""))

    A fault never hides the commands before it: `feed` returns them and sets `stopped`, and the next call raises. When
    the commands before the fault were an AUTH, and the session set `authenticated` because of it, the next call goes by
    the wider limits and may find that there is no fault.

        >>> requests = Requests()
        >>> requests.feed(b"*2\\r\\n$4\\r\\nECHO\\r\\n$2\\r\\nhi\\r\\nPING\\r\\n*1\\r\\n$4\\r\\nPI")
        [[b'ECHO', b'hi'], [b'PING']]
        >>> requests.feed(b"NG\\r\\n")
        [[b'PING']]
    """

    def __init__(
        self,
        bulk_size_bytes_max: int = BULK_SIZE_BYTES_MAX,
        query_size_bytes_max: int = QUERY_SIZE_BYTES_MAX,
    ) -> None:
        self.bulk_size_bytes_max = bulk_size_bytes_max
        self.query_size_bytes_max = query_size_bytes_max
        self.authenticated = True  # False sets the limits for those who have yet to give a password.
        self.large = False  # Whether an argument was large. The caller takes it back.
        self.stopped = False  # Whether `feed(b"")` has more to say.
        self.query_size_bytes = 0  # What has come of the command that is not complete; at most one feed too many.
        self._rest = b""  # From the first byte that was not used.
        self._argv: list[bytes] = []  # The command that is not complete; it lacks `_missing` arguments.
        self._missing = 0
        self._bulk: BytesIO | None = None  # The big bulk that is on its way; it lacks `_bulk_missing` bytes.
        self._bulk_missing = 0

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The commands now complete, in order.

        Raises ProtocolError, whose text is Valkey's, or QueryTooLong, if there is no command before the fault. O(N) in
        what came, however it was cut.
        """
        commands: list[list[bytes]] = []
        received = len(data)
        if self._rest:
            data = self._rest + data
            self._rest = b""
        self.stopped = False
        pos = 0
        length = len(data)
        try:
            if self._bulk is not None:
                pos = self._collect(data, commands)
            while pos < length and self._bulk is None:
                pos = self._scan_bytes(data, pos, commands) if COMPILED else self._scan_marks(data, pos, commands)
                if pos == length:
                    break
                after = self._step(data, pos, commands)
                if after < 0:
                    break
                pos = after
            if pos < length or self._missing:
                self.query_size_bytes = received + (0 if commands else self.query_size_bytes)
                if self.query_size_bytes > self.query_size_bytes_max:
                    raise QueryTooLong
            elif self.query_size_bytes:
                self.query_size_bytes = 0
        except (ProtocolError, QueryTooLong):
            self._rest = data[pos:]
            if not commands:
                raise
            self.stopped = True
            return commands
        if pos < length:
            self._rest = data[pos:]
        return commands

    # The fast walks: from `pos`, take all that is whole, small and in order; the position of what is not.

    def _scan_bytes(self, data: bytes, pos: int, commands: list[list[bytes]]) -> int:
        view = data  # Compiled, this is a C pointer: a look at a byte and a copy out of it cost no object.
        length = len(data)
        argv = self._argv
        missing = self._missing
        while True:
            if missing == 0:
                if pos + 4 > length or view[pos] != STAR:
                    break
                count = view[pos + 1] - ZERO
                end = pos + 2
                if count < 1 or count > 9:
                    break
                while end < length and end - pos < 9 and view[end] >= ZERO and view[end] <= NINE:
                    count = count * 10 + view[end] - ZERO
                    end += 1
                if end + 2 > length or view[end] != CR or view[end + 1] != LF:
                    break
                if count > UNAUTHENTICATED_ARGUMENTS_MAX and not self.authenticated:
                    break
                argv = []
                missing = count
                pos = end + 2
            while missing:
                if pos + 6 > length or view[pos] != DOLLAR:
                    break
                size = view[pos + 1] - ZERO
                end = pos + 2
                if size < 0 or size > 9:
                    break
                # A zero that leads is an error, so a size that begins with one has no second digit.
                while size and size <= SMALL_SIZE_BYTES_MAX and view[end] >= ZERO and view[end] <= NINE:
                    size = size * 10 + view[end] - ZERO
                    end += 1
                    if end == length:
                        break
                start = end + 2
                end = start + size
                if size > SMALL_SIZE_BYTES_MAX or end + 2 > length:
                    break
                if view[start - 2] != CR or view[start - 1] != LF or view[end] != CR or view[end + 1] != LF:
                    break
                argv.append(view[start:end])
                missing -= 1
                pos = end + 2
            if missing:
                break
            commands.append(argv)
            argv = []
        self._argv = argv
        self._missing = missing
        return pos

    def _scan_marks(self, data: bytes, pos: int, commands: list[list[bytes]]) -> int:
        # Between arguments `pos` is at the line end behind the last: one look-up checks it and the header that follows.
        argv = self._argv
        left = self._missing
        done = start = 0
        size: int | None
        if left:
            if pos < 2:
                return pos
            pos -= 2
        try:
            while True:
                if not left:
                    head = HEAD_OF(data[pos : pos + 8])
                    if head is not None:
                        left, size = head
                        start = pos + 8
                        pos = start + size
                        argv = [data[start:pos]]
                    else:
                        left = COUNT_OF(data[pos : pos + 4]) or 0
                        if not left:
                            self._argv = []
                            self._missing = 0
                            return pos
                        argv = []
                        pos += 2
                for done in range(left):  # noqa: B007 (read after the loop)
                    size = SIZE_OF(data[pos : pos + 6])
                    if size is None:
                        break
                    if size < 10:
                        start = pos + 6
                    elif size < 100:
                        if data[pos + 6] != LF:
                            break
                        start = pos + 7
                    else:
                        if data[pos + 6 : pos + 8] != b"\r\n":
                            break
                        start = pos + 8
                    pos = start + size
                    argv.append(data[start:pos])
                else:
                    done = left
                    if data[pos : pos + 2] != b"\r\n":
                        break
                    pos += 2
                    commands.append(argv)
                    left = 0
                    continue
                break
        except IndexError:  # A header's LF has not come: as good as a mark that is not known.
            pass
        self._argv = argv
        self._missing = left - done
        if data[pos : pos + 2] == b"\r\n":
            return pos + 2
        # The last argument's line end is bad or has not come: back to its header.
        argv.pop()
        self._missing += 1
        size = pos - start
        return start - (4 if size < 10 else 5 if size < 100 else 6)

    # By the letter: one header, argument or line at `pos`. All give the position behind it, -1 if it is not whole yet.

    def _step(self, data: bytes, pos: int, commands: list[list[bytes]]) -> int:
        if self._missing:
            return self._argument(data, pos, commands)
        if data[pos] == STAR:
            return self._count(data, pos)
        return self._line(data, pos, commands)

    def _count(self, data: bytes, pos: int) -> int:
        end = header_end(data, pos, "too big mbulk count string")
        if end < 0:
            return -1
        if data[end + 1] != LF:
            raise ProtocolError(BAD_LINE_END)
        count = number(data[pos + 1 : end])
        if count is None or count > ARGUMENTS_MAX:
            raise ProtocolError("invalid multibulk length")
        if count > UNAUTHENTICATED_ARGUMENTS_MAX and not self.authenticated:
            raise ProtocolError("unauthenticated multibulk length")
        if count > 0:  # `*0` and `*-1` are no command, and no error.
            self._missing = count
        return end + 2

    def _argument(self, data: bytes, pos: int, commands: list[list[bytes]]) -> int:
        end = header_end(data, pos, "too big bulk count string")
        if end < 0:
            return -1
        if data[pos] != DOLLAR:
            raise ProtocolError(f"expected '$', got '{data[pos : pos + 1].decode('utf-8', 'surrogateescape')}'")
        if data[end + 1] != LF:
            raise ProtocolError(BAD_LINE_END)
        size = number(data[pos + 1 : end])
        if size is None or size < 0 or size > self.bulk_size_bytes_max:
            raise ProtocolError("invalid bulk length")
        if size > UNAUTHENTICATED_BULK_SIZE_BYTES_MAX and not self.authenticated:
            raise ProtocolError("unauthenticated bulk length")
        start = end + 2
        if start + size + 2 <= len(data):
            if data[start + size : start + size + 2] != b"\r\n":
                raise ProtocolError(BAD_LINE_END)
            if size + 2 > self.query_size_bytes_max:
                raise QueryTooLong
            self._add(data[start : start + size], commands)
            return start + size + 2
        if size <= SMALL_SIZE_BYTES_MAX or start + size <= len(data):
            return -1
        self._bulk = BytesIO()
        self._bulk.write(data[start:])
        self._bulk_missing = start + size - len(data)
        return len(data)

    def _line(self, data: bytes, pos: int, commands: list[list[bytes]]) -> int:
        end = data.find(b"\n", pos, pos + LINE_SIZE_BYTES_MAX + 1)
        # Valkey looks for the line end as C strings are read: behind a NUL there is none.
        if end < 0 or data.find(b"\0", pos, end) >= 0:
            if len(data) - pos > LINE_SIZE_BYTES_MAX:
                raise ProtocolError("too big inline request")
            return -1
        argv = split_arguments(data[pos : end - 1 if end > pos and data[end - 1] == CR else end])
        if argv is None:
            raise ProtocolError("unbalanced quotes in request")
        if argv:
            commands.append(argv)
        return end + 1

    def _collect(self, data: bytes, commands: list[list[bytes]]) -> int:
        """Takes from the begin of `data` what belongs to the big bulk; the position behind that.

        It grows in its place and is given away without a copy: joined at last, 512 MB had all others wait for 0.2 s.
        """
        assert self._bulk is not None
        missing = self._bulk_missing
        if len(data) < missing + 2:
            piece = data[:missing]
            self._bulk_missing = missing - len(piece)
            self._bulk.write(piece)
            return len(piece)
        if data[missing : missing + 2] != b"\r\n":
            raise ProtocolError(BAD_LINE_END)
        self._bulk.write(data[:missing])
        argument = self._bulk.getvalue()
        if len(argument) + 2 > self.query_size_bytes_max:  # What has come at once is not too much because of that.
            raise QueryTooLong
        self._bulk = None
        if len(argument) >= LARGE_SIZE_BYTES:
            self.large = True
        self._add(argument, commands)
        return missing + 2

    def _add(self, argument: bytes, commands: list[list[bytes]]) -> None:
        self._argv.append(argument)
        self._missing -= 1
        if not self._missing:
            commands.append(self._argv)
            self._argv = []


def header_end(data: bytes, pos: int, too_big: str) -> int:
    """Where the header at `pos` has its CR, -1 if that or the byte behind it has not come.  Raises ProtocolError."""
    end = data.find(b"\r", pos, pos + LINE_SIZE_BYTES_MAX + 1)
    if end < 0 and len(data) - pos > LINE_SIZE_BYTES_MAX:
        raise ProtocolError(too_big)
    return end if end + 1 < len(data) else -1


def number(digits: bytes) -> int | None:
    """A number of 64 bits as the protocol writes it, None for anything else."""
    if NUMBER.fullmatch(digits) is None:
        return None
    value = int(digits)
    return value if -(2**63) <= value < 2**63 else None
