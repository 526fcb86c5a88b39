"""SIGHUP: the configuration file read again, on a router in this process whose shards the test holds."""

import logging
from pathlib import Path
from typing import Any

import pytest

from router.config_reload import reload
from tests.bare_router import BareRouter, on_a_loop


class Scene:
    """A router that was configured by a file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.bare = BareRouter(2)
        self.config = self.bare.router.config
        self.write(text)
        fresh = self.config.from_arguments(self.argv())
        self.config.values.update(fresh.values)
        self.config.given = fresh.given

    def argv(self) -> list[str]:
        return [str(self.path), "--shards", "2", "--appendonly", "no"]

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def reload(self, text: str) -> None:
        self.write(text)
        reload(self.bare.router, self.argv(), {})

    async def told(self, *answers: Any) -> list[Any]:
        """What each shard was told since the last time; it answers so."""
        await self.bare.sent()
        found = []
        for shard, answer in zip(self.bare.shards, answers or ("", ""), strict=True):
            messages = []
            for frame in shard.frames:
                runs = frame[2::2]
                messages += [message[1] for run in runs for message in run if message[0] == "config"]
                shard.send([[answer if message[0] == "config" else None for message in run] for run in runs])
            shard.frames.clear()
            found.append(messages)
        return found


def test_what_the_file_says_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        one = Scene(tmp_path / "shardis.conf", "maxclients 100\nhash-max-listpack-entries 5\n")
        await one.told()
        one.config.set([("maxclients", "7"), ("slowlog-max-len", "9")])
        with caplog.at_level(logging.INFO):
            one.reload("maxclients 200\ndatabases 7\nset-max-intset-entries 3\n")
        config = one.config
        assert (config["maxclients"], config["set-max-intset-entries"]) == (200, 3)
        assert config["hash-max-listpack-entries"] == 512  # As at first, for the file names it no longer.
        assert config["slowlog-max-len"] == 9  # Of CONFIG SET; the file never named it.
        assert config["databases"] == 16
        changed = {"maxclients": 200, "hash-max-listpack-entries": 512, "set-max-intset-entries": 3}
        assert await one.told() == [[changed]] * 2
        assert "only a restart changes these directives: databases" in caplog.text
        assert "reloaded: hash-max-listpack-entries, maxclients, set-max-intset-entries" in caplog.text

    on_a_loop(scene)


def test_a_shard_that_comes_later_is_told(tmp_path: Path) -> None:
    async def scene() -> None:
        one = Scene(tmp_path / "shardis.conf", "")
        await one.told()
        one.bare.shards[1].die()
        one.reload("maxclients 200\n")
        one.bare.shards[1].greet()
        assert (await one.told())[1] == [{"maxclients": 200}]

    on_a_loop(scene)


@pytest.mark.parametrize("text", ["maxclients none\n", "nonsense\n", 'maxclients "\n'])
def test_a_fault_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    async def scene() -> None:
        one = Scene(tmp_path / "shardis.conf", "maxclients 100\n")
        await one.told()
        one.reload("set-max-intset-entries 3\n" + text)
        assert (one.config["maxclients"], one.config["set-max-intset-entries"]) == (100, 512)
        assert await one.told() == [[], []]
        assert "the configuration is not reloaded" in caplog.text

    on_a_loop(scene)


def test_a_router_that_stops_is_left_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        one = Scene(tmp_path / "shardis.conf", "maxclients 100\n")
        one.bare.router.stop()
        one.reload("maxclients 200\n")
        assert one.config["maxclients"] == 100

    on_a_loop(scene)


def test_a_shard_that_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All or nothing: everybody goes on with the values from before."""

    async def scene() -> None:
        one = Scene(tmp_path / "shardis.conf", "maxclients 100\n")
        await one.told()
        one.reload("maxclients 200\n")
        assert await one.told("", "ERR no room") == [[{"maxclients": 200}]] * 2
        assert one.config["maxclients"] == 100 and "maxclients" not in one.config.changed
        assert await one.told() == [[{"maxclients": 100}]] * 2
        assert "not reloaded: ERR no room" in caplog.text

    on_a_loop(scene)
