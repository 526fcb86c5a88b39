"""`shardis export FILE.rdb`, key by key: what real servers load, what is refused, and runs that are interrupted."""

import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from common.cursor import cursor_of
from tests.reference import RedisServer, Reference
from tests.resp_client import Client
from tests.servers import Server, Shardis
from tests.transfers import (
    Ending,
    Given,
    ask,
    assert_same,
    batch,
    digest,
    end,
    exported,
    fill,
    keys_of,
    populate,
    run,
    run_apart,
    state_of,
    unfinished,
    url,
)
from transfer.faults import Stopped
from transfer.progress import Progress
from transfer.server import Server as Connection
from transfer.server_source import ServerSource
from transfer.state import StateFile
from transfer.to_file import FileTarget, Once, export, resume

Start = Callable[[Server], Server]

KEYS = 3000


@pytest.fixture
def source(target: Shardis, there: Client) -> Shardis:
    """It has keys of all types."""
    fill(there)
    return target


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is saved whenever it can be."""
    monkeypatch.setattr("transfer.state.SAVED_EVERY_S", 0)


def loading(kind: type[Server], file: Path, folder: Path) -> Server:
    """A server that loads the file when it starts."""
    folder.mkdir()
    shutil.copy(file, folder / "dump.rdb")
    return kind(folder)


def test_a_server_loads_it(start: Start, source: Shardis, there: Client, tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    done = run("export", file, "--from", url(source), "--scan")
    assert (done.status, done.err) == (0, "")
    size = ask(there, "DBSIZE")
    assert done.out.startswith(f"db 0: {size} keys read, {size} written\ndb 2: ")
    with start(loading(Reference, file, tmp_path / "folder")).connect() as client:
        assert_same(client, there)
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["dump.rdb"]


def test_there_and_back(
    source: Shardis, there: Client, reference: Reference, reference_client: Client, tmp_path: Path
) -> None:
    """Of a server that is no Shardis, and back into one."""
    fill(reference_client)
    file = tmp_path / "dump.rdb"
    assert run("export", file, "--from", url(reference)).status == 0
    assert run("import", file, "--to", url(source), "--replace").status == 0
    assert_same(reference_client, there)


@pytest.mark.skipif(not RedisServer.is_installed(), reason="needs a redis-server")
def test_of_an_older_server(start: Start, tmp_path: Path) -> None:
    with start(RedisServer()).connect() as redis:
        fill(redis, fields_with_times=False)
        file = tmp_path / "dump.rdb"
        assert run("export", file, "--from", f"redis://127.0.0.1:{redis.socket.getpeername()[1]}").status == 0
        with start(loading(Reference, file, tmp_path / "folder")).connect() as client:
            assert_same(client, redis)


def test_one_db_only(start: Start, source: Shardis, tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    done = run("export", file, "--from", url(source), "--db", 2)
    assert done.status == 0
    assert done.out.startswith("db 2: ")
    with start(loading(Reference, file, tmp_path / "folder")).connect() as client:
        assert ask(client, "DBSIZE") == 0


def test_a_file_that_exists_is_left_alone(source: Shardis, tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    file.write_bytes(b"mine")
    done = run("export", file, "--from", url(source))
    assert (done.status, done.err) == (1, f"shardis export: {file} exists: --replace overwrites it\n")
    assert file.read_bytes() == b"mine"
    assert run("export", file, "--from", url(source), "--replace").status == 0
    assert file.read_bytes().startswith(b"VALKEY080")


def test_a_file_that_is_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    with FileTarget(file, Progress(), replace=False) as target:
        target.begin()
        file.write_bytes(b"mine")
        with pytest.raises(Stopped, match="exists"):
            target.finish({})
    assert file.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [file]


def test_what_does_not_say_what_was_put_gets_no_name(tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    with FileTarget(file, Progress(), replace=False) as target:
        target.begin()
        target.put(0, b"k", 0, b"\1v", -1)
        with pytest.raises(Stopped, match="read back"):
            target.finish({0: 2})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "none/dump.rdb"])
def test_places_where_no_file_can_be(source: Shardis, tmp_path: Path, name: str) -> None:
    done = run("export", tmp_path / name, "--from", url(source))
    assert (done.status, done.err.count("\n")) == (1, 1)


def test_an_empty_server(start: Start, reference: Reference, reference_client: Client, tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    done = run("export", file, "--from", url(reference))
    assert (done.status, done.out) == (0, "no keys\n")
    with start(loading(Reference, file, tmp_path / "folder")).connect() as client:
        assert digest(client) == digest(reference_client)


def test_a_key_is_written_once() -> None:
    for in_slot_order in (False, True):
        once = Once(in_slot_order)
        once.pass_on([0, 0])
        assert [once.is_new(0, key) for key in (b"a", b"b", b"a")] == [True, True, False]
        once.pass_on([0, cursor_of(5, 3)])
        assert not once.is_new(0, b"b")
        once.pass_on([0, cursor_of(6, 0)])
        assert once.is_new(0, b"b") is in_slot_order
        once.pass_on([0, cursor_of(6, 0)])
        assert not once.is_new(0, b"b")
        assert once.is_new(1, b"b")
        once.pass_on([1, 0])
        once.pass_on([2, 0])
        assert once.is_new(2, b"b")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("kind", ["shardis", "reference"])
def test_it_is_interrupted_again_and_again_and_goes_on(
    start: Start, target: Shardis, there: Client, reference: Reference, reference_client: Client, tmp_path: Path,
    kind: str, number: signal.Signals,
) -> None:  # fmt: skip
    server, client = (target, there) if kind == "shardis" else (reference, reference_client)
    fill(client)
    populate(client, KEYS)
    file = tmp_path / "dump.rdb"
    argv: list[object] = [file, "--from", url(server), "--scan"]
    state = state_of(file)
    sent = 0
    for step in (12, 13, 14, 15, 16):
        done = run_apart(*argv, step=step, number=number)
        assert done.status == (-number if number is signal.SIGKILL else 1), done
        if number is not signal.SIGKILL:
            assert done.err == (
                f"shardis export: interrupted. What was written is noted in {state.path}: "
                "the same command with --resume goes on\n"
            )
        noted = state.load()
        assert noted.written is not None
        assert unfinished(file).stat().st_size >= noted.written.size_bytes
        assert sent < (sent := sum(each.sent for each in noted.tallies.values())) < KEYS
        argv = [file, "--from", url(server), "--scan", "--resume"]
    done = run_apart(*argv)
    size = ask(client, "DBSIZE")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"db 0: {size:,} keys read, {size:,} written\ndb 2: ")
    assert list(tmp_path.iterdir()) == [file]
    with start(loading(Reference, file, tmp_path / "folder")).connect() as copy:
        assert_same(copy, client)


@pytest.mark.parametrize("options", [[], ["--replace"]])
def test_it_is_killed_before_any_step_and_once_more_when_it_goes_on(
    source: Shardis, tmp_path: Path, options: list[str]
) -> None:
    whole, file = tmp_path / "whole.rdb", tmp_path / "dump.rdb"
    lines = run("export", whole, "--from", url(source), "--scan").out
    argv: list[object] = [file, "--from", url(source), "--scan", *options]
    step = killed = 0
    while step == killed:
        step += 1
        if options:
            file.write_bytes(b"old")
        if run_apart(*argv, eager=False, step=step).status == -signal.SIGKILL:
            killed += 1
        began = state_of(file).path.exists()
        assert not options or file.read_bytes() == b"old" or keys_of(file)
        if began:
            assert run_apart(*argv, "--resume", eager=False, step=step).status in (0, -signal.SIGKILL)
        if state_of(file).path.exists():
            done = run("export", *argv, "--resume")
            assert (done.status, done.out, done.err) == (0, lines, "")
        elif not began and killed == step:
            assert "there is nothing to resume" in run("export", *argv, "--resume").err
            assert run("export", *argv).status == 0
        assert keys_of(file) == keys_of(whole)
        assert sorted(tmp_path.iterdir()) == [file, whole]
        file.unlink()
    assert killed >= 12


@pytest.mark.parametrize("kind", ["shardis", "reference"])
@pytest.mark.usefixtures("eager")
def test_it_goes_on_behind_any_batch(
    target: Shardis, there: Client, reference: Reference, reference_client: Client, tmp_path: Path, kind: str
) -> None:
    server, client = (target, there) if kind == "shardis" else (reference, reference_client)
    fill(client)
    populate(client, KEYS // 4)
    with closing(Connection(url(server))) as connection:
        lines = exported(ServerSource(connection), tmp_path / "whole.rdb")
        keys = keys_of(tmp_path / "whole.rdb")
        count = sum(1 for _ in ServerSource(connection).batches([]))
        assert count > 10
        for number in range(count):
            file = tmp_path / f"{number}.rdb"
            with pytest.raises(Stopped, match="it ended. What was written is noted in .*: the same command with --res"):
                exported(Ending(connection, number, end), file)
            assert resume(ServerSource(connection), file, Progress(), replace=False) == lines
            assert keys_of(file) == keys


@pytest.mark.parametrize("fault", [Stopped("it ended"), KeyboardInterrupt()])
@pytest.mark.parametrize("in_slot_order", [False, True])
@pytest.mark.usefixtures("eager")
def test_a_key_that_is_named_twice_is_written_once_whenever_it_stops(
    tmp_path: Path, in_slot_order: bool, fault: BaseException
) -> None:
    batches = [batch(0, 0, "z"), batch(0, cursor_of(5, 1), "a", "b"), batch(0, cursor_of(5, 2), "b", "c")]
    batches += [batch(0, cursor_of(5, 3), "a", "d"), batch(1, cursor_of(5, 3), "a", "b"), batch(1, 7, "b", "c")]
    for until in range(len(batches)):
        file = tmp_path / f"{until}.rdb"
        with pytest.raises(Stopped, match="interrupted|it ended"):
            exported(Given(batches, until=until, fault=fault, in_slot_order=in_slot_order), file)
        found = resume(Given(batches, in_slot_order=in_slot_order), file, Progress(), replace=False)
        assert found == ["db 0: 7 keys read, 5 written", "db 1: 4 keys read, 3 written"]
        assert keys_of(file) == [(0, b"a"), (0, b"b"), (0, b"c"), (0, b"d"), (0, b"z"), (1, b"a"), (1, b"b"), (1, b"c")]


@pytest.mark.parametrize("kind", ["shardis", "reference"])
@pytest.mark.usefixtures("eager")
def test_a_server_that_names_keys_once_more_than_before(
    start: Start, target: Shardis, there: Client, reference: Reference, reference_client: Client, tmp_path: Path,
    kind: str,
) -> None:  # fmt: skip
    """A table that shrinks makes a reference do that, and a wide slot that is none any more a Shardis."""
    server, client = (target, there) if kind == "shardis" else (reference, reference_client)
    populate(client, KEYS, "{tag}:%d")
    file = tmp_path / "dump.rdb"
    with closing(Connection(url(server))) as connection:
        batches = list(ServerSource(connection).batches([]))
        # The highest of cursors is one in the middle of what will be one bucket: Redis counts their upper bits first.
        last = max(range(4, len(batches) - 4), key=lambda number: batches[number].position)
        with pytest.raises(Stopped):
            exported(Ending(connection, last + 1, end), file)
        sent = state_of(file).load().tallies[0].sent
        removed = [entry.key for each in batches[:last] + batches[last + 2 :] for entry in each.entries]
        for key in removed:
            client.send("DEL", key)
        client.read_many(len(removed))
        if kind == "shardis":
            ask(client, "DEBUG", "RELOAD")
        (line,) = resume(ServerSource(connection), file, Progress(), replace=False)
    written = sent + len(batches[last + 1].entries)
    assert line.endswith(f" {written:,} written")
    assert not line.startswith(f"db 0: {written:,} ")  # More were read.
    assert len(keys_of(file)) == len(set(keys_of(file))) == written
    with start(loading(Reference, file, tmp_path / "folder")).connect() as copy:
        assert ask(copy, "DBSIZE") == written


@pytest.mark.usefixtures("eager")
def test_the_source_dies_and_the_export_goes_on_when_it_is_back(start: Start, tmp_path: Path) -> None:
    server = start(Shardis(shards=2, appendfsync="always", enable_debug_command="yes"))
    with server.connect() as client:
        fill(client)
        populate(client, KEYS // 4)
        before = digest(client)
    file = tmp_path / "dump.rdb"
    with closing(Connection(url(server))) as connection, pytest.raises(Stopped, match="is gone.*--resume goes on"):
        exported(Ending(connection, 4, server.stop), file)
    server.launch()
    server.wait_ready()
    done = run("export", file, "--from", url(server), "--resume")
    assert (done.status, done.err) == (0, "")
    with start(loading(Reference, file, tmp_path / "folder")).connect() as copy:
        assert digest(copy) == before


def test_the_disk_is_full_and_the_export_goes_on_when_there_is_room(
    start: Start, source: Shardis, there: Client, tmp_path: Path
) -> None:
    file = tmp_path / "dump.rdb"
    argv: list[object] = [file, "--from", url(source), "--scan"]
    for size_bytes_max in (10_000, 20_000, 30_000):
        done = run_apart(*argv, size_bytes_max=size_bytes_max)
        assert (done.status, done.err) == (
            1,
            f"shardis export: {unfinished(file)}: File too large. What was written is noted in {state_of(file).path}: "
            "the same command with --resume goes on\n",
        )
        argv = [file, "--from", url(source), "--scan", "--resume"]
    assert run("export", *argv).status == 0
    with start(loading(Reference, file, tmp_path / "folder")).connect() as copy:
        assert_same(copy, there)


@pytest.fixture
def half(source: Shardis, tmp_path: Path, eager: None) -> Path:
    """A file that is not finished, of the source."""
    file = tmp_path / "dump.rdb"
    with closing(Connection(url(source))) as connection, pytest.raises(Stopped):
        exported(Ending(connection, 4, end), file)
    return file


def test_without_resume_it_is_begun_anew_and_that_is_said(source: Shardis, half: Path) -> None:
    for options in (["--scan"], []):
        shutil.copy(unfinished(half), half.with_name("kept"))
        shutil.copy(state_of(half).path, half.with_name("kept state"))
        done = run("export", half, "--from", url(source), *options)
        assert (done.status, done.err) == (
            0,
            f"begun anew: what an interrupted run has written is dropped ({state_of(half).path} was there: "
            "--resume would have gone on)\n",
        )
        half.unlink()
        half.with_name("kept").rename(unfinished(half))
        half.with_name("kept state").rename(state_of(half).path)


def test_nothing_to_resume(source: Shardis, tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    for options in ([], ["--scan"]):
        done = run("export", file, "--from", url(source), "--resume", *options)
        assert (done.status, done.err) == (
            1,
            f"shardis export: there is nothing to resume: no file {state_of(file).path}\n",
        )
    assert not list(tmp_path.iterdir())


def test_another_source(source: Shardis, reference: Reference, half: Path) -> None:
    before = {path: path.read_bytes() for path in half.parent.iterdir()}
    for options in (["--from", url(reference)], ["--from", url(source), "--db", 0]):
        done = run("export", half, "--resume", *options)
        assert (done.status, "or other --db are asked for: begin anew" in done.err) == (1, True)
    assert {path: path.read_bytes() for path in half.parent.iterdir()} == before
    assert run("export", half, "--from", url(source), "--resume").status == 0


def test_a_file_that_is_not_what_was_written(source: Shardis, half: Path) -> None:
    def refusal(data: bytes) -> str:
        unfinished(half).write_bytes(data)
        done = run("export", half, "--from", url(source), "--resume")
        assert (done.status, done.err.count("\n"), done.out) == (1, 1, "")
        assert not half.exists()
        return done.err

    data = unfinished(half).read_bytes()
    assert refusal(data[:-10]).endswith("lacks 10 of its bytes: begin anew\n")
    assert "lacks" in refusal(b"")
    for at in range(0, len(data), len(data) // 20):
        assert refusal(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]).endswith(": begin anew\n")
    unfinished(half).unlink()
    assert "is gone: begin anew" in run("export", half, "--from", url(source), "--resume").err
    unfinished(half).write_bytes(data + b"more")
    state = state_of(half).load()
    state.tallies[0].sent += 1
    state_of(half).save(state)
    assert "were written: begin anew" in run("export", half, "--from", url(source), "--resume").err
    state.tallies[0].sent -= 1
    state_of(half).save(state)
    assert run("export", half, "--from", url(source), "--resume").status == 0


def test_a_name_that_is_taken_meanwhile(source: Shardis, half: Path) -> None:
    half.write_bytes(b"mine")
    done = run("export", half, "--from", url(source), "--resume")
    assert (done.status, done.err) == (1, f"shardis export: {half} exists: --replace overwrites it\n")
    assert half.read_bytes() == b"mine"
    assert run("export", half, "--from", url(source), "--resume", "--replace").status == 0
    assert list(half.parent.iterdir()) == [half]


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_two_at_a_time(source: Shardis, half: Path, options: list[str]) -> None:
    """The other one may stand still, too."""
    written = state_of(half).load().written
    before = {path: path.read_bytes() for path in half.parent.iterdir()}
    with FileTarget(half, Progress(), replace=False, written=written):
        done = run("export", half, "--from", url(source), *options)
    assert (done.status, done.err) == (1, f"shardis export: {unfinished(half)} is being written by another run\n")
    assert {path: path.read_bytes() for path in half.parent.iterdir()} == before
    assert run("export", half, "--from", url(source), *options).status == 0


def test_a_state_that_can_not_be_saved_is_said_once(tmp_path: Path, eager: None) -> None:
    said: list[str] = []

    class Telling(Progress):
        def say(self, line: str) -> None:
            said.append(line)

    file = tmp_path / "dump.rdb"
    batches = [batch(0, 0, "a"), batch(1, 0, "b")]
    with (
        pytest.raises(Stopped, match="^it ended$"),
        FileTarget(file, Telling(), replace=False) as target,
    ):
        target.state_file = StateFile(tmp_path / "none" / "state")
        export(Given(batches, until=1), target, Progress())
    assert (len(said), "can't be resumed" in said[0]) == (1, True)
    assert not list(tmp_path.iterdir())
