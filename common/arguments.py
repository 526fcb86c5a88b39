"""The arguments of a line that a person wrote, quoted as in Valkey's sdssplitargs: an inline command."""

import re

PART = re.compile(
    rb"""
    (?P<bare> [^"'\ \t\r\n]+ )
    | " (?P<double> (?: [^"\\] | \\ (?!"\Z) . )* (?: \\ (?="\Z) )? ) "
    | ' (?P<single> (?: [^'\\] | \\' (?!\Z) | \\ (?! ' (?!\Z) ) )* ) '
    """,
    re.DOTALL | re.VERBOSE,
)
"""A run of an argument: `a"b c"'d'` is one argument of three. An escaped quote that would be the line's last byte
closes its string, and the backslash stays: so Valkey 9.1 does, unlike Redis 7. What may stand at a place is one thing
only, so there is nothing to go back for; but possessive quantifiers, which would say so, are wrong in Python 3.11.2."""

SIMPLE = re.compile(rb"[^\"'\v\f]*")
"""Without quotes, and without the two blanks that do not end an argument: of three words 0.3 µs, and not 4.5."""
BLANKS = re.compile(rb"[ \t\n\v\f\r]*")
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_arguments(line: bytes) -> list[bytes] | None:
    """The arguments of a line, quoted as in Valkey's sdssplitargs; None if a quote is not closed.

    Deviation: Valkey 9.1 drops a bare byte 0xff (its sentinel for "no character"); here it stays.
    """
    return line.split() if SIMPLE.fullmatch(line) else _split_quoted(line)


def _split_quoted(line: bytes) -> list[bytes] | None:
    argv: list[bytes] = []
    pos = _blanks_end(line, 0)
    while pos < len(line):
        parts: list[bytes] = []
        while pos < len(line) and line[pos] not in b" \t\r\n":
            part = PART.match(line, pos)
            if part is None:
                return None
            parts.append(_meant(part))
            pos = part.end()
        argv.append(b"".join(parts))
        pos = _blanks_end(line, pos)
    return argv


def _blanks_end(line: bytes, pos: int) -> int:
    blanks = BLANKS.match(line, pos)
    return blanks.end() if blanks else pos


def _meant(part: re.Match[bytes]) -> bytes:
    if part["double"] is not None:
        return ESCAPE.sub(_unescaped, part["double"])
    if part["single"] is not None:
        return part["single"].replace(b"\\'", b"'")
    return part["bare"]


def _unescaped(escape: re.Match[bytes]) -> bytes:
    text = escape[1]
    return bytes([int(text[1:], 16)]) if len(text) > 1 else ESCAPED.get(text, text)
