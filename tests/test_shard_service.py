"""What a shard says to systemd: that it can be reached, how it is, that its loop runs."""

from pathlib import Path

from common.config import Config
from common.errors import RedisError
from shard.server import Shard
from shard.service import Service
from tests.bare_router import on_a_loop
from tests.listening_manager import listening


def test_the_life_of_a_shard(tmp_path: Path) -> None:
    async def scene() -> None:
        with listening(tmp_path) as manager:
            shard = Shard(Config.from_arguments(["--dir", str(tmp_path), "--shards", "3"]), 1)
            shard.service = Service(shard, manager.systemd())
            shard.executor.state(loading=True, refusal=None)
            shard.service.begin()
            assert manager.heard() == ["READY=1", "STATUS=loading: 0 commands of the log so far", "WATCHDOG=1"]
            assert list(shard.aof.load(shard.executor.replay)) == []
            shard._open()
            assert manager.heard() == ["STATUS=loaded, waits for the other shards"]
            shard.admit()
            assert manager.heard() == ["STATUS=0 keys"]
            shard.executor.run(0, [[b"SET", b"k", b"v"]])
            shard.executor.state(loading=False, refusal=RedisError("MISCONF no room"))
            shard.service.look()
            assert manager.heard() == ["STATUS=1 keys, refuses writes: MISCONF no room"]
            shard.stop()
            assert manager.heard() == ["STOPPING=1", "STATUS=stopping: the log goes to disk"]
            shard.aof.close()

    on_a_loop(scene)


def test_without_systemd_it_does_not_beat(tmp_path: Path) -> None:
    async def scene() -> None:
        shard = Shard(Config.from_arguments(["--dir", str(tmp_path), "--shards", "1"]), 0)
        shard.service.begin()
        assert not shard.service.systemd and not shard.service.systemd.said.startswith("0")
        assert list(shard.aof.load(shard.executor.replay)) == []
        shard.aof.close()

    on_a_loop(scene)
