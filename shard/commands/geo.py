"""Places on earth: sorted sets whose scores are geohashes (shard/values/geohash.py)."""

from math import isfinite

from common.command import DENYOOM, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MIN, double
from common.resp import NULL_ARRAY, Decimal, NullArray
from shard.commands.sorted_sets import zadd
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.geohash import LATITUDE_MAX, LONGITUDE_MAX, Place, distance_m, place_of, score_of, text_of
from shard.values.sorted_set import SortedSet

command = TABLE.family("geo")

UNITS_M = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}


@command(
    "GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    WRITE | DENYOOM,
    since="3.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    keys="RW update",
    event="zadd",
)
def geoadd(db: Keyspace, key: bytes, *words: bytes) -> int | float | None:
    """Adds one or more members to a geospatial index. The key is created if it doesn't exist."""
    at = 0
    while at < len(words) and words[at].upper() in (b"NX", b"XX", b"CH"):
        at += 1
    options, entries = words[:at], words[at:]
    if len(entries) % 3 or {b"NX", b"XX"} <= {word.upper() for word in options}:
        raise SyntaxFault()
    added: list[bytes] = []
    for number in range(0, len(entries), 3):
        added += (b"%d" % score_of(*parse_place(entries, number)), entries[number + 2])
    return zadd(db, key, *options, *added)


@command("GEODIST key member1 member2 [M | KM | FT | MI]", READONLY, since="3.2.0", complexity="O(1)")
def geodist(db: Keyspace, key: bytes, member1: bytes, member2: bytes, *unit: bytes) -> bytes | None:
    """Returns the distance between two members of a geospatial index."""
    if len(unit) > 1:
        raise SyntaxFault()
    unit_m = parse_unit(unit[0]) if unit else 1.0
    one, other = _places(db, key, (member1, member2))
    if one is None or other is None:
        return None
    return distance_text(distance_m(*one, *other) / unit_m)


@command(
    "GEOHASH key [member [member ...]]",
    READONLY,
    since="3.2.0",
    complexity="O(1) for each member requested.",
)
def geohash(db: Keyspace, key: bytes, *members: bytes) -> list[bytes | None]:
    """Returns members from a geospatial index as geohash strings."""
    return [None if place is None else text_of(place) for place in _places(db, key, members)]


@command(
    "GEOPOS key [member [member ...]]",
    READONLY,
    since="3.2.0",
    complexity="O(1) for each member requested.",
)
def geopos(db: Keyspace, key: bytes, *members: bytes) -> list[list[Decimal] | NullArray]:
    """Returns the longitude and latitude of members from a geospatial index."""
    return [NULL_ARRAY if place is None else coordinates(place) for place in _places(db, key, members)]


def _places(db: Keyspace, key: bytes, members: tuple[bytes, ...]) -> list[Place | None]:
    """Where each member is, None for those that aren't there.  Raises WrongType."""
    value = db.get(key, SortedSet)
    return [None if value is None else place_of_member(value, member) for member in members]


def place_of_member(value: SortedSet, member: bytes) -> Place | None:
    """Where a member is, None if it is not there."""
    score = value.score(member)
    return None if score is None else place_of(score)


# --- Words and texts -------------------------------------------------------------------------------------------------


def parse_place(words: tuple[bytes, ...], at: int) -> Place:
    """Longitude and latitude at `words[at]`.  Raises RedisError."""
    longitude, latitude = double(words[at]), double(words[at + 1])
    if abs(longitude) > LONGITUDE_MAX or abs(latitude) > LATITUDE_MAX:
        raise RedisError(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")
    return longitude, latitude


def parse_unit(word: bytes) -> float:
    """How many metres a unit has.  Raises RedisError."""
    unit_m = UNITS_M.get(word.upper())
    if unit_m is None:
        raise RedisError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return unit_m


def coordinates(place: Place) -> list[Decimal]:
    """A place as the reference answers it: each number with 17 decimals, without zeros at the end."""
    return [_decimal(place[0]), _decimal(place[1])]


def _decimal(number: float) -> Decimal:
    text = f"{number:.17f}".rstrip("0").rstrip(".")
    return Decimal("0" if text == "-0" else text)


def distance_text(distance: float) -> bytes:
    """A distance as the reference answers it, with four decimals."""
    scaled = round(distance * 10000.0) if isfinite(distance) else INTEGER_MIN
    return b"%b%d.%04d" % (b"-" if scaled < 0 else b"", *divmod(abs(scaled), 10000))
