"""Searching for places: what is within a circle, a box or a polygon.

The area is covered by boxes of geohashes, nine at most, each of which is a range of scores. What is found in them comes
in the order of the boxes, and of the scores in each, unless something else is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from common.command import DENYOOM, READONLY, WRITE
from common.errors import RedisError, SyntaxFault, shown
from common.numbers import INT_MAX, integer, maybe_double, maybe_integer
from shard.commands.as_sent import NAME, AsSent
from shard.commands.geo import coordinates, distance_text, parse_place, parse_unit, place_of_member
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.geo_shapes import OUTSIDE, Circle, Polygon, Rectangle, Shape
from shard.values.geohash import Place, boxes_around, place_of, scores_in
from shard.values.partial_sort import PARTIAL_SORT_MAX, sort_first
from shard.values.sorted_set import SortedSet, limits_of, sorted_set_of

command = TABLE.family("geo")

CHUNK_ENTRIES = 256
"""So many entries of a range are looked at, at a time: a search with ANY may stop early."""
VERTICES_MIN = 3

Words = tuple[bytes, ...]

RADIUS_COMPLEXITY = (
    "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center "
    "and radius and M is the number of items inside the index."
)
SEARCH_COMPLEXITY = (
    "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as "
    "the filter and M is the number of items inside the shape"
)
RADIUS_KEYS = "RO access; OW update variable_flags; OW update variable_flags"


class Found(NamedTuple):
    """A member in the area: where it is, and how far from the middle, in the unit that was asked for."""

    member: bytes
    distance: float
    score: float
    place: Place


@dataclass(slots=True)
class Query:
    """What a call asks for; empty where it says nothing."""

    middle: Place | None = None
    from_: str = ""
    """place or member."""
    shape: str = ""
    """circle, rectangle or polygon."""
    size: tuple[float, ...] = ()
    """Radius, or width and height, then how many metres their unit has."""
    vertices: tuple[Place, ...] = ()
    store_at: bytes | None = None
    store_distances: bool = False
    with_distance: bool = False
    with_hash: bool = False
    with_place: bool = False
    order: bytes = b""
    count: int = 0
    any: bool = False

    def area(self) -> Shape:
        """What is searched."""
        if self.shape == "polygon":
            return Polygon(self.vertices)
        assert self.middle is not None
        return Circle(self.middle, *self.size) if self.shape == "circle" else Rectangle(self.middle, *self.size)


# --- Commands --------------------------------------------------------------------------------------------------------


@command(
    "GEORADIUS key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] "
    "[ASC | DESC] [STORE key | STOREDIST key]",
    WRITE | DENYOOM,
    since="3.2.0",
    complexity=RADIUS_COMPLEXITY,
    keys=RADIUS_KEYS,
    event="georadiusstore",
)
def georadius(db: Keyspace, key: bytes, *words: bytes) -> Any:
    """Queries a geospatial index for members within a distance from a coordinate, optionally stores the result."""
    return _radius_from_place(db, key, words, STORING)


@command(
    "GEORADIUS_RO key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] "
    "[COUNT count [ANY]] [ASC | DESC]",
    READONLY,
    since="3.2.10",
    complexity=RADIUS_COMPLEXITY,
)
def georadius_ro(db: Keyspace, key: bytes, *words: bytes) -> Any:
    """Returns members from a geospatial index that are within a distance from a coordinate."""
    return _radius_from_place(db, key, words, READING)


@command(
    "GEORADIUSBYMEMBER key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] "
    "[ASC | DESC] [STORE key | STOREDIST key]",
    WRITE | DENYOOM,
    since="3.2.0",
    complexity=RADIUS_COMPLEXITY,
    keys=RADIUS_KEYS,
    event="georadiusstore",
)
def georadiusbymember(db: Keyspace, key: bytes, *words: bytes) -> Any:
    """Queries a geospatial index for members within a distance from a member, optionally stores the result."""
    return _radius_from_member(db, key, words, STORING)


@command(
    "GEORADIUSBYMEMBER_RO key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] "
    "[COUNT count [ANY]] [ASC | DESC]",
    READONLY,
    since="3.2.10",
    complexity=RADIUS_COMPLEXITY,
)
def georadiusbymember_ro(db: Keyspace, key: bytes, *words: bytes) -> Any:
    """Returns members from a geospatial index that are within a distance from a member."""
    return _radius_from_member(db, key, words, READING)


def _radius_from_place(db: Keyspace, key: bytes, words: Words, readers: "Readers") -> Any:
    value = db.get(key, SortedSet)
    query = Query(parse_place(words, 0), "place", "circle", _parse_radius(words[2:]))
    _parse_options(query, value, words[4:], readers)
    return _answer(db, value, query, "STORE option in GEORADIUS")


def _radius_from_member(db: Keyspace, key: bytes, words: Words, readers: "Readers") -> Any:
    value = db.get(key, SortedSet)
    query = Query(from_="member", shape="circle")
    if value is not None:  # Without a key neither member nor radius is looked at.
        query.middle = _middle_of(value, words[0])
        query.size = _parse_radius(words[1:])
    _parse_options(query, value, words[3:], readers)
    return _answer(db, value, query, "STORE option in GEORADIUS")


@command(
    "GEOSEARCH key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | "
    "BYBOX width height <M | KM | FT | MI> | BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> "
    "[ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
    READONLY,
    since="6.2.0",
    complexity=SEARCH_COMPLEXITY,
)
def geosearch(db: Keyspace, key: bytes, *words: bytes) -> Any:
    """Queries a geospatial index for members inside an area of a box, circle, or a polygon."""
    value = db.get(key, SortedSet)
    query = Query()
    _parse_options(query, value, words, SEARCHING)
    _check_search(query)
    return _answer(db, value, query, "GEOSEARCH")


@command(
    "GEOSEARCHSTORE destination source <FROMMEMBER member | FROMLONLAT longitude latitude> "
    "<BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI> | "
    "BYPOLYGON num-vertices longitude latitude [longitude latitude ...]> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]",
    WRITE | DENYOOM,
    since="6.2.0",
    complexity=SEARCH_COMPLEXITY,
)
def geosearchstore(db: Keyspace, destination: bytes, source: bytes, *words: bytes) -> Any:
    """Queries a geospatial index for members inside an area of a box, a circle, or a polygon, optionally stores the \
result."""
    value = db.get(source, SortedSet)
    query = Query(store_at=destination)
    _parse_options(query, value, words, SEARCHING_TO_STORE)
    _check_storing(query, "GEOSEARCHSTORE")
    _check_search(query)
    return _answer(db, value, query, "GEOSEARCHSTORE")


# --- Searching -------------------------------------------------------------------------------------------------------


def _answer(db: Keyspace, value: SortedSet | None, query: Query, name: str) -> Any:
    """What was found, or how much of it was stored."""
    _check_storing(query, name)
    if query.any and not query.count:
        raise RedisError("ERR the ANY argument requires COUNT argument")
    found = [] if value is None else _found(value, query)
    if query.store_at is None:
        return [_as_reply(one, query) for one in found]
    scores = {one.member: one.distance if query.store_distances else one.score for one in found}
    if scores:
        db.set(query.store_at, sorted_set_of(list(scores.items()), limits_of(db.store.config)))
    else:
        db.delete(query.store_at)
    return len(found)


def _found(value: SortedSet, query: Query) -> list[Found]:
    """The members asked for, in the order asked for."""
    area = query.area()
    found: list[Found] = []
    limit = query.count if query.any else 0
    for box in boxes_around(area.middle, area.radius_m(), area.bounds()):
        if limit and len(found) >= limit:
            break
        _find_in(value, *scores_in(box), area, limit, found)
    count = query.count or len(found)
    if query.order or (query.count and not query.any):
        found = _sorted(found, count, -1 if query.order == b"DESC" else 1)
    return found[:count]


def _sorted(found: list[Found], count: int, sign: int) -> list[Found]:
    """Ordered by distance, of which `count` are wanted. Where some are equally far away, in the reference's order, but
    of very many as they were found.
    """
    ordered = sorted(found, key=lambda one: one.distance * sign)
    tied = any(one.distance == other.distance for one, other in pairwise(ordered))
    if tied and count < len(found) <= PARTIAL_SORT_MAX:
        ordered = list(found)
        sort_first(ordered, [one.distance * sign for one in found], count)
    return ordered


def _find_in(value: SortedSet, first: float, end: float, area: Shape, limit: int, found: list[Found]) -> None:
    """Adds to `found` what of a range of scores lies in the area, up to `limit` in all if there is one."""
    stop = value.below(end)
    for start in range(value.below(first), stop, CHUNK_ENTRIES):
        chunk_end = min(start + CHUNK_ENTRIES, stop)
        members, scores = value.range(start, chunk_end), value.scores(start, chunk_end)
        for member, score in zip(members, scores, strict=True):
            place = place_of(score)
            distance_m = area.distance_m(place)
            if distance_m != OUTSIDE:
                found.append(Found(member, distance_m / area.unit_m, score, place))
                if len(found) == limit:
                    return


def _as_reply(one: Found, query: Query) -> Any:
    if not (query.with_distance or query.with_hash or query.with_place):
        return one.member
    reply: list[Any] = [one.member]
    if query.with_distance:
        reply.append(distance_text(one.distance))
    if query.with_hash:
        reply.append(int(one.score))
    if query.with_place:
        reply.append(coordinates(one.place))
    return reply


# --- Words -----------------------------------------------------------------------------------------------------------

FLAGS = {b"WITHDIST": "with_distance", b"WITHHASH": "with_hash", b"WITHCOORD": "with_place", b"ANY": "any"}


def _parse_options(query: Query, value: SortedSet | None, words: Words, readers: "Readers") -> None:
    """Reads the options, one after the other; `readers` are those that take words.  Raises RedisError."""
    at = 0
    while at < len(words):
        name = words[at].upper()
        at += 1
        if name in FLAGS:
            setattr(query, FLAGS[name], True)
        elif name in (b"ASC", b"DESC"):
            query.order = name
        elif name in readers:
            at += readers[name](query, value, words[at:])
        else:
            raise SyntaxFault()


def _need(words: Words, count: int) -> None:
    if len(words) < count:
        raise SyntaxFault()


def _read_count(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 1)
    query.count = integer(words[0])
    if query.count <= 0:
        raise RedisError("ERR COUNT must be > 0")
    return 1


def _read_store(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 1)
    query.store_at, query.store_distances = words[0], False
    return 1


def _read_store_distances(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 1)
    query.store_at, query.store_distances = words[0], True
    return 1


def _read_distances(query: Query, value: SortedSet | None, words: Words) -> int:
    query.store_distances = True
    return 0


def _read_member(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 1)
    if query.from_ == "place" or query.shape == "polygon":
        raise SyntaxFault()
    query.from_ = "member"
    if value is not None:
        query.middle = _middle_of(value, words[0])
    return 1


def _read_place(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 2)
    if query.from_ == "member" or query.shape == "polygon":
        raise SyntaxFault()
    query.middle = parse_place(words, 0)
    query.from_ = "place"
    return 2


def _read_radius(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 2)
    if query.shape not in ("", "circle"):
        raise SyntaxFault()
    query.size = _parse_radius(words)
    query.shape = "circle"
    return 2


def _read_box(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 3)
    if query.shape not in ("", "rectangle"):
        raise SyntaxFault()
    width, height = _number(words[0], "width"), _number(words[1], "height")
    if width < 0 or height < 0:
        raise RedisError("ERR height or width cannot be negative")
    query.size = (width, height, parse_unit(words[2]))
    query.shape = "rectangle"
    return 3


def _read_polygon(query: Query, value: SortedSet | None, words: Words) -> int:
    _need(words, 2)
    if query.shape not in ("", "polygon") or query.from_:
        raise SyntaxFault()
    count = maybe_integer(words[0])
    if count is None or abs(count) > INT_MAX:
        raise RedisError("ERR invalid number of vertices")
    if count < VERTICES_MIN or len(words) <= 2 * count:
        raise RedisError("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices")
    query.vertices = tuple(parse_place(words, at) for at in range(1, 2 * count, 2))
    query.shape = "polygon"
    return 1 + 2 * count


Readers = dict[bytes, Callable[[Query, SortedSet | None, Words], int]]
"""What reads the words behind an option, by its name: says how many they were."""

READING: Readers = {b"COUNT": _read_count}
STORING: Readers = READING | {b"STORE": _read_store, b"STOREDIST": _read_store_distances}
SEARCHING: Readers = READING | {
    b"FROMMEMBER": _read_member,
    b"FROMLONLAT": _read_place,
    b"BYRADIUS": _read_radius,
    b"BYBOX": _read_box,
    b"BYPOLYGON": _read_polygon,
}
SEARCHING_TO_STORE: Readers = SEARCHING | {b"STOREDIST": _read_distances}


def _middle_of(value: SortedSet, member: bytes) -> Place:
    """Raises RedisError if it is not there."""
    place = place_of_member(value, member)
    if place is None:
        raise RedisError(f"ERR member {shown(member)} does not exist")
    return place


def _parse_radius(words: Words) -> tuple[float, float]:
    """A radius, and how many metres its unit has.  Raises RedisError."""
    radius = _number(words[0], "radius")
    if radius < 0:
        raise RedisError("ERR radius cannot be negative")
    return radius, parse_unit(words[1])


def _number(word: bytes, name: str) -> float:
    number = maybe_double(word)
    if number is None:
        raise RedisError(f"ERR need numeric {name}")
    return number


def _check_storing(query: Query, name: str) -> None:
    if query.store_at is not None and (query.with_distance or query.with_hash or query.with_place):
        raise RedisError(f"ERR {name} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")


def _check_search(query: Query) -> None:
    if not query.from_ and query.shape != "polygon":
        raise AsSent(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {NAME}")
    if not query.shape:
        raise AsSent(f"ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {NAME}")
