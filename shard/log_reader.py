"""Commands out of a log. Feed it the bytes of one file in order; it hands out what is whole.

Rule 1: nothing is opened here and no clock is read: bytes in, commands or `LogDamaged` out.
Rule 2: strict where Redis is lenient. Redis skips the two bytes after a value unseen and reads numbers with atoi, so it
        runs on in the wrong place after a flipped bit, or takes all that follows for a cut tail and drops it. A log is
        written by a program: what that program cannot have written is damage, and is named by file and offset.
Rule 3: a MULTI .. EXEC group is handed out whole or not at all.

The text of a log: RESP commands, and between them lines beginning with "#" ("#TS:1700000000"), which are skipped. So is
PING, the room for a write that was never finished, see reservation.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

COMPILED = not __file__.endswith(".py")
"""Whether this is the compiled module."""

ARGUMENT_BYTES_MAX = 1 << 32
"""A longer argument is a damaged length: eight times what proto-max-bulk-len lets a client send as it comes."""
NUMBER_LINE_BYTES_MAX = 16
"""Of "*3" or "$1048576": room for any number up to ARGUMENT_BYTES_MAX. Without a limit, damage would be read to the end
of the file in search of the end of its line."""
ANNOTATION_BYTES_MAX = 1023
"""Redis reads lines of a log into 1024 bytes; a longer annotation would make it refuse the file."""
EXCERPT_BYTES = 24
"""How much of an unexpected line an error shows: enough to see what it is, too little to leak a value."""
SUSPECTS_MAX = 16
"""How many places of a cut last argument are looked at for a whole command, see `_swallows_commands`."""

LENGTHS = {b"$%d" % number: number for number in range(4096)}
COUNTS = {b"*%d" % number: number for number in range(1, 1024)}
"""The usual lines, so that most need no check of digits: a SET of three arguments takes 0.5 µs to read."""

COMMAND_START = re.compile(rb"(?<=\r\n)\*[1-9][0-9]*\r\n\$[0-9]+\r\n")
LINE_START = re.compile(rb"(?:\*[0-9]*|#[^\n]*)\r?")
LENGTH_START = re.compile(rb"\$[0-9]*\r?")
STAR, DOLLAR, ZERO, NINE, CR, LF = b"*$09\r\n"
DIGITS_MAX = 10
"""A number with more digits is looked at with care."""
ROOM = b"PING"
"""The command that unfinished room is the argument of."""
CONTROLS = frozenset((b"SELECT", b"MULTI", b"EXEC", ROOM))
ALONE_IN_A_GROUP = frozenset((b"FLUSHALL", b"FLUSHDB"))
"""The writes of one word: any other in a group that never ends may have been its EXEC, before it was damaged."""

Run = tuple[int, list[list[bytes]]]
"""Commands of one db: its number, and [argv, ...] in order."""


class LogDamaged(Exception):
    """A log that cannot be trusted: the server does not start, and says this line."""

    def __init__(self, offset: int, reason: str, file: str = "") -> None:
        super().__init__(offset, reason, file)
        self.offset = offset
        self.reason = reason
        self.file = file

    def __str__(self) -> str:
        return f"{self.file or 'the log'} is damaged at byte {self.offset}: {self.reason}"


class LogReader:
    """The commands of one log file. Linear in its bytes, however they are cut.

    >>> reader = LogReader()
    >>> reader.feed(b"*2\\r\\n$6\\r\\nSELECT\\r\\n$1\\r\\n3\\r\\n*2\\r\\n$4\\r\\nINCR\\r\\n$1\\r\\nn\\r\\n*2\\r\\n$4")
    [(3, [[b'INCR', b'n']])]
    >>> reader.fed_bytes, reader.whole_bytes
    (50, 44)
    """

    __slots__ = (
        "databases",
        "fed_bytes",
        "_db",
        "_rest",
        "_argv",
        "_missing",
        "_start",
        "_length",
        "_parts",
        "_parts_bytes",
        "_group",
        "_group_start",
    )

    def __init__(self, databases: int = 1 << 31) -> None:
        self.databases = databases
        self.fed_bytes = 0
        self._db = 0
        self._rest = b""
        """The line that has not ended yet."""
        self._argv: list[bytes] = []
        self._missing = 0
        """How many arguments the command under way still lacks; 0 between commands."""
        self._start = 0
        """Where the command under way began, or where the next will."""
        self._length = -1
        """Of the argument that has not ended yet, whose bytes are in `_parts`; -1 if there is none."""
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._group: list[Run] | None = None
        self._group_start = 0

    @property
    def whole_bytes(self) -> int:
        """Up to where everything was handed out. Where `fed_bytes` is more, the rest is an unfinished tail."""
        return self._start if self._group is None else self._group_start

    @property
    def in_group(self) -> bool:
        """Whether a MULTI was fed whose EXEC was not."""
        return self._group is not None

    def feed(self, data: bytes) -> list[Run]:
        """The commands and groups that are now whole, in order.  Raises LogDamaged."""
        self.fed_bytes += len(data)
        if self._length >= 0:
            self._parts.append(data)
            self._parts_bytes += len(data)
            if self._parts_bytes < self._length + 2:
                return []
            data = self._end_argument()
        data = self._rest + data
        runs: list[Run] = []
        pos = self._scan(data, runs) if COMPILED else 0
        # One split finds all lines at once, twice as fast as looking for each. A value that contains a line end falls
        # into several pieces and is put together again by its length.
        self._take(data[pos:].split(b"\r\n"), runs)
        return [run for run in runs if run[1]]

    def finish(self) -> None:
        """Says that the file ends here.  Raises LogDamaged if what is unfinished is no tail that a crash cut off."""
        unfinished_room = self._argv == [ROOM]  # What stands in it counts only if all of it is there.
        if self._length >= 0 and not unfinished_room and _swallows_commands(b"".join(self._parts)):
            reason = (
                f"an argument of {self._length} bytes would end behind the end of the file, but whole commands follow:"
                " its length is damaged. If it is a long value that was cut off, cut the file here"
            )
            raise LogDamaged(self._start, reason)
        for _, commands in self._group or ():
            for argv in commands:
                if len(argv) == 1 and argv[0].upper() not in ALONE_IN_A_GROUP:
                    raise LogDamaged(self._group_start, "MULTI without EXEC, but with a command that may have been it")

    def _scan(self, data: bytes, runs: list[Run]) -> int:
        """Commands from the beginning of `data`, as long as nothing is unusual or has not ended: up to where.

        Compiled, this takes half as long as `_take`: a line that says a length makes no object.
        """
        view = data  # Compiled, this is a C pointer: a look at a byte and a copy out of it cost no object.
        length = len(data)
        before = self.fed_bytes - length
        argv, missing, start = self._argv, self._missing, self._start
        pos = 0
        commands = self._new_run(runs)
        while True:
            while missing:
                end = pos + 1
                size = 0
                while end < length and end - pos < DIGITS_MAX and view[end] >= ZERO and view[end] <= NINE:
                    size = size * 10 + view[end] - ZERO
                    end += 1
                first = end + 2
                if first + size + 2 > length or end == pos + 1 or view[pos] != DOLLAR:
                    break
                if view[end] != CR or view[end + 1] != LF or view[first + size] != CR or view[first + size + 1] != LF:
                    break
                argv.append(view[first : first + size])
                missing -= 1
                pos = first + size + 2
            if missing:
                break
            if argv:
                if len(argv) <= 2 and argv[0].upper() in CONTROLS:
                    outside = self._group is None
                    self._control(start, argv, runs)
                    commands = self._new_run(runs)
                    if outside:
                        self._group_start = start
                else:
                    commands.append(argv)
                argv = []
            start = before + pos
            end = pos + 1
            size = 0
            while end < length and end - pos < DIGITS_MAX and view[end] >= ZERO and view[end] <= NINE:
                size = size * 10 + view[end] - ZERO
                end += 1
            if end + 2 > length or not size or view[pos] != STAR or view[end] != CR or view[end + 1] != LF:
                break
            missing = size
            pos = end + 2
        self._argv, self._missing, self._start = argv, missing, start
        return pos

    def _take(self, pieces: list[bytes], runs: list[Run]) -> None:
        """Commands out of `pieces`, of which the last is what has not ended."""
        lengths, counts = LENGTHS, COUNTS
        argv, missing = self._argv, self._missing
        at, last = 0, len(pieces) - 1
        start = -1  # the piece where the command under way began; -1: it was fed before
        group_start = -1  # the same for the open group
        commands = self._new_run(runs)
        while True:
            while missing and at < last:
                value = pieces[at + 1]
                if lengths.get(pieces[at]) == len(value) and at + 1 < last:
                    at += 2
                else:
                    at, value = self._odd_argument(pieces, at, start)
                    if self._length >= 0:
                        break
                argv.append(value)
                missing -= 1
            if missing:
                break
            if argv:
                if len(argv) <= 2 and argv[0].upper() in CONTROLS:
                    group = self._group
                    try:
                        self._control(-1, argv, runs)
                    except LogDamaged as damage:
                        damage.offset = self._offset(pieces, start)
                        raise
                    commands = self._new_run(runs)
                    if group is None:
                        group_start = start
                else:
                    commands.append(argv)
            argv = []
            if at >= last:
                break
            start = at
            missing = counts.get(pieces[at]) or self._count(pieces, at)
            at += 1
        self._argv, self._missing = argv, missing
        if self._group is not None and (group_start >= 0 or self._group_start < 0):
            self._group_start = self._offset(pieces, group_start)
        self._keep_rest(pieces, start if missing else last)

    def _new_run(self, runs: list[Run]) -> list[list[bytes]]:
        """A list for the commands that come next: in the open group, or in `runs`."""
        commands: list[list[bytes]] = []
        (runs if self._group is None else self._group).append((self._db, commands))
        return commands

    def _offset(self, pieces: list[bytes], at: int) -> int:
        """Where in the file the piece `at` begins; the start of the command under way for -1. O(bytes of pieces): only
        for what happens once a `feed`."""
        return self._start if at < 0 else self.fed_bytes - len(b"\r\n".join(pieces[at:]))

    def _control(self, offset: int, argv: list[bytes], runs: list[Run]) -> None:
        """Follows what is no effect: in which db, and whether in a group; `offset` is where it stands."""
        name = argv[0].upper()
        if name == ROOM:
            return
        if name == b"SELECT":
            if len(argv) != 2 or not argv[1].isdigit() or int(argv[1]) >= self.databases:
                raise LogDamaged(offset, f"no such db: SELECT {_excerpt(b' '.join(argv[1:]))}")
            self._db = int(argv[1])
        elif len(argv) != 1 or (name == b"MULTI") != (self._group is None):
            where = "outside" if self._group is None else "inside"
            raise LogDamaged(offset, f"{_excerpt(b' '.join(argv))} {where} a group")
        elif self._group is None:
            self._group, self._group_start = [], -1
        else:
            runs += self._group
            self._group = None

    def _count(self, pieces: list[bytes], at: int) -> int:
        """The number in a line that is not the usual beginning of a command; 0 for an annotation."""
        line = pieces[at]
        if line[:1] == b"#" and len(line) <= ANNOTATION_BYTES_MAX and b"\n" not in line:
            return 0
        if line[:1] == b"*" and line[1:].isdigit() and len(line) <= NUMBER_LINE_BYTES_MAX and int(line[1:]):
            return int(line[1:])
        raise LogDamaged(self._offset(pieces, at), f"a command should follow, not {_excerpt(line)}")

    def _odd_argument(self, pieces: list[bytes], at: int, start: int) -> tuple[int, bytes]:
        """An argument that is long, or contains line ends: the piece after it, and its value. One that has not ended is
        put aside, so that its bytes are looked at once and not with every `feed`."""
        line = pieces[at]
        if line[:1] != b"$" or not line[1:].isdigit() or len(line) > NUMBER_LINE_BYTES_MAX:
            raise LogDamaged(
                self._offset(pieces, start), f"the length of an argument should follow, not {_excerpt(line)}"
            )
        length = int(line[1:])
        if length > ARGUMENT_BYTES_MAX:
            raise LogDamaged(self._offset(pieces, start), f"an argument of {length} bytes")
        last = len(pieces) - 1
        end = at + 1
        have = len(pieces[end])
        while have < length and end < last:
            end += 1
            have += 2 + len(pieces[end])
        value = b"\r\n".join(pieces[at + 1 : end + 1])
        if end == last and have < length + 2:
            self._length, self._parts, self._parts_bytes = length, [value], have
            return last, b""
        if have != length:
            raise LogDamaged(self._offset(pieces, start), f"an argument does not end where its length {length} says")
        return end + 1, value

    def _end_argument(self) -> bytes:
        """Adds the argument that was put aside to its command, and gives what follows it."""
        data = b"".join(self._parts)
        length, self._length, self._parts = self._length, -1, []
        if data[length : length + 2] != b"\r\n":
            raise LogDamaged(self._start, f"an argument does not end where its length {length} says")
        self._argv.append(data[:length])
        self._missing -= 1
        return data[length + 2 :]

    def _keep_rest(self, pieces: list[bytes], start: int) -> None:
        """Keeps the line that has not ended.  Raises LogDamaged if nothing that is fed later can make it right."""
        self._start = self._offset(pieces, start)
        self._rest = b"" if self._length >= 0 else pieces[-1]
        if not self._rest:
            return
        rule = LENGTH_START if self._missing else LINE_START
        bytes_max = ANNOTATION_BYTES_MAX if self._rest[:1] == b"#" else NUMBER_LINE_BYTES_MAX
        if len(self._rest) > bytes_max + 1 or not rule.fullmatch(self._rest):
            what = "the length of an argument" if self._missing else "a command"
            raise LogDamaged(self._start, f"{what} should follow, not {_excerpt(self._rest)}")


@dataclass(slots=True)
class LogSlice:
    """A part of a log file."""

    runs: list[Run]
    """[(db, [argv, ...]), ...] in order."""
    offset: int
    """Up to where in the file commands have been handed out."""
    loaded_bytes: int
    total_bytes: int
    dropped_bytes: int = 0
    """In the last slice: the length of an unfinished tail, which begins at `offset`."""
    file: str = ""
    entries: list[Any] = field(default_factory=list)
    """Of an RDB file: [(db, key, value, expiry in ms or -1), ...]."""


def read_slices(file: BinaryIO, size_bytes: int, slice_bytes: int, databases: int) -> Iterator[LogSlice]:
    """The commands of an open log file of `size_bytes`, `slice_bytes` of it at a time.  Raises LogDamaged."""
    # After a power cut ext4 and XFS may have given a file its length but not its data, which then reads as zeros. A log
    # ends in a line end, so zeros at the end are never part of it.
    end = size_bytes - _zeros_at_end(file, size_bytes, slice_bytes)
    file.seek(0)
    reader = LogReader(databases)
    while reader.fed_bytes < end:
        data = file.read(min(slice_bytes, end - reader.fed_bytes))
        if not data:
            raise LogDamaged(reader.fed_bytes, "the file became shorter while it was read")
        if not reader.fed_bytes and data.startswith((b"REDIS", b"VALKEY")):
            raise LogDamaged(0, "it is an RDB file, which can't be read; write it with aof-use-rdb-preamble no")
        yield LogSlice(reader.feed(data), reader.whole_bytes, reader.fed_bytes, size_bytes)
    reader.finish()
    if reader.whole_bytes < size_bytes:
        yield LogSlice([], reader.whole_bytes, size_bytes, size_bytes, size_bytes - reader.whole_bytes)


def _zeros_at_end(file: BinaryIO, size_bytes: int, slice_bytes: int) -> int:
    """How many zero bytes the file ends with."""
    zeros = kept = 0
    while zeros < size_bytes and not kept:
        start = max(0, size_bytes - zeros - slice_bytes)
        file.seek(start)
        block = file.read(size_bytes - zeros - start)
        kept = len(block.rstrip(b"\0"))
        zeros += len(block) - kept
    return zeros


def _swallows_commands(cut: bytes) -> bool:
    """Whether an unfinished argument contains a whole command: then it is no tail but has a damaged length, and what
    follows must not be dropped. (It may be a cut value that contains a log; to ask is the safe side of that doubt.)"""
    for suspect in islice(COMMAND_START.finditer(cut), SUSPECTS_MAX):
        probe = LogReader()
        try:
            probe.feed(cut[suspect.start() :])
        except LogDamaged as damage:
            if damage.offset > 0:
                return True
        else:
            if probe.whole_bytes > 0 or probe.in_group:
                return True
    return False


def _excerpt(line: bytes) -> str:
    """The beginning of what stands there instead, for an error."""
    return repr(line[:EXCERPT_BYTES])[1:]
