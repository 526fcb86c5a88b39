"""The server as such: its time, its role, and its art. Its end is in saving.py."""

from typing import TYPE_CHECKING, Any

from common.command import FAST, LOADING, NOSCRIPT, READONLY, STALE
from common.errors import RedisError
from common.numbers import integer, maybe_integer
from common.resp import Verbatim
from router.commands.connection import VERSION
from router.commands.table import TABLE

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")


@command("TIME", LOADING | STALE | FAST, since="2.6.0", complexity="O(1)", tips="nondeterministic_output")
def time(session: "Session") -> list[bytes]:
    """Returns the server time."""
    seconds, microseconds = divmod(session.router.now_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


@command("ROLE", NOSCRIPT | LOADING | STALE | FAST, since="2.8.12", complexity="O(1)", acl="admin dangerous")
def role(session: "Session") -> list[Any]:
    """Returns the replication role."""
    return [b"master", 0, []]


# Its art

LOLWUT_USAGE = "ERR Syntax error. Use: LOLWUT [columns rows] [real imaginary]"
COLUMNS, ROWS, SHARDS = 66, 40, 8
COLUMNS_MAX, ROWS_MAX = 500, 200
SHADES = " .:-=+*#%@"
SHADES_VERSION = 5
"""LOLWUT VERSION asks for an older drawing from here on; before it there was only the version's line."""


@command("LOLWUT [VERSION version]", READONLY | FAST, since="5.0.0")
def lolwut(session: "Session", *words: bytes) -> Verbatim:
    """Displays computer art and the server version."""
    if len(words) >= 2 and words[0].upper() == b"VERSION":
        if integer(words[1]) < SHADES_VERSION:
            return Verbatim(f"Shardis, Valkey ver. {VERSION}\n")
        words = words[2:]
    if len(words) not in (0, 2):
        raise RedisError(LOLWUT_USAGE)
    columns, rows = (_size(words[0], COLUMNS_MAX), _size(words[1], ROWS_MAX)) if words else (COLUMNS, ROWS)
    shards = max(2, min(SHARDS, session.router.shards + 1))
    seeds = [int.from_bytes(session.router.random_bytes(4), "big") for _ in range(2 * shards)]
    places = [(seeds[at] % columns, seeds[at + 1] % rows) for at in range(0, 2 * shards, 2)]
    picture = "\n".join("".join(_shade(x, y, places) for x in range(columns)) for y in range(rows))
    return Verbatim(f"{picture}\n\nA broken pane, in as many pieces as it likes. Shardis, Valkey ver. {VERSION}\n")


def _size(word: bytes, largest: int) -> int:
    number = maybe_integer(word)
    if number is None:
        raise RedisError("ERR value is not an integer or out of range")
    return max(1, min(number, largest))


def _shade(x: int, y: int, places: list[tuple[int, int]]) -> str:
    """A pane of glass that broke: bright where a piece was hit, dark along the cracks between two pieces."""
    # A character is twice as high as it is wide.
    distances = sorted((x - px) ** 2 + 4 * (y - py) ** 2 for px, py in places)
    nearest, next_one = distances[0] ** 0.5, distances[1] ** 0.5
    if next_one - nearest < 1.5:
        return " "
    return SHADES[max(1, len(SHADES) - 1 - int(nearest / 3))]
