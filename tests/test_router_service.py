"""What the router says to systemd: ready when all shards serve, how it is, that its loop runs."""

import asyncio
from pathlib import Path

from router.saving import Kind, Save
from router.service import FAILED, LONGER, SHUT_DOWN, Service
from tests.bare_router import BareRouter, on_a_loop
from tests.listening_manager import listening


def test_ready_when_all_shards_serve(tmp_path: Path) -> None:
    async def scene() -> None:
        with listening(tmp_path) as manager:
            bare = BareRouter(3, greet=False)
            service = bare.router.service = Service(bare.router, manager.systemd())
            service.begin()
            status = "STATUS=0 of 3 shards ready, down: shard 0, 1, 2, 0 keys, 0 clients"
            assert manager.heard() == ["WATCHDOG=1", status]
            bare.shards[0].greet()
            bare.shards[1].greet("loading")
            assert manager.heard()[-1] == "STATUS=1 of 3 shards ready, 1 loading, down: shard 2, 0 keys, 0 clients"
            bare.shards[2].greet()
            bare.connect()
            assert "READY=1" not in manager.heard()
            bare.shards[1].send({"state": "ready"})
            assert manager.heard() == ["READY=1", "STATUS=3 of 3 shards ready, 0 keys, 1 clients"]
            bare.shards[1].die()
            bare.shards[1].greet()
            assert "READY=1" not in manager.heard()

    on_a_loop(scene)


def test_keys_are_counted(tmp_path: Path) -> None:
    async def scene() -> None:
        with listening(tmp_path) as manager:
            bare = BareRouter(2, greet=False)
            service = bare.router.service = Service(bare.router, manager.systemd())
            service.begin()
            for shard in bare.shards:
                shard.greet()
            await bare.sent()
            manager.heard()
            for shard, keys in zip(bare.shards, (1000, 234), strict=True):
                wanted = [run for frame in shard.frames for run in frame[2::2]]
                assert ["count_keys"] in [message for run in wanted for message in run]
                shard.send([[keys if message == ["count_keys"] else None for message in run] for run in wanted])
            assert manager.heard()[-1] == "STATUS=2 of 2 shards ready, 1,234 keys, 0 clients"

    on_a_loop(scene)


def test_a_start_may_last_while_shards_load_and_a_stop_while_a_file_is_saved(tmp_path: Path) -> None:
    async def beats() -> list[str]:
        """What the next beat says."""
        manager.heard()
        while not (words := manager.heard()):
            await asyncio.sleep(0.01)
        return words

    async def scene() -> None:
        router = bare_router()
        assert LONGER not in await beats()  # One is not there at all.
        router.shards[1].greet("loading")
        assert LONGER in await beats()
        router.shards[0].send({"state": "ready"})
        router.shards[1].send({"state": "ready"})
        assert LONGER not in await beats()
        router.router.saving.current = Save(Kind.SHUTDOWN, [], None)
        assert LONGER in await beats()

    def bare_router() -> BareRouter:
        bare = BareRouter(2, greet=False)
        bare.router.service = Service(bare.router, manager.systemd(WATCHDOG_USEC="30000"))
        bare.router.service.begin()
        bare.shards[0].greet("loading")
        return bare

    with listening(tmp_path) as manager:
        on_a_loop(scene)


def test_the_end(tmp_path: Path) -> None:
    async def scene() -> None:
        with listening(tmp_path) as manager:
            bare = BareRouter(2)
            bare.router.service = Service(bare.router, manager.systemd())
            bare.router.stop()
            bare.shards[0].die()
            assert manager.heard() == ["STOPPING=1", "STATUS=stopping"]

    on_a_loop(scene)


def test_the_unit_knows_that_a_client_has_ended_it(tmp_path: Path) -> None:
    async def scene() -> None:
        with listening(tmp_path) as manager:
            cases: list[tuple[list[str], int]] = [([], SHUT_DOWN), (["--supervisor-fd", "0"], 0)]
            for options, status in cases:
                bare = BareRouter(1, *options)
                bare.router.service = Service(bare.router, manager.systemd())
                bare.connect().send([b"SHUTDOWN", b"NOSAVE"])
                await bare.sent()
                assert bare.router.stopping and bare.router.service.exit_status == status
            alone = BareRouter(1)
            alone.connect().send([b"SHUTDOWN", b"NOSAVE"])
            await alone.sent()
            assert alone.router.stopping and alone.router.service.exit_status == 0

    on_a_loop(scene)


def test_a_shard_of_another_number_of_shards_is_refused() -> None:
    """Its keys are not those that this router looks for there."""

    async def scene() -> None:
        bare = BareRouter(2, greet=False)
        bare.shards[0].greet()
        hello = {"index": 1, "pid": 0, "state": "ready", "table": {}, "appendonly": False, "shards": 3}
        bare.shards[1].link.connection_made(bare.shards[1])
        bare.shards[1].send({"hello": hello})
        assert bare.router.service.exit_status == FAILED and bare.router.stopping and not bare.router.known

    on_a_loop(scene)
