"""`shardis export FILE.rdb`, key by key: what real servers load, and what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from common.cursor import cursor_of
from tests.reference import RedisServer, Reference
from tests.resp_client import Client
from tests.servers import Server, Shardis
from tests.transfers import ask, assert_same, digest, fill, run, url
from transfer.faults import Stopped
from transfer.progress import Progress
from transfer.to_file import FileTarget, Once

Start = Callable[[Server], Server]


@pytest.fixture
def source(target: Shardis, there: Client) -> Shardis:
    """It has keys of all types."""
    fill(there)
    return target


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
    with FileTarget(file, replace=False) as target:
        target.begin()
        file.write_bytes(b"mine")
        with pytest.raises(Stopped, match="exists"):
            target.finish({}, Progress())
    assert file.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [file]


def test_what_does_not_say_what_was_put_gets_no_name(tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    with FileTarget(file, replace=False) as target:
        target.begin()
        target.put(0, b"k", 0, b"\1v", -1)
        with pytest.raises(Stopped, match="read back"):
            target.finish({0: 2}, Progress())
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


def test_a_file_is_not_resumed(source: Shardis, tmp_path: Path) -> None:
    assert run("export", tmp_path / "dump.rdb", "--from", url(source), "--resume").status == 2


def test_a_key_is_written_once() -> None:
    for in_slot_order in (False, True):
        once = Once(in_slot_order=in_slot_order)
        once.pass_on([0, 0])
        assert [once.is_new(key) for key in (b"a", b"b", b"a")] == [True, True, False]
        once.pass_on([0, cursor_of(5, 3)])
        assert not once.is_new(b"b")
        once.pass_on([0, cursor_of(6, 0)])
        assert once.is_new(b"b") is in_slot_order
        once.pass_on([1, 0])
        assert once.is_new(b"a")
