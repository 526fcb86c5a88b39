"""Geohashes: bits in turn, places that come back, boxes that cover what they should."""

from math import inf, isnan, nan
from random import Random

from shard.values.geohash import (
    LATITUDE_MAX,
    STEP_MAX,
    bounds_of,
    boxes_around,
    distance_m,
    gathered,
    hash_of,
    neighbour,
    place_of,
    score_of,
    scores_in,
    spread,
    text_of,
)


def test_bits_in_turn() -> None:
    random = Random(1)
    for number in [0, 1, 2**32 - 1, *[random.getrandbits(32) for _ in range(200)]]:
        digits = f"{number:032b}"
        assert f"{spread(number):064b}" == "".join("0" + digit for digit in digits)
        assert gathered(spread(number)) == number
        assert gathered(spread(number) | spread(random.getrandbits(32)) << 1) == number


def test_places_come_back() -> None:
    random = Random(2)
    for _ in range(1000):
        longitude, latitude = random.uniform(-180, 180), random.uniform(-LATITUDE_MAX, LATITUDE_MAX)
        score = score_of(longitude, latitude)
        assert 0 <= score < 2**52
        found = place_of(float(score))
        assert abs(found[0] - longitude) < 6e-6 and abs(found[1] - latitude) < 3e-6
        assert score_of(*found) == score


def test_as_the_reference() -> None:
    assert score_of(13.361389, 38.115556) == 3479099956230698
    assert place_of(3479099956230698.0) == (13.36138933897018433, 38.11555639549629859)
    assert text_of(place_of(3479099956230698.0)) == b"sqc8b49rny0"
    assert f"{distance_m(*place_of(3479099956230698.0), *place_of(3479447370796909.0)):.4f}" == "166274.1516"


def test_scores_that_are_no_hashes() -> None:
    low = (-179.99999731779099, -85.05112751263942528)
    assert place_of(-5.0) == (180.0, LATITUDE_MAX)
    assert place_of(1e20) == low and place_of(inf) == low
    assert place_of(-inf) == (180.0, low[1])
    assert place_of(1.5) == place_of(1.0)


def test_neighbours() -> None:
    random = Random(3)
    for _ in range(500):
        step = random.randint(1, STEP_MAX)
        bits = random.getrandbits(2 * step)
        for east, north in ((1, 0), (0, 1), (1, 1), (-1, 1)):
            other = neighbour(bits, step, east, north)
            assert 0 <= other < 1 << 2 * step
            assert neighbour(other, step, -east, -north) == bits
        west, south, east_end, north_end = bounds_of(bits, step)
        if east_end < 180 and north_end < LATITUDE_MAX:
            beside = bounds_of(neighbour(bits, step, 1, 1), step)
            assert beside[:2] == (east_end, north_end)


def test_boxes_cover_the_area() -> None:
    random = Random(4)
    for _ in range(500):
        longitude, latitude = random.uniform(-170, 170), random.uniform(-60, 60)
        span = random.choice((0.001, 0.1, 2, 9))
        bounds = (longitude - span, latitude - span, longitude + span, latitude + span)
        boxes = boxes_around((longitude, latitude), distance_m(longitude, latitude, bounds[0], bounds[1]), bounds)
        assert 1 <= len(boxes) <= 9 and len(set(boxes)) == len(boxes)
        for _ in range(20):
            score = score_of(random.uniform(bounds[0], bounds[2]), random.uniform(bounds[1], bounds[3]))
            assert any(first <= score < end for first, end in map(scores_in, boxes))


def test_the_edge_of_the_world_is_beyond_the_last_box() -> None:
    assert hash_of(180, LATITUDE_MAX, STEP_MAX, LATITUDE_MAX) == 0b11 << 52
    boxes = boxes_around((0.0, 89.0), 1000.0, (-180.0, 80.0, 180.0, 85.0))
    assert all(bits < 1 << 2 * step for bits, step in boxes)


def test_distances() -> None:
    assert distance_m(1, 2, 1, 2) == 0
    assert round(distance_m(0, 0, 0, 1)) == 111226
    assert distance_m(0, 0, 1, 0) == distance_m(0, 0, -1, 0)
    assert isnan(distance_m(nan, 0, 1, 0))
