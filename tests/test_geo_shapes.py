"""Areas: which places are inside, how far from the middle, within which bounds."""

from math import inf
from random import Random

import pytest

from shard.values.geo_shapes import OUTSIDE, Circle, Polygon, Rectangle, Shape
from shard.values.geohash import Place, distance_m


@pytest.mark.parametrize(
    "area",
    [
        Circle((15.0, 37.0), 200.0, 1000.0),
        Circle((-70.0, -50.0), 10.0, 1609.34),
        Rectangle((15.0, 37.0), 400.0, 100.0, 1000.0),
        Rectangle((0.0, 0.0), 1.0, 5.0, 0.3048),
        Polygon([(12, 37), (12, 39), (16, 39), (16, 37)]),
        Polygon([(11, 36), (14, 41), (19, 36.5), (14, 37), (12, 35)]),
    ],
)
def test_what_is_inside_is_within_the_bounds(area: Shape) -> None:
    random = Random(1)
    west, south, east, north = area.bounds()
    width, height = east - west, north - south
    inside = 0
    for _ in range(2000):
        place = (random.uniform(west - width, east + width), random.uniform(south - height, north + height))
        found = area.distance_m(place)
        if found != OUTSIDE:
            inside += 1
            assert found == distance_m(*area.middle, *place)
            assert found <= area.radius_m() * 1.001
            # A rectangle's upper and lower sides are wider in degrees than its bounds say, as in the reference.
            assert west - width * 0.02 <= place[0] <= east + width * 0.02 and south <= place[1] <= north
    assert inside > 50


def test_polygons_are_what_the_lines_enclose() -> None:
    notched = Polygon([(0, 0), (10, 0), (10, 10), (5, 2), (0, 10)])
    inside: list[Place] = [(1, 1), (9, 1), (1, 5), (9, 5), (5, 1)]
    outside: list[Place] = [(5, 5), (5, 9), (-1, 1), (11, 1), (5, -1), (3, 9)]
    assert all(notched.distance_m(place) != OUTSIDE for place in inside)
    assert all(notched.distance_m(place) == OUTSIDE for place in outside)


def test_the_middle_of_a_polygon_is_on_the_sphere() -> None:
    """As the reference's distances say."""
    middle = Polygon([(12, 37), (12, 39), (16, 39), (16, 37)]).middle
    assert f"{distance_m(*middle, 13.36138933897018433, 38.11555639549629859):.4f}" == "56987.4933"


def test_a_radius_without_end() -> None:
    area = Circle((15.0, 37.0), inf, 1000.0)
    assert area.bounds()[1] == -inf and area.bounds()[3] == inf
    assert area.distance_m((-160.0, -80.0)) > 0
