"""The areas that are searched for members: a circle, a box, a polygon.

Each has a place in its middle, `bounds()` around it, `radius_m()` within which it lies, for choosing the size of the
boxes that are looked through, and `distance_m(place)`: how far from the middle a place in it is, OUTSIDE if it isn't.
"""

from collections.abc import Sequence
from math import atan2, cos, hypot, isfinite, nan, sin, sqrt

from shard.values.geohash import EARTH_RADIUS_M, RADIANS, Bounds, Place, distance_m, latitude_distance_m

OUTSIDE = -1.0


class Circle:
    """All places within a distance."""

    __slots__ = ("middle", "radius", "unit_m")

    def __init__(self, middle: Place, radius: float, unit_m: float) -> None:
        self.middle = middle
        self.radius = radius
        self.unit_m = unit_m
        """Of the radius, and of the distances that are answered."""

    def bounds(self) -> Bounds:
        return _bounds(self.middle, self.unit_m * self.radius, self.unit_m * self.radius)

    def radius_m(self) -> float:
        return self.radius * self.unit_m

    def distance_m(self, place: Place) -> float:
        found = distance_m(*self.middle, *place)
        return OUTSIDE if found > self.radius * self.unit_m else found


class Rectangle:
    """All places at most half the height to the north or south, and half the width to the east or west."""

    __slots__ = ("middle", "width", "height", "unit_m")

    def __init__(self, middle: Place, width: float, height: float, unit_m: float) -> None:
        self.middle = middle
        self.width = width
        self.height = height
        self.unit_m = unit_m

    def bounds(self) -> Bounds:
        return _bounds(self.middle, self.unit_m * (self.width / 2), self.unit_m * (self.height / 2))

    def radius_m(self) -> float:
        half_width, half_height = self.width / 2, self.height / 2
        return sqrt(half_width * half_width + half_height * half_height) * self.unit_m

    def distance_m(self, place: Place) -> float:
        longitude, latitude = self.middle
        if latitude_distance_m(place[1], latitude) > self.height * self.unit_m / 2:
            return OUTSIDE
        if distance_m(place[0], place[1], longitude, place[1]) > self.width * self.unit_m / 2:
            return OUTSIDE
        return distance_m(longitude, latitude, *place)


class Polygon:
    """What lies between straight lines on the map; its middle is that of its vertices, on the sphere."""

    __slots__ = ("middle", "vertices", "unit_m")

    def __init__(self, vertices: Sequence[Place]) -> None:
        self.vertices = vertices
        self.middle = _middle(vertices)
        self.unit_m = 1.0

    def bounds(self) -> Bounds:
        longitudes, latitudes = zip(*self.vertices, strict=True)
        return min(longitudes), min(latitudes), max(longitudes), max(latitudes)

    def radius_m(self) -> float:
        west, south, east, north = self.bounds()
        corners = ((west, south), (west, north), (east, south), (east, north))
        return max(distance_m(*self.middle, *corner) for corner in corners)

    def distance_m(self, place: Place) -> float:
        return distance_m(*self.middle, *place) if self._has(place) else OUTSIDE

    def _has(self, place: Place) -> bool:
        """Whether a line from the place to the east crosses an odd number of sides. O(n)."""
        longitude, latitude = place
        inside = False
        before_longitude, before_latitude = self.vertices[-1]
        for next_longitude, next_latitude in self.vertices:
            if (next_latitude > latitude) != (before_latitude > latitude):
                slope = (before_longitude - next_longitude) * (latitude - next_latitude)
                if longitude < slope / (before_latitude - next_latitude) + next_longitude:
                    inside = not inside
            before_longitude, before_latitude = next_longitude, next_latitude
        return inside


Shape = Circle | Rectangle | Polygon


def _bounds(middle: Place, to_the_side_m: float, up_m: float) -> Bounds:
    """What lies so far around a place."""
    longitude, latitude = middle
    up = up_m / EARTH_RADIUS_M / RADIANS
    # The side that is nearer to a pole is the wider one, in degrees.
    widest = latitude - up if latitude < 0 else latitude + up
    # C's cosine of infinity is no number, and nothing is above or below that.
    narrowing = cos(widest * RADIANS) if isfinite(widest) else nan
    to_the_side = to_the_side_m / EARTH_RADIUS_M / narrowing / RADIANS
    return longitude - to_the_side, latitude - up, longitude + to_the_side, latitude + up


def _middle(vertices: Sequence[Place]) -> Place:
    """The mean of places, as points in space, brought back to the surface. O(n)."""
    x = y = z = 0.0
    for longitude, latitude in vertices:
        x += cos(latitude * RADIANS) * cos(longitude * RADIANS)
        y += cos(latitude * RADIANS) * sin(longitude * RADIANS)
        z += sin(latitude * RADIANS)
    count = len(vertices)
    x, y, z = x / count, y / count, z / count
    return atan2(y, x) / RADIANS, atan2(z, hypot(x, y)) / RADIANS
