"""The syntax of redis.conf: lines of words, quotes, comments, include. It knows nothing of what a directive means."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

INCLUDE_DEPTH_MAX = 16  # Files that include each other end here, not in a full stack.

Reader = Callable[[str], str]

ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
REPRESENTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\a": "\\a"}
WILDCARDS = set("*?[")
HEX = "0123456789abcdefABCDEF"


class ConfigError(Exception):
    """What is wrong with a configuration, in one line that names the place."""


class Line(NamedTuple):
    """One line that says something. `place` is "shardis.conf:3" or "--port"."""

    place: str
    words: list[str]

    @property
    def name(self) -> str:
        return self.words[0].lower()


def read_text(path: str) -> str:
    """The text of a file. Bytes that are no UTF-8 survive: a password may have any."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def lines_of(path: str, read: Reader, depth: int = 0) -> Iterator[Line]:
    """The lines of a file, with those of the files that it includes in their place."""
    if depth > INCLUDE_DEPTH_MAX:
        raise ConfigError(f"{path}: files include each other more than {INCLUDE_DEPTH_MAX} deep")
    for line in lines_of_text(text_of(path, read), path):
        if line.name != "include":
            yield line
        else:
            yield from included(line, read, depth)


def included(line: Line, read: Reader, depth: int) -> Iterator[Line]:
    """The lines of the files that an include names: a pattern stands for those that there are, in their order."""
    if len(line.words) != 2:
        raise ConfigError(f"{line.place}: include needs one file name")
    for path in files_of(line.words[1]):
        try:
            yield from lines_of(path, read, depth + 1)
        except Unreadable as error:
            raise ConfigError(f"{line.place}: {error}") from None


def files_of(path: str) -> list[str]:
    if not set(path) & WILDCARDS:
        return [path]
    from glob import glob  # For those only who use it: a start does without.

    return sorted(glob(path))


class Unreadable(ConfigError):
    """A file that can't be read."""


def text_of(path: str, read: Reader) -> str:
    try:
        return read(path)
    except OSError as error:
        raise Unreadable(f"can't read {path}: {error.strerror or error}") from None


def lines_of_text(text: str, path: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        place = f"{path}:{number}"
        words = words_of(line) if says_something(line) else []
        if words is None:
            # Not the whole line, which may be a password.
            raise ConfigError(f"{place}: unbalanced quotes in configuration line: {line.split()[0]} ...")
        if words and words[0]:
            yield Line(place, words)


def says_something(line: str) -> bool:
    return not line.lstrip().startswith("#")


def lines_of_arguments(argv: list[str]) -> Iterator[Line]:
    """The lines that `--name value ...` stand for: what follows a name up to the next "--" is its value.

    The word right after a name is always its value, so that a password may begin with "--"; only `--save --port 1`
    means an empty save, as in Redis.
    """
    at = 0
    while at < len(argv):
        option = words_of(argv[at])
        if not argv[at].startswith("--") or not option or not option[0][2:]:
            raise ConfigError(f"unexpected argument '{argv[at]}': options are written --name value")
        start = at = at + 1
        if len(option) == 1 and at < len(argv) and not (option == ["--save"] and argv[at].startswith("--")):
            at += 1
        while at < len(argv) and not argv[at].startswith("--"):
            at += 1
        values = option[1:] + argv[start:at]
        if not values and option == ["--save"]:
            values = [""]
        yield Line(option[0], [option[0][2:], *values])


def words_of(line: str) -> list[str] | None:
    """The words of a line: bare, 'single' or "double" quoted with \\n and \\xff. None if a quote is not closed.

    As Redis's sdssplitargs: a closing quote must be followed by a blank or the end.
    """
    words: list[str] = []
    at = 0
    while True:
        while at < len(line) and line[at].isspace():
            at += 1
        if at >= len(line):
            return words
        word: list[str] = []
        while at < len(line) and not line[at].isspace():
            if line[at] in "\"'":
                end = quoted(line, at, word)
                if end is None or (end < len(line) and not line[end].isspace()):
                    return None
                at = end
            else:
                word.append(line[at])
                at += 1
        # Bytes given as \xc3\xa9 become the letter that they are.
        words.append("".join(word).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))


def quoted(line: str, at: int, word: list[str]) -> int | None:
    """Adds to `word` what the quotes that open at `at` hold; where they end, or None if they don't."""
    quote = line[at]
    at += 1
    while at < len(line):
        if line[at] == quote:
            return at + 1
        if line[at] != "\\" or at + 1 >= len(line):
            word.append(line[at])
            at += 1
        elif quote == "'":
            escaped = line[at + 1] == "'"
            word.append("'" if escaped else "\\")
            at += 2 if escaped else 1
        elif line[at + 1] == "x" and len(line[at + 2 : at + 4].strip(HEX)) == 0 and len(line) >= at + 4:
            word.append(bytes([int(line[at + 2 : at + 4], 16)]).decode("utf-8", "surrogateescape"))
            at += 4
        else:
            word.append(ESCAPES.get(line[at + 1], line[at + 1]))
            at += 2
    return None


def represented(word: str) -> str:
    """The word as a line can hold it: bare where that is plain, else in double quotes."""
    if word and not set(word) - PLAIN:
        return word
    return '"' + "".join(REPRESENTED.get(letter) or visible(letter) for letter in word) + '"'


def visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:*@+,=%$~^!?&|()[]{}<>;")
