"""Large strings that nobody needs any more: their pages go first, and only when nobody can reach them."""

from collections.abc import Callable
from typing import Any

import pytest

from common import leftovers
from common.leftovers import LARGE_BYTES, PIECE_BYTES, Leftover, Leftovers, is_alone, is_large
from shard.garbage import free_some

Make = Callable[[int], Any]


def pages_kb() -> int:
    """What this process has of anonymous memory."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))


def a_bytes(size: int) -> bytes:
    return b"x" * size


def a_bytearray(size: int) -> bytearray:
    return bytearray(b"x") * size


@pytest.mark.parametrize("make", [a_bytes, a_bytearray])
@pytest.mark.parametrize("size", [LARGE_BYTES, 8 * LARGE_BYTES + 123])
def test_its_pages_go_before_it_does(make: Make, size: int) -> None:
    text = make(size)
    before_kb = pages_kb()
    leftover = Leftover(text)
    steps = 1
    while leftover.free_some():
        steps += 1
    assert steps in range(size // PIECE_BYTES, size // PIECE_BYTES + 2)
    assert before_kb - pages_kb() > size // 1024 * 0.9
    assert len(text) == size
    assert text[0] == text[-1] == ord("x"), "a page that is shared with others was given back"


@pytest.mark.parametrize("size", [0, 1, 4095, 5000])
def test_a_short_one_is_left_alone(size: int) -> None:
    text = a_bytes(size)
    leftover = Leftover(text)
    while leftover.free_some():
        pass
    assert text[:1] + text[-1:] == b"xx"[: 2 * size]


def test_who_is_alone() -> None:
    held: list[Any] = [a_bytes(5000)]
    assert is_alone(held, 0)
    other = held[0]
    assert not is_alone(held, 0)
    del other
    view = memoryview(held[0])
    assert not is_alone(held, -1)
    view.release()
    assert is_alone(held, -1)
    assert not is_large(held[0]) and is_large(bytearray(LARGE_BYTES)) and not is_large(LARGE_BYTES)


class Later(list[tuple[float, Callable[[], None]]]):
    """What comes later."""

    def __call__(self, pause_s: float, act: Callable[[], None]) -> None:
        self.append((pause_s, act))

    def step(self) -> float:
        pause_s, act = self.pop()
        act()
        return pause_s


def test_what_somebody_has_is_looked_at_again_until_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PIECES_MAX", 4)
    later = Later()
    all_ = Leftovers(later)
    all_.add(a_bytes(LARGE_BYTES - 1))
    assert not later
    mine = a_bytes(2 * LARGE_BYTES)
    all_.add(mine)
    all_.add(a_bytearray(LARGE_BYTES))
    assert len(later) == 1
    before_kb = pages_kb()
    turns = 0
    while later.step() == leftovers.PAUSE_S or turns < 2:
        assert len(later) == 1
        turns += 1
    assert turns == LARGE_BYTES // PIECE_BYTES // 4 or turns == LARGE_BYTES // PIECE_BYTES // 4 + 1
    assert before_kb - pages_kb() > LARGE_BYTES // 1024 * 0.9
    assert mine == b"x" * len(mine)
    del mine
    before_kb = pages_kb()
    while later:
        later.step()
    assert before_kb - pages_kb() > 2 * LARGE_BYTES // 1024 * 0.9


@pytest.mark.parametrize("make", [a_bytes, a_bytearray])
@pytest.mark.parametrize("wrap", [lambda text: [text], lambda text: {b"f": text}, lambda text: text])
def test_garbage_takes_it_apart(make: Make, wrap: Callable[[Any], Any]) -> None:
    garbage: list[Any] = [wrap(make(8 * LARGE_BYTES))]
    before_kb = pages_kb()
    steps = 0
    while free_some(garbage):
        steps += 1
    assert steps >= 8 * LARGE_BYTES // PIECE_BYTES
    assert before_kb - pages_kb() > 8 * LARGE_BYTES // 1024 * 0.9


def test_garbage_that_somebody_has_goes_to_the_leftovers() -> None:
    later = Later()
    all_ = Leftovers(later)
    mine = a_bytes(LARGE_BYTES)
    garbage: list[Any] = [mine, bytearray(b"short")]
    while free_some(garbage, all_):
        pass
    assert not garbage and len(later) == 1
    later.step()
    assert mine == b"x" * LARGE_BYTES
