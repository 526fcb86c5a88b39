"""The screen of `shardis top`: that it fits, whatever the size, and what is on it."""

import io

import pytest
from rich.console import Console

from common.command_stats import CommandStats
from metrics.top.state import State
from metrics.top.view import screen
from tests.metrics_facts import facts, shard, silent_shard


def state(shards: int = 2, commands: int = 3, *, down: int = -1) -> State:
    made = State("here:6379")
    counted = {}
    for number in range(commands):
        one = CommandStats()
        for _ in range(number + 1):
            one.count(1000 * (number + 1))
        counted[f"command{number}"] = one
    for place in range(2):
        known = [silent_shard(index) if index == down else shard(index, place * 7) for index in range(shards)]
        look = facts(1000.0 + place, *known, commands=counted if place else {})
        look.shards = known
        made.look(look)
    return made


def drawn(shown: State, width: int = 120, height: int | None = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height or 100, highlight=False)
    console.print(screen(shown, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [16, 24, 50])
@pytest.mark.parametrize("shards", [0, 1, 3, 64])
def test_it_fits(width: int, height: int, shards: int) -> None:
    lines = drawn(state(shards, 40), width, height)
    assert len(lines) <= height and max(map(len, lines)) <= width


def test_what_is_on_it() -> None:
    text = "\n".join(drawn(state()))
    assert "here:6379" in text and "all 2 shards ready" in text and "COMMAND2" in text
    assert " q quit" in text and "sort: time" in text and "Load ▼" in text
    assert [line.split()[:4] for line in text.splitlines() if line.startswith(" ■")] == [
        ["■", "0", "ready", "7"], ["■", "1", "ready", "7"]
    ]  # fmt: skip


def test_a_shard_that_is_down() -> None:
    lines = [line.split() for line in drawn(state(down=1)) if line.startswith(" ■")]
    assert lines[1] == ["■", "1", "down"]


def test_what_there_is_no_room_for_is_counted() -> None:
    assert any("and 61 more" in line for line in drawn(state(64), 100, 17))


def test_a_plain_redis_has_no_shards() -> None:
    text = "\n".join(drawn(state(0)))
    assert "Rewrite" not in text and "COMMAND2" in text


def test_one_frame_has_everything() -> None:
    lines = drawn(state(64, 30), 120, None)
    assert sum(line.startswith(" ■") for line in lines) == 64
    assert sum("COMMAND" in line for line in lines) == 30 and not any("quit" in line for line in lines)


def test_of_a_limit_there_is_what_counts_for_it() -> None:
    shown = State("here")
    shown.look(facts(1000.0, used_memory=118 << 20, mem_not_counted_for_evict=117 << 20, maxmemory=2 << 20))
    assert any("1.0 MB of 2.0 MB" in line for line in drawn(shown))
    shown.look(facts(1001.0, used_memory=118 << 20, mem_not_counted_for_evict=117 << 20))
    assert any("118 MB" in line and " of " not in line for line in drawn(shown))


def test_before_the_first_look() -> None:
    assert any("connecting" in line for line in drawn(State("here")))


def test_a_pause_and_a_loss_are_said() -> None:
    shown = state()
    shown.key(" ")
    shown.lose("Connection refused")
    text = "\n".join(drawn(shown))
    assert "paused" in text and "no connection: Connection refused" in text and "go on" in text
