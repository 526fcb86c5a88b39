"""The inner door of the router, from both sides: who may ask, what is told, and that a shard can't hold it up."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from metrics import door as metrics_side
from metrics.door import SOCKET, Door
from router import metrics_door
from router.info_sections import Facts
from router.metrics_door import Office, listen, report
from tests.bare_router import BareRouter, on_a_loop

SAID = {
    "process": {"pid": 7, "uptime_s": 3, "rss_bytes": 100, "rss_peak_bytes": 100, "rss_start_bytes": 50,
                "used_bytes": 90, "cpu_user_s": 1.0, "cpu_system_s": 0.5, "loop_user_s": 1.0, "loop_system_s": 0.5},
    "loading": False, "loading_since_s": 0, "loaded_bytes": 0, "total_bytes": 0, "commands_loaded": 0,
    "errors": {"WRONGTYPE": 1}, "changes": 0, "refusing": False, "internal_errors": 0,
    "stats": {"keyspace_hits": 2, "keyspace_misses": 1, "expired_keys": 0},
    "dbs": {0: {"keys": 3, "expires": 1, "avg_ttl": 10}},
    "commands": {"get": [2, 4000, 0, 0, [0] * 11 + [2] + [0] * 52]},
    "garbage": 0, "blocking_keys": 0, "lasting_keys": 0,
    "aof": {"aof_last_write_status": "ok", "aof_current_size": 9, "aof_base_size": 4, "aof_buffer_length": 0,
            "aof_pending_bio_fsync": 0, "aof_delayed_fsync": 0, "aof_rewrite_in_progress": 0,
            "aof_rewrite_scheduled": 0, "aof_last_rewrite_time_sec": -1, "aof_current_rewrite_time_sec": -1,
            "aof_last_bgrewrite_status": "ok", "aof_rewrites": 0, "aof_rewrites_consecutive_failures": 0,
            "aof_pending_rewrite": 0},
    "save": {"keys_saved": 0, "keys_to_save": 0, "keys_loaded": 0, "keys_expired": 0},
}  # fmt: skip
"""What a shard answers to `info`."""


def questions(bare: BareRouter, shard: int) -> int:
    """How often a shard was asked and has not answered."""
    frames = bare.shards[shard].frames
    return sum(message == ["info"] for frame in frames for run in frame[2::2] for message in run)


def say(bare: BareRouter, shard: int) -> None:
    """The shard answers all that it was asked."""
    end = bare.shards[shard]
    while end.frames:
        frame = end.frames.popleft()
        end.send([[SAID if message == ["info"] else None for message in run] for run in frame[2::2]])


def at_the_door(folder: Path, act: Callable[[BareRouter, Door], Awaitable[None]], *options: str) -> None:
    """A router of two shards with its door, and who knocks there."""

    async def scene() -> None:
        bare = BareRouter(2, "--rundir", str(folder), "--metrics-port", "9", *options)
        door = Door(f"{folder}/{SOCKET}")
        async with listen(bare.router):
            await act(bare, door)
            await door.close()

    on_a_loop(scene)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_is_told(tmp_path: Path) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        answer = asyncio.ensure_future(door.facts())
        await until(lambda: questions(bare, 0) + questions(bare, 1) == 2)
        say(bare, 0)
        say(bare, 1)
        facts = await answer
        assert facts is not None
        assert facts.number("stats", "keyspace_hits") == 4 and facts.commands["get"].calls == 4
        assert facts.dbs()["db0"]["keys"] == 6 and facts.errors == {"WRONGTYPE": 2}
        assert [(one["state"], one["fresh"], one["keys"], one["log_bytes"]) for one in facts.shards] == [
            ("ready", True, 3, 9)
        ] * 2
        assert sum(facts.shards[0]["histogram"]) == 2 and facts.router["rss_bytes"] > 0

    at_the_door(tmp_path, act)


def test_who_asks_is_no_client(tmp_path: Path) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        watcher = bare.connect()
        watcher.send([b"MONITOR"])
        watcher.take()
        answer = asyncio.ensure_future(door.facts())
        await until(lambda: questions(bare, 1) == 1)
        say(bare, 0)
        say(bare, 1)
        facts = await answer
        assert facts is not None and facts.number("clients", "connected_clients") == 1
        assert "info" not in facts.commands and watcher.take() == b""

    at_the_door(tmp_path, act, "--maxclients", "1", "--requirepass", "secret", "--protected-mode", "no")


def test_a_walk_over_all_clients_is_not_done_again_at_once(tmp_path: Path) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        office = Office(bare.router)
        facts = Facts(bare.router, {0: SAID, 1: SAID}, {})
        bare.connect()
        first = office.sections(facts)
        office.rests_until_s = bare.router.loop.time() + 1000
        bare.connect()
        second = office.sections(facts)
        assert second["memory"] is first["memory"] and second["stats"] is not first["stats"]
        assert second["clients"]["connected_clients"] == 2
        office.rests_until_s = 0.0
        assert office.sections(facts)["memory"] is not first["memory"]

    at_the_door(tmp_path, act)


def test_no_secret_is_told(tmp_path: Path) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        bare.router.logs.slow.add([b"AUTH", b"secret"], 99, 1, "127.0.0.1:1", b"")
        bare.router.logs.slow.add([b"SET", b"card:4711", b"1234"], 99, 1, "127.0.0.1:1", b"")
        bare.router.logs.slow.add([b"NOSUCH", b"4711"], 99, 1, "127.0.0.1:1", b"")
        told = report(bare.router, {0: SAID, 1: SAID}, {0, 1}, Office(bare.router).sections)
        assert [entry[3] for entry in told["slow"]] == ["?", "set", "auth"]
        text = repr(told)
        assert "secret" not in text and "4711" not in text and "1234" not in text

    at_the_door(tmp_path, act, "--requirepass", "secret")


def test_all_who_ask_within_a_second_share_one_answer(tmp_path: Path) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        answers = [asyncio.ensure_future(door.facts()) for _ in range(5)]
        await until(lambda: questions(bare, 1) == 1)
        say(bare, 0)
        say(bare, 1)
        first = await answers[0]
        assert [known is first for known in await asyncio.gather(*answers)] == [True] * 5
        assert await door.facts() is first and door.questions == 1

    at_the_door(tmp_path, act)


def test_a_busy_shard_has_its_old_figures_and_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_door, "ANSWER_S", 0.05)
    monkeypatch.setattr(metrics_side, "SHARED_S", 0.0)

    async def act(bare: BareRouter, door: Door) -> None:
        async def facts_with(*answering: int) -> list[tuple[bool, Any]]:
            answer = asyncio.ensure_future(door.facts())
            await until(lambda: questions(bare, 0) == 1)
            for shard in answering:
                say(bare, shard)
            facts = await answer
            assert facts is not None
            return [(one["fresh"], one.get("keys")) for one in facts.shards]

        assert await facts_with(0) == [(True, 3), (False, None)]
        say(bare, 1)
        assert await facts_with(0) == [(True, 3), (False, 3)]
        assert await facts_with(0) == [(True, 3), (False, 3)]
        assert questions(bare, 1) == 1, "it is not asked again before it has answered"
        say(bare, 1)
        assert await facts_with(0, 1) == [(True, 3), (True, 3)]

    at_the_door(tmp_path, act)


def test_a_shard_that_is_down_has_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_side, "SHARED_S", 0.0)

    async def act(bare: BareRouter, door: Door) -> None:
        for down in (False, True):
            answer = asyncio.ensure_future(door.facts())
            await until(lambda: questions(bare, 0) == 1)
            say(bare, 0)
            if down:
                bare.shards[1].die()  # While it is asked.
            else:
                say(bare, 1)
            facts = await answer
            assert facts is not None and facts.shards[1].get("keys") == (None if down else 3)
        assert facts.shards[1]["state"] == "down" and facts.number("stats", "keyspace_hits") == 2

    at_the_door(tmp_path, act)


def test_a_router_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        door = Door(f"{tmp_path}/{SOCKET}")
        assert await door.facts() is None and door.fault == "is not there"

    on_a_loop(scene)
    assert not caplog.records, "at the start that is nothing to be told"


def test_a_router_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_side, "ANSWER_S", 0.05)
    monkeypatch.setattr(metrics_door, "ANSWER_S", 30.0)

    async def act(bare: BareRouter, door: Door) -> None:
        assert await door.facts() is None and door.fault == "does not answer"

    at_the_door(tmp_path, act)


async def turned_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True
    finally:
        writer.close()


def test_another_user_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        monkeypatch.setattr(metrics_door, "stranger", lambda transport: "user 33 (process 4711)")
        assert await turned_away(*await asyncio.open_unix_connection(door.path))
        assert (tmp_path / SOCKET).stat().st_mode & 0o777 == 0o600

    at_the_door(tmp_path, act)


@pytest.mark.parametrize("sent", [b"\xc1", msgpack.packb(bytes(metrics_door.QUESTION_BYTES_MAX + 1)), b"\x92" * 300])
def test_what_is_no_question_ends_the_connection(tmp_path: Path, sent: bytes) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        reader, writer = await asyncio.open_unix_connection(door.path)
        writer.write(sent)
        assert await turned_away(reader, writer)

    at_the_door(tmp_path, act)


def test_as_many_as_may_come_in_and_one_more(tmp_path: Path) -> None:
    async def act(bare: BareRouter, door: Door) -> None:
        inside = [await asyncio.open_unix_connection(door.path) for _ in range(metrics_door.VISITORS_MAX)]
        assert await turned_away(*await asyncio.open_unix_connection(door.path))
        answer = asyncio.ensure_future(inside[0][0].read(1))
        inside[0][1].write(msgpack.packb(1))
        await until(lambda: questions(bare, 1) == 1)
        say(bare, 0)
        say(bare, 1)
        assert await answer
        for _, writer in inside:
            writer.close()

    at_the_door(tmp_path, act)


def test_without_metrics_there_is_no_door(tmp_path: Path) -> None:
    async def scene() -> None:
        bare = BareRouter(1, "--rundir", str(tmp_path))
        async with listen(bare.router):
            assert not (tmp_path / SOCKET).exists()
        assert not Office(bare.router).visitors

    on_a_loop(scene)
