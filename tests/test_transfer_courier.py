"""Transfers that are interrupted, by whatever, and go on; and what is said when keys are in the way or not taken."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, cast

import psutil  # type: ignore[import-untyped]
import pytest

from tests.bench.processes import roles
from tests.process_ends import wait_ended
from tests.reference import Reference
from tests.resp_client import Client, encode_command
from tests.servers import ROOT, STOP_TIMEOUT_S, Server, Shardis
from tests.transfers import Done, ask, command, digest, run, url
from transfer.batches import NO_TIME, Batch, Entry, Position
from transfer.courier import Courier, Source, shown
from transfer.courier import __file__ as courier_file
from transfer.faults import Incomplete, Stopped
from transfer.payloads import sealed
from transfer.progress import Progress
from transfer.server import Server as Connection
from transfer.state import State, StateFile
from transfer.to_server import Wishes, transfer

Start = Callable[[Server], Server]

KEYS = 3000
COUNTERS = 50
INCREMENTS = 6000


@pytest.fixture
def connection(target: Shardis, there: Client) -> Iterator[Connection]:
    server = Connection(url(target))
    yield server
    server.close()


@pytest.fixture
def source(reference: Reference, reference_client: Client) -> Reference:
    for number in range(KEYS):
        reference_client.send("SET", f"key:{number}", "v" * 20)
    reference_client.read_many(KEYS)
    ask(reference_client, "SAVE")
    return reference


def counting_log(path: Path) -> Path:
    """Commands that must not be done twice."""
    words = [["INCR", f"n:{number % COUNTERS}"] for number in range(INCREMENTS)]
    path.write_bytes(b"".join(map(encode_command, words)))
    return path


def interrupted(
    client: Client, argv: list[object], enough: int, number: signal.Signals, cwd: Path, *, asks_size: bool = True
) -> Done:
    """A process of its own, ended by a signal once the target has so many keys, or its counter `n:0` that number."""
    process = subprocess.Popen(
        command(*argv),
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    asked = ["DBSIZE"] if asks_size else ["GET", "n:0"]
    while int(client.call(*asked) or 0) < enough and process.poll() is None:
        pass
    process.send_signal(number)
    out, err = process.communicate()
    return Done(process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["file", "server"])
def test_the_import_is_killed_and_goes_on(
    source: Reference, reference_client: Client, target: Shardis, there: Client, tmp_path: Path, kind: str,
    number: signal.Signals,
) -> None:  # fmt: skip
    path = tmp_path / "dump.rdb"
    path.write_bytes((source.folder / "dump.rdb").read_bytes())
    argv = ["import", path if kind == "file" else url(source), "--to", url(target)]
    done = interrupted(there, argv, KEYS // 3, number, tmp_path)
    if number is signal.SIGKILL:
        assert done.status == -signal.SIGKILL
    else:
        assert done.status == 1
        assert "interrupted. What has arrived is noted in " in done.err
        assert done.err.rstrip().endswith("--resume goes on")
    (state,) = [each for each in tmp_path.iterdir() if each != path]
    noted = json.loads(state.read_text())
    sent = noted["tallies"]["0"]["sent"] if noted["position"] else 0
    assert sent <= ask(there, "DBSIZE") < KEYS
    assert sent or number is signal.SIGKILL
    done = run(*argv, cwd=tmp_path)
    assert (done.status, "--resume goes on with what was interrupted" in done.err) == (1, True)
    done = run(*argv, "--resume", cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert f"{KEYS:,} sent, {KEYS:,} there" in done.out
    assert digest(there) == digest(reference_client)
    assert not state.exists()


class Willing:
    """A server that takes whatever it is sent."""

    name = "willing"

    def send(self, commands: list[Any]) -> None:
        pass

    def receive(self, count: int) -> list[Any]:
        return [b"OK"] * count


class Short:
    """A source of one key a batch."""

    def batches(self, position: Position) -> Iterator[Batch]:
        for number in range(*(position or [0]), 4):
            yield Batch(entries=[Entry(b"%d" % number, b"", NO_TIME)], read=1, position=[number + 1])


def test_an_interrupt_anywhere_leaves_a_position_with_its_tallies(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state")
    lines = place = 0
    interrupted = True

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != courier_file or frame.f_code.co_name == "__init__":
            return None
        if event == "line":
            lines += 1
            if lines == place:
                raise KeyboardInterrupt
        return trace

    while interrupted:
        lines, place, interrupted = 0, place + 1, False
        courier = Courier(cast(Connection, Willing()), State({}, "willing"), file, Progress(), replace=False)
        sys.settrace(trace)
        try:
            courier.carry(cast(Source, Short()))
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(None)
        if file.path.exists():
            saved = file.load()
            assert sum(tally.sent for tally in saved.tallies.values()) == sum(saved.position), place
    assert place > 50
    assert courier.state.position == [4]


def test_commands_are_done_once_however_often_it_is_killed(target: Shardis, there: Client, tmp_path: Path) -> None:
    path = counting_log(tmp_path / "appendonly.aof")
    argv: list[object] = ["import", path, "--to", url(target)]
    for number in (1, 2, 3):
        done = interrupted(there, argv, number * INCREMENTS // COUNTERS // 5, signal.SIGKILL, tmp_path, asks_size=False)
        assert done.status == -signal.SIGKILL
        argv = ["import", path, "--to", url(target), "--resume"]
    done = run(*argv)
    assert (done.status, done.out) == (0, f"{INCREMENTS:,} commands of the log done; keys there: db 0: {COUNTERS}\n"), (
        done
    )
    assert [ask(there, "GET", f"n:{number}") for number in range(COUNTERS)] == [
        b"%d" % (INCREMENTS // COUNTERS)
    ] * COUNTERS
    assert ask(there, "DBSIZE") == COUNTERS
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_run_that_is_not_dead_brings_nothing_more(target: Shardis, there: Client, tmp_path: Path) -> None:
    """It stands still in the middle while another one goes on and comes to the end."""
    path = counting_log(tmp_path / "appendonly.aof")
    argv = ["import", path, "--to", url(target)]
    with subprocess.Popen(
        command(*argv), cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    ) as process:
        while int(there.call("GET", "n:0") or 0) < 20:
            pass
        process.send_signal(signal.SIGSTOP)
        done = run(*argv, "--resume")
        assert done.status == 0, done
        process.send_signal(signal.SIGCONT)
        err = process.communicate()[1]
    assert (process.returncode, err.count("\n")) == (1, 1)
    counts = [ask(there, "GET", f"n:{number}") for number in range(COUNTERS)]
    assert counts == [b"%d" % (INCREMENTS // COUNTERS)] * COUNTERS


def test_commands_that_the_target_has_lost(target: Shardis, there: Client, tmp_path: Path) -> None:
    path = counting_log(tmp_path / "appendonly.aof")
    argv: list[object] = ["import", path, "--to", url(target)]
    interrupted(there, argv, INCREMENTS // COUNTERS // 3, signal.SIGTERM, tmp_path, asks_size=False)
    while b"name=shardis-import:" in there.call("CLIENT", "LIST"):
        pass  # What it had on its way has been done or dropped.
    ask(there, "FLUSHALL")
    done = run(*argv, "--resume")
    assert (done.status, "has lost what was imported: begin anew, with --flush" in done.err) == (1, True)
    assert run(*argv).status == 0


@pytest.mark.parametrize("kind", ["file", "log"])
def test_the_target_dies_and_the_import_goes_on_when_it_is_back(
    start: Start, source: Reference, reference_client: Client, tmp_path: Path, kind: str
) -> None:
    server = start(Shardis(shards=2, appendfsync="always", enable_debug_command="yes"))
    path = counting_log(tmp_path / "appendonly.aof") if kind == "log" else source.folder / "dump.rdb"
    argv = ["import", path, "--to", url(server)]
    process = subprocess.Popen(
        command(*argv), cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    with server.connect() as client:
        while max(int(client.call("GET", "n:0") or 0), client.call("DBSIZE")) < COUNTERS + 20:
            pass
    processes = [psutil.Process(pid) for pid in roles(server).values()]
    for each in processes:
        each.kill()
    err = process.communicate()[1]
    server.stop()
    wait_ended(processes, STOP_TIMEOUT_S)
    assert process.returncode == 1
    assert err.count("\n") == 1
    assert "is gone" in err
    assert err.rstrip().endswith("--resume goes on")
    server.launch()
    server.wait_ready()
    assert run(*argv, "--resume").status == 0
    with server.connect() as client:
        if kind == "log":
            counts = [ask(client, "GET", f"n:{number}") for number in range(COUNTERS)]
            assert counts == [b"%d" % (INCREMENTS // COUNTERS)] * COUNTERS
        else:
            assert digest(client) == digest(reference_client)


def test_nothing_to_resume_and_another_source(
    source: Reference, target: Shardis, there: Client, tmp_path: Path
) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes((source.folder / "dump.rdb").read_bytes())
    argv = ["import", path, "--to", url(target), "--resume"]
    assert "nothing to resume" in run(*argv).err
    interrupted(there, argv[:-1], KEYS // 3, signal.SIGKILL, tmp_path)
    assert "is about a transfer to" in run("import", path, "--to", f"redis://localhost:{target.port}", "--resume").err
    assert "or other --db are asked for" in run(*argv, "--db", 0).err
    path.write_bytes(path.read_bytes())
    done = run(*argv)
    assert (done.status, "is another than it was" in done.err) == (1, True)
    assert run("import", path, "--to", url(target), "--replace").status == 0  # Which begins anew.
    assert ask(there, "DBSIZE") == KEYS


def test_a_source_that_was_restarted(start: Start, target: Shardis, there: Client, tmp_path: Path) -> None:
    """Its cursors meant a place in a table that is gone."""
    server = start(Reference())
    with server.connect() as client:
        ask(client, "DEBUG", "POPULATE", KEYS)
        ask(client, "SAVE")
    argv: list[object] = ["import", url(server), "--to", url(target)]
    interrupted(there, argv, KEYS // 3, signal.SIGKILL, tmp_path)
    server.stop()
    server.launch()
    server.wait_ready()
    done = run(*argv, "--resume", cwd=tmp_path)
    assert (done.status, "was started anew since" in done.err) == (1, True)


class Given:
    """A source of batches that are given, which may end with a fault."""

    name = "given"
    unit = "keys"
    total = 0
    replayed = False

    def __init__(self, *batches: Batch, fault: Exception | None = None) -> None:
        self.identity: dict[str, Any] = {"given": len(batches)}
        self._batches = batches
        self._fault = fault

    def check(self, progress: Progress) -> None:
        """It is sound."""

    def batches(self, position: Position) -> Iterator[Batch]:
        first = position[0] if position else 0
        for number in range(first, len(self._batches)):
            yield self._batches[number]
        if self._fault is not None:
            raise self._fault


def batch(number: int, *keys: str, kind: int = 0, at_ms: int = NO_TIME) -> Batch:
    """Strings, of one digit."""
    made = Batch(read=len(keys), done=len(keys), position=[number])
    for key in keys:
        made.add(Entry(key.encode(), sealed(kind, b"\1%d" % (number % 10)), at_ms))
    return made


def test_a_key_that_scan_names_twice_is_none_too_many(connection: Connection, there: Client, tmp_path: Path) -> None:
    source = Given(batch(1, "a", "b"), batch(2, "b", "c"))
    (line,) = transfer(source, connection, tmp_path / "state", Wishes(), Progress())
    assert line == "db 0: 4 keys read, 3 sent, 3 there"
    assert ask(there, "GET", "b") == b"1"


def test_keys_that_somebody_else_made_meanwhile_are_not_overwritten(
    connection: Connection, there: Client, tmp_path: Path
) -> None:
    class Slow(Given):
        def check(self, progress: Progress) -> None:
            ask(there, "SET", "b", "mine")

    source = Slow(batch(1, "a", "b"))
    with pytest.raises(Incomplete, match="1 keys were there already and have not been overwritten"):
        transfer(source, connection, tmp_path / "state", Wishes(), Progress())
    assert ask(there, "GET", "b") == b"mine"


def test_a_value_that_is_refused_is_named_and_the_others_go_on(
    connection: Connection, there: Client, tmp_path: Path
) -> None:
    said: list[str] = []

    class Telling(Progress):
        def say(self, line: str) -> None:
            said.append(line)

    source = Given(batch(1, "a", "b"), batch(2, "bad", kind=2), batch(3, "c"))
    with pytest.raises(Incomplete, match="db 0: 1 keys were not transferred") as incomplete:
        transfer(source, connection, tmp_path / "state", Wishes(), Telling())
    assert incomplete.value.lines == ["db 0: 4 keys read, 3 sent, 3 there, 1 not transferred"]
    assert said == ["not transferred: db 0, key 'bad': Bad data format"]
    assert ask(there, "DBSIZE") == 3


def test_the_position_is_that_of_what_has_arrived(target: Shardis, there: Client, tmp_path: Path) -> None:
    connection = Connection(url(target))
    batches = [batch(number, *(f"{number}:{each}" for each in range(128))) for number in range(1, 9)]
    source = Given(*batches, fault=Stopped("it ended"))
    with pytest.raises(Stopped, match="it ended. What has arrived is noted in .*state: the same command with --resume"):
        transfer(source, connection, tmp_path / "state", Wishes(), Progress())
    state = StateFile(tmp_path / "state").load()
    (place,) = state.position
    assert place >= 6  # At most two batches were under way.
    assert state.tallies[0].sent == 128 * place
    connection.close()
    connection = Connection(url(target))
    lines = transfer(Given(*batches), connection, tmp_path / "state", Wishes(resume=True), Progress())
    assert lines == ["db 0: 1,024 keys read, 1,024 sent, 1,024 there"]
    connection.close()


def test_a_server_that_refuses_all_stops_it(connection: Connection, there: Client, tmp_path: Path) -> None:
    source = Given(Batch(db=99, read=1, entries=batch(1, "a").entries))
    with pytest.raises(Stopped, match="refuses db 99: DB index is out of range"):
        transfer(source, connection, tmp_path / "state", Wishes(), Progress())


def test_a_state_that_can_not_be_written_is_said_once(connection: Connection, there: Client, tmp_path: Path) -> None:
    said: list[str] = []

    class Telling(Progress):
        def say(self, line: str) -> None:
            said.append(line)

    source = Given(batch(1, "a"), batch(2, "b"))
    transfer(source, connection, tmp_path / "none" / "state", Wishes(), Telling())
    assert len(said) == 1
    assert "can't be resumed if it is interrupted" in said[0]


def test_a_key_in_a_line_of_text() -> None:
    assert shown(b"a\n\xff") == r"'a\n\xff'"
    assert shown(b"x" * 81) == f"'{'x' * 80}'..."
