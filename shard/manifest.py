"""The manifest of a log: which files it consists of, in Redis 7's syntax.

    file appendonly.aof.2.base.aof seq 2 type b
    file appendonly.aof.1.incr.aof seq 1 type h
    file appendonly.aof.3.incr.aof seq 3 type i

Type b is the base (one at most), h is history (replaced, to be deleted), i is an increment. The log is the base and
then the increments in order. Text to value and back, no files. Refusals have Redis's texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from io import BytesIO

from shard.log_reader import LogDamaged

LINE_BYTES_MAX = 1024
"""Redis reads no longer one, so a longer one was not written by a server, and must not be by this one."""


class Kind(Enum):
    """What a file of the log is."""

    BASE = "b"
    HISTORY = "h"
    INCREMENT = "i"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A line of the manifest. `name` has no folder in it; bytes that are no UTF-8 are surrogates, as os.fsdecode's."""

    name: str
    number: int
    kind: Kind

    def line(self) -> str:
        """As it stands in the manifest.  Raises ValueError for a name too long to be read again."""
        line = f"file {_quoted(self.name)} seq {self.number} type {self.kind.value}\n"
        if len(line) > LINE_BYTES_MAX:
            raise ValueError(f"a line of the manifest has at most {LINE_BYTES_MAX} bytes: {line.strip()}")
        return line


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a log. A value: what changes it gives a new one."""

    base: LogFile | None = None
    increments: tuple[LogFile, ...] = ()
    history: tuple[LogFile, ...] = ()

    @property
    def files(self) -> tuple[LogFile, ...]:
        """Those to load, in order."""
        return self.increments if self.base is None else (self.base, *self.increments)

    def with_increment(self, name: str) -> "Manifest":
        """With one more increment, of a log whose `appendfilename` is `name`."""
        number = self.increments[-1].number + 1 if self.increments else 1
        return replace(
            self, increments=(*self.increments, LogFile(f"{name}.{number}.incr.aof", number, Kind.INCREMENT))
        )

    def with_base(self, name: str, first_number: int, form: str = "aof") -> "Manifest":
        """With a new base instead of the old one and the increments before number `first_number`: they are history.

        Its `form`, "aof" for commands or "rdb", is the end of its name, as Redis has it.
        """
        number = self.base.number + 1 if self.base else 1
        replaced = [file for file in self.files if file.kind is Kind.BASE or file.number < first_number]
        return Manifest(
            LogFile(f"{name}.{number}.base.{form}", number, Kind.BASE),
            tuple(file for file in self.increments if file.number >= first_number),
            (*self.history, *(replace(file, kind=Kind.HISTORY) for file in replaced)),
        )

    def without_history(self) -> "Manifest":
        """Once the files of the history are deleted."""
        return replace(self, history=())

    def encode(self) -> bytes:
        """As it stands in the file."""
        files = [*([self.base] if self.base else []), *self.history, *self.increments]
        return _encode("".join(file.line() for file in files))


def parse(text: bytes, file: str = "") -> Manifest:
    """The value of a manifest.  Raises LogDamaged, which says line and reason; `file` is how it names the manifest."""
    if not text:
        raise LogDamaged(0, "Found an empty AOF manifest", file)
    offset = 0
    base: LogFile | None = None
    increments: list[LogFile] = []
    history: list[LogFile] = []
    for number, line in enumerate(BytesIO(text), 1):
        try:
            found = _parse_line(line)
            if found is None:
                pass
            elif found.kind is Kind.HISTORY:
                history.append(found)
            elif found.kind is Kind.BASE:
                if base is not None:
                    raise ValueError("Found duplicate base file information")
                base = found
            else:
                if found.number <= (increments[-1].number if increments else 0):
                    raise ValueError("Found a non-monotonic sequence number")
                increments.append(found)
        except ValueError as error:
            raise LogDamaged(offset, f"line {number}, {_decode(line.strip())!r}: {error}", file) from None
        offset += len(line)
    return Manifest(base, tuple(increments), tuple(history))


def _parse_line(line: bytes) -> LogFile | None:
    """The file that a line names, None for a comment.  Raises ValueError."""
    if line[:1] == b"#":
        return None
    if len(line) > LINE_BYTES_MAX or not line.endswith(b"\n"):
        raise ValueError("The AOF manifest file contains too long line")
    words = list(_words(line))
    # More pairs than these three are allowed: a later version may write them, and Redis skips them as well.
    if len(words) < 6 or len(words) % 2:
        raise ValueError("Invalid AOF manifest file format")
    pairs = {key.lower(): value for key, value in zip(words[::2], words[1::2], strict=True)}
    name, number, kind = pairs.get(b"file"), pairs.get(b"seq", b""), pairs.get(b"type")
    if name and (b"/" in name or b"\\" in name):
        raise ValueError("File can't be a path, just a filename")
    if not name or not kind or not number.isdigit() or not int(number):
        raise ValueError("Invalid AOF manifest file format")
    try:
        return LogFile(_decode(name), int(number), Kind(chr(kind[0])))
    except ValueError:
        raise ValueError("Unknown AOF file type") from None


_WORD = re.compile(rb"""[ \t\r\n]*(?: "((?:[^"\\]|\\.)*)"(?![^ \t\r\n]) | '((?:[^'\\]|\\.)*)'(?![^ \t\r\n])
                        | ([^ \t\r\n"']+)(?![^ \t\r\n]) )[ \t\r\n]*""", re.VERBOSE | re.DOTALL)  # fmt: skip
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def _words(line: bytes) -> Iterator[bytes]:
    """Words as redis.conf has them: bare, "with \\x41 escapes" or 'without'.  Raises ValueError for an open quote."""
    at = 0
    while at < len(line):
        match = _WORD.match(line, at)
        if match is None:
            raise ValueError("Invalid AOF manifest file format")
        double, single, bare = match.groups()
        if double is not None:
            yield _ESCAPE.sub(lambda found: _unescaped(found[1], found[2]), double)
        else:
            yield bare if single is None else single.replace(b"\\'", b"'")
        at = match.end()


def _unescaped(code: bytes | None, letter: bytes) -> bytes:
    return bytes.fromhex(code.decode()) if code else _ESCAPED.get(letter, letter)


def _quoted(name: str) -> str:
    """`name` as one word. Redis leaves a name with a ' bare and then can't read its own manifest: quoted here."""
    if re.fullmatch(r"""[!#-&(-\[\]-~]+""", name):
        return name
    named = {ord(value): "\\" + letter.decode() for letter, value in _ESCAPED.items()}
    named |= {ord('"'): '\\"', ord("\\"): "\\\\"}
    return '"' + "".join(
        named.get(byte, chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in _encode(name)
    ) + '"'  # fmt: skip


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
