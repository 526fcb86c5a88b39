"""The link to a shard: a real Unix socket, with a small shard behind it that says what the test wants."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from common.errors import RedisError
from common.frame import LARGE_SIZE_BYTES, packer, unpacker
from router.batch import Batch, Run
from router.link import WRITE_BUFFER_BYTES_MAX, Link, LinkState
from tests.bare_router import on_a_loop

NOW_MS = 1_700_000_000_000
HELLO = {"hello": {"index": 3, "pid": 1, "state": "ready", "table": []}}


class Shard:
    """What listens on the shard's socket: says hello and keeps the frames that come."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.frames: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        self.writers: list[asyncio.StreamWriter] = []
        """Of each connection that there is."""
        self.gone = asyncio.Event()
        """Whether one has ended."""

    async def start(self, hello: Any = HELLO) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            self.send(hello)
            stream = unpacker()
            with suppress(ConnectionError):
                while data := await reader.read(1 << 16):
                    stream.feed(data)
                    for frame in stream:
                        self.frames.put_nowait(frame)
                    await self.reading.wait()
            writer.close()
            self.writers.remove(writer)
            self.gone.set()

        self.server = await asyncio.start_unix_server(serve, self.path)

    def send(self, frame: Any) -> None:
        self.writers[-1].write(packer().pack(frame))

    async def die(self) -> None:
        """Ends as a killed process does."""
        Path(self.path).unlink(missing_ok=True)
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        while self.writers:
            self.gone.clear()
            await self.gone.wait()


class Listener:
    """Keeps what it hears; `heard` is set with each."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.heard = asyncio.Event()

    def _note(self, *event: Any) -> None:
        self.events.append(event)
        self.heard.set()

    async def until(self, *event: Any) -> None:
        while event not in self.events:
            self.heard.clear()
            await self.heard.wait()

    def link_hello(self, link: Link, hello: dict[str, Any]) -> None:
        self._note("hello", hello["index"])

    def link_changed(self, link: Link) -> None:
        self._note("state", link.state)

    def link_refuses(self, link: Link) -> None:
        self._note("refusal", link.refusal)

    def link_congested(self, link: Link, congested: bool) -> None:
        self._note("congested", congested)

    def link_slow(self, run: Any, place: int, duration_us: int) -> None:
        self._note("slow", run.batch.session, run.request_of(place), duration_us)

    def link_latency(self, event: str, duration_ms: int) -> None:
        self._note("latency", event, duration_ms)


class Client:
    """What a batch tells that its runs are answered."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    def completed(self) -> None:
        self.done.set()


Scene = Callable[[Link, Shard, Listener], Awaitable[None]]


def on_a_link(tmp_path: Path, scene: Scene) -> None:
    async def run() -> None:
        listener, shard = Listener(), Shard(str(tmp_path / "s"))
        link = Link(3, shard.path, listener, lambda: NOW_MS)
        await shard.start()
        await link.connect()
        await listener.until("state", LinkState.READY)
        try:
            await scene(link, shard, listener)
        finally:
            link.close()
            await shard.die()

    on_a_loop(run)


def make_run(*requests: list[bytes]) -> Run:
    """A run of a client of its own."""
    client: Any = Client()
    batch = Batch(client, 1, 0)
    batch.waiting = 1
    run = batch.run(0, 0)
    run.requests += requests
    return run


async def replies(run: Run) -> Any:
    await run.batch.session.done.wait()  # type: ignore[attr-defined]
    return run.replies


def test_hello_makes_it_ready(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        assert listener.events == [("state", LinkState.READY), ("hello", 3)]
        assert link.hello == HELLO["hello"]
        for state in LinkState:
            shard.send({"state": state.value})
            await listener.until("state", state)

    on_a_link(tmp_path, scene)


def test_one_frame_a_turn_with_the_time_and_answers_in_order(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        runs = [make_run([b"GET", b"%d" % number]) for number in range(3)]
        link.put(runs[0])
        link.put(runs[1])
        assert await shard.frames.get() == [NOW_MS, 0, [[b"GET", b"0"]], 0, [[b"GET", b"1"]]]
        link.put(runs[2])
        assert await shard.frames.get() == [NOW_MS, 0, [[b"GET", b"2"]]]
        shard.send([[b"zero"], [b"one"]])
        shard.send([[b"two"]])
        assert [await replies(run) for run in runs] == [[b"zero"], [b"one"], [b"two"]]

    on_a_link(tmp_path, scene)


def test_a_late_answer_comes_by_its_number(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        runs = [make_run([b"GET", b"%d" % number]) for number in range(5)]
        for run in runs:
            link.put(run)
        shard.send([[b"0"], None, [b"2"], None])
        assert [await replies(runs[0]), await replies(runs[2])] == [[b"0"], [b"2"]]
        shard.send({"late": {3: [b"3"]}})
        assert await replies(runs[3]) == [b"3"]
        assert runs[1].replies is None
        shard.send([[b"4"]])
        shard.send({"late": {1: [b"1"]}})
        assert [await replies(runs[4]), await replies(runs[1])] == [[b"4"], [b"1"]]
        assert not link.late and not link.awaiting

    on_a_link(tmp_path, scene)


def test_death_in_flight(tmp_path: Path) -> None:
    """What was sent may have been done, late or not; what was not sent surely was not. Then it begins anew."""

    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        sent = [make_run([b"INCR", b"n"]) for _ in range(3)]
        for run in sent:
            link.put(run)
        await shard.frames.get()
        shard.send([[b"0"], None])
        assert await replies(sent[0]) == [b"0"]
        unsent = make_run([b"INCR", b"n"], [b"GET", b"n"])
        assert link.transport is not None
        link.transport.abort()
        link.put(unsent)
        await replies(unsent)
        down = b"-SHARDDOWN shard 3 is down, it is being restarted\r\n"
        unknown = b"-SHARDDOWN shard 3 went down, the outcome of this command is unknown\r\n"
        assert [run.replies for run in sent[1:]] == [[unknown], [unknown]]
        assert unsent.replies == [down, down]
        assert link.state is LinkState.DOWN
        listener.events.clear()
        await listener.until("hello", 3)
        assert shard.frames.empty()

    on_a_link(tmp_path, scene)


def test_a_shard_that_comes_back(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        lost = make_run([b"GET", b"k"])
        link.put(lost)
        await shard.frames.get()
        await shard.die()
        await listener.until("state", LinkState.DOWN)
        assert (await replies(lost))[0].endswith(b"unknown\r\n")
        refused = make_run([b"GET", b"k"])
        link.put(refused)
        assert refused.replies[0].endswith(b"it is being restarted\r\n")
        listener.events.clear()
        await shard.start({"hello": {**HELLO["hello"], "state": "loading"}})
        await listener.until("hello", 3)
        assert link.state is LinkState.LOADING
        again = make_run([b"GET", b"k"])
        link.put(again)
        assert await shard.frames.get() == [NOW_MS, 0, [[b"GET", b"k"]]]
        shard.send([None])
        shard.send({"late": {0: [b"first of the new stream"]}})
        assert await replies(again) == [b"first of the new stream"]

    on_a_link(tmp_path, scene)


def test_messages_of_the_router(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        answers: list[Any] = []
        link.tell(["info", 1], answers.append)
        link.tell(["config", {"hz": 10}])
        assert (await shard.frames.get())[2::2] == [[["info", 1]], [["config", {"hz": 10}]]]
        shard.send([[{b"k": 1}], [None]])
        shard.send({"state": "loading"})
        await listener.until("state", LinkState.LOADING)
        assert answers == [{b"k": 1}]
        await shard.die()
        await listener.until("state", LinkState.DOWN)
        link.tell(["info", 2], answers.append)
        assert isinstance(answers[1], RedisError) and "shard 3 is down" in str(answers[1])

    on_a_link(tmp_path, scene)


def test_what_was_slow_is_told_before_its_reply(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        link.tell(["info"])
        run, late = make_run([b"GET", b"a"], [b"GET", b"b"]), make_run([b"GET", b"c"])
        link.put(late)
        link.put(run)
        shard.send([[None], None])
        shard.send({"slow": [[1, 0, 11], [2, 1, 22]]})
        shard.send([[b"a", b"b"]])
        assert await replies(run) == [b"a", b"b"]
        assert listener.events[-2:] == [
            ("slow", late.batch.session, [b"GET", b"c"], 11),
            ("slow", run.batch.session, [b"GET", b"b"], 22),
        ]

    on_a_link(tmp_path, scene)


def test_a_slow_message_is_nobodys_command(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        link.tell(["info"])
        shard.send({"slow": [[0, 0, 11]]})
        shard.send({"latency": [["aof-write", 12]]})
        await listener.until("latency", "aof-write", 12)
        assert not [event for event in listener.events if event[0] == "slow"]

    on_a_link(tmp_path, scene)


def test_a_shard_that_does_not_read(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        shard.reading.clear()
        run = make_run(*[[b"SET", b"k", bytes(1 << 20)] for _ in range((WRITE_BUFFER_BYTES_MAX >> 20) + 4)])
        link.put(run)
        await listener.until("congested", True)
        assert ("congested", False) not in listener.events
        shard.reading.set()
        await listener.until("congested", False)

    on_a_link(tmp_path, scene)


@pytest.mark.parametrize("size", [1, 5])
def test_answers_in_pieces(tmp_path: Path, size: int) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        runs = [make_run([b"GET", b"k"]), make_run([b"GET", b"k"])]
        for run in runs:
            link.put(run)
        data = packer().pack([[b"one"], None]) + packer().pack({"late": {1: [b"two"]}})
        for at in range(0, len(data), size):
            link.data_received(data[at : at + size])
        assert [run.replies for run in runs] == [[b"one"], [b"two"]]

    on_a_link(tmp_path, scene)


def test_it_waits_for_a_shard_that_is_not_there_yet(tmp_path: Path) -> None:
    async def run() -> None:
        listener, shard = Listener(), Shard(str(tmp_path / "s"))
        link = Link(3, shard.path, listener, lambda: NOW_MS)
        connecting = asyncio.ensure_future(link.connect())
        await asyncio.sleep(0)
        await shard.start()
        await connecting
        await listener.until("hello", 3)
        link.close()
        await shard.die()

    on_a_loop(run)


def test_a_closed_link_is_not_made_again(tmp_path: Path) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        link.close()
        await listener.until("state", LinkState.DOWN)
        await asyncio.wait_for(link.connect(), timeout=5)
        assert link.transport is None

    on_a_link(tmp_path, scene)


@pytest.mark.parametrize("size", [LARGE_SIZE_BYTES // 2, 3 * LARGE_SIZE_BYTES])
@pytest.mark.parametrize("piece_bytes", [100_001, 1 << 18, 1 << 30])
def test_large_answers_in_pieces_give_their_room_back(tmp_path: Path, size: int, piece_bytes: int) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        kinds: list[Any] = [[bytes(size), b"small"], [b":1\r\n"] * (size // 8), [b"small"]]
        runs = [make_run(*[[b"GET", b"k"]] * len(answer)) for answer in kinds * 2]
        for run in runs:
            link.put(run)
        data = b"".join(packer().pack([answer]) for answer in kinds * 2)
        for at in range(0, len(data), piece_bytes):
            link.data_received(data[at : at + piece_bytes])
        assert [await replies(run) for run in runs] == kinds * 2
        assert link.stream.fed == link.stream.mark
        if piece_bytes < 1 << 20 < size:
            assert link.stream.fed < size  # Another unpacker took the place of the one that had grown.

    on_a_link(tmp_path, scene)


@pytest.mark.parametrize("size", [LARGE_SIZE_BYTES - 1, LARGE_SIZE_BYTES])
def test_what_is_large_goes_out_as_it_is(tmp_path: Path, size: int) -> None:
    async def scene(link: Link, shard: Shard, listener: Listener) -> None:
        for large in (True, False):
            link.large = large
            link.put(make_run([b"SET", b"k", bytes(size)], [b"GET", b"k"]))
            link.put(make_run([b"PING"]))
            expected = [NOW_MS, 0, [[b"SET", b"k", bytes(size)], [b"GET", b"k"]], 0, [[b"PING"]]]
            assert await shard.frames.get() == expected
            assert not link.large

    on_a_link(tmp_path, scene)
