"""Geohashes: a place on earth as a number of 52 bits, which is the score of a member of a sorted set.

Longitude and latitude are each a number of `step` bits (26 in a score), and the hash has them bit by bit in turn, a
latitude's bit the lower one. So all hashes that begin with the same bits lie in one box, a range of scores, and a box
has eight neighbours. All arithmetic is in doubles and in the reference's order of operations: its results, to the last
digit. Places are (longitude, latitude) in degrees, distances in metres.
"""

from math import asin, cos, fabs, nan, sin, sqrt

Place = tuple[float, float]
Box = tuple[int, int]
"""The bits of a hash, and its step."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north."""

LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
"""Of Web Mercator, beyond which there is no hash."""
STEP_MAX = 26
EARTH_RADIUS_M = 6372797.560856
MERCATOR_MAX_M = 20037726.37
RADIANS = 0.017453292519943295769236907684886
"""Of a degree."""

EVEN_BITS = 0x5555555555555555
ODD_BITS = 0xAAAAAAAAAAAAAAAA
WORD = 0xFFFFFFFFFFFFFFFF
HIGHEST = 2.0**63

ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
TEXT_DIGITS = 10
"""Digits of 5 bits in 52; the text has one more, which is 0."""


# --- Hashes ----------------------------------------------------------------------------------------------------------


def hash_of(longitude: float, latitude: float, step: int, latitude_max: float) -> int:
    """The hash of a place, where latitudes go up to `latitude_max`. O(1)."""
    east = (longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX)
    north = (latitude + latitude_max) / (latitude_max + latitude_max)
    return spread(int(north * (1 << step))) | spread(int(east * (1 << step))) << 1


def score_of(longitude: float, latitude: float) -> int:
    """The score of a place that is within bounds. O(1)."""
    return hash_of(longitude, latitude, STEP_MAX, LATITUDE_MAX)


def place_of(score: float) -> Place:
    """The middle of the box that a score means, or something like it if none was meant. O(1)."""
    bits = _as_word(score)
    west, south, east, north = bounds_of(bits, STEP_MAX)
    longitude = (west + east) / 2
    latitude = (south + north) / 2
    return (
        min(max(longitude, -LONGITUDE_MAX), LONGITUDE_MAX),
        min(max(latitude, -LATITUDE_MAX), LATITUDE_MAX),
    )


def _as_word(score: float) -> int:
    """A double as C makes 64 bits without a sign of it, on x86: any sorted set can be asked for places."""
    if -HIGHEST <= score < HIGHEST:
        return int(score) & WORD
    return int(score) if HIGHEST <= score < 2 * HIGHEST else 0 if score > 0 else 1 << 63


def bounds_of(bits: int, step: int) -> Bounds:
    """The box of a hash. O(1)."""
    south, west = gathered(bits), gathered(bits >> 1)
    parts = float(1 << step)
    return (
        -LONGITUDE_MAX + west / parts * (LONGITUDE_MAX + LONGITUDE_MAX),
        -LATITUDE_MAX + south / parts * (LATITUDE_MAX + LATITUDE_MAX),
        -LONGITUDE_MAX + (west + 1) / parts * (LONGITUDE_MAX + LONGITUDE_MAX),
        -LATITUDE_MAX + (south + 1) / parts * (LATITUDE_MAX + LATITUDE_MAX),
    )


def spread(number: int) -> int:
    """32 bits as the even ones of 64.

    >>> bin(spread(0b1011))
    '0b1000101'
    """
    number = (number | number << 16) & 0x0000FFFF0000FFFF
    number = (number | number << 8) & 0x00FF00FF00FF00FF
    number = (number | number << 4) & 0x0F0F0F0F0F0F0F0F
    number = (number | number << 2) & 0x3333333333333333
    return (number | number << 1) & EVEN_BITS


def gathered(bits: int) -> int:
    """The even ones of 64 bits as 32.

    >>> bin(gathered(0b1000101))
    '0b1011'
    """
    bits &= EVEN_BITS
    bits = (bits | bits >> 1) & 0x3333333333333333
    bits = (bits | bits >> 2) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | bits >> 4) & 0x00FF00FF00FF00FF
    bits = (bits | bits >> 8) & 0x0000FFFF0000FFFF
    return (bits | bits >> 16) & 0x00000000FFFFFFFF


def text_of(place: Place) -> bytes:
    """The geohash that everyone else writes: 11 characters, of a hash where latitudes go up to 90."""
    bits = hash_of(place[0], place[1], STEP_MAX, 90.0)
    digits = [bits >> (47 - 5 * number) & 31 for number in range(TEXT_DIGITS)]
    return bytes([ALPHABET[digit] for digit in digits]) + b"0"


# --- Boxes -----------------------------------------------------------------------------------------------------------

# In the order in which the reference looks at them: how many boxes to the east, and to the north.
AROUND = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def neighbour(bits: int, step: int, east: int, north: int) -> int:
    """The hash of the box beside, by -1, 0 or 1 each way; at the end of the world it begins anew. O(1).

    The very edge of the world has a hash beyond the last, which stays as it is, as in the reference.
    """
    mask = (1 << step) - 1
    latitude, longitude = gathered(bits), gathered(bits >> 1)
    if north:
        latitude = latitude + north & mask
    if east:
        longitude = longitude + east & mask
    return spread(latitude) | spread(longitude) << 1


def boxes_around(place: Place, radius_m: float, bounds: Bounds) -> list[Box]:
    """The boxes, nine at most, that cover `bounds`, which reach `radius_m` from `place`; in the reference's order."""
    longitude, latitude = place
    west, south, east, north = bounds
    if abs(latitude) > LATITUDE_MAX:  # The middle of a polygon around a pole; the reference finds anything there.
        latitude = 85.0 if latitude > 0 else -85.0
    step = _step_for(radius_m, latitude)
    middle = hash_of(longitude, latitude, step, LATITUDE_MAX)
    if step > 1 and (
        bounds_of(neighbour(middle, step, 0, 1), step)[3] < north
        or bounds_of(neighbour(middle, step, 0, -1), step)[1] > south
        or bounds_of(neighbour(middle, step, 1, 0), step)[2] < east
        or bounds_of(neighbour(middle, step, -1, 0), step)[0] > west
    ):
        step -= 1
        middle = hash_of(longitude, latitude, step, LATITUDE_MAX)
    box = bounds_of(middle, step)
    boxes: list[Box] = []
    for to_east, to_north in AROUND:
        if step >= 2 and _is_useless(box, bounds, to_east, to_north):
            continue
        found = (neighbour(middle, step, to_east, to_north), step)
        # In a world of few boxes neighbours are the same; the first is compared with none, as in the reference.
        if len(boxes) < 2 or found != boxes[-1]:
            boxes.append(found)
    return boxes


def _is_useless(box: Bounds, bounds: Bounds, to_east: int, to_north: int) -> bool:
    """Whether nothing of `bounds` is where the box has its neighbour."""
    return (
        (to_east < 0 and box[0] < bounds[0])
        or (to_north < 0 and box[1] < bounds[1])
        or (to_east > 0 and box[2] > bounds[2])
        or (to_north > 0 and box[3] > bounds[3])
    )


def _step_for(radius_m: float, latitude: float) -> int:
    """The step whose boxes are about as large as that. O(1)."""
    if radius_m == 0:
        return STEP_MAX
    step = -1
    while radius_m < MERCATOR_MAX_M:
        radius_m *= 2
        step += 1
    if latitude > 66 or latitude < -66:  # Boxes get narrow near the poles.
        step -= 1
        if latitude > 80 or latitude < -80:
            step -= 1
    return min(max(step, 1), STEP_MAX)


def scores_in(box: Box) -> tuple[float, float]:
    """The first score in a box, and the first one behind."""
    bits, step = box
    shift = 2 * (STEP_MAX - step)
    return float(bits << shift), float(bits + 1 << shift)


# --- Distances -------------------------------------------------------------------------------------------------------


def distance_m(longitude1: float, latitude1: float, longitude2: float, latitude2: float) -> float:
    """Between two places, by the haversine formula; no number, as in C, if rounding says more than round the world."""
    v = sin((longitude2 * RADIANS - longitude1 * RADIANS) / 2)
    if v == 0.0:
        return latitude_distance_m(latitude1, latitude2)
    radians1 = latitude1 * RADIANS
    radians2 = latitude2 * RADIANS
    u = sin((radians2 - radians1) / 2)
    half = sqrt(u * u + cos(radians1) * cos(radians2) * v * v)
    return 2.0 * EARTH_RADIUS_M * asin(half) if half <= 1.0 else nan


def latitude_distance_m(latitude1: float, latitude2: float) -> float:
    """Between two places of one longitude. O(1)."""
    return EARTH_RADIUS_M * fabs(latitude2 * RADIANS - latitude1 * RADIANS)
