"""`shardis export FILE.rdb` of a Shardis on this machine: the state of one moment, by its own BGSAVE."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reference import Reference
from tests.resp_client import Client
from tests.servers import Server, Shardis
from tests.transfers import ask, assert_same, fill, run, url

Start = Callable[[Server], Server]


@pytest.fixture
def source(target: Shardis, there: Client) -> Shardis:
    """It has keys of all types."""
    fill(there)
    return target


def test_what_the_server_saves_is_copied(start: Start, source: Shardis, there: Client, tmp_path: Path) -> None:
    file = tmp_path / "copy.rdb"
    done = run("export", file, "--from", url(source))
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"db 0: {ask(there, 'DBSIZE')} keys written, as they were at one moment\n")
    assert file.read_bytes() == (source.folder / "dump.rdb").read_bytes()
    assert list(tmp_path.iterdir()) == [file]
    folder = tmp_path / "folder"
    folder.mkdir()
    file.rename(folder / "dump.rdb")
    with start(Reference(folder)).connect() as client:
        assert_same(client, there)


@pytest.mark.parametrize("options", [["--db", "0"], ["--scan"]])
def test_not_with_options_that_want_single_keys(
    source: Shardis, there: Client, tmp_path: Path, options: list[str]
) -> None:
    done = run("export", tmp_path / "file.rdb", "--from", url(source), *options)
    assert (done.status, "keys read" in done.out) == (0, True)


def test_a_file_that_the_server_can_not_save(start: Start, tmp_path: Path) -> None:
    server = start(Shardis(dbfilename="other.rdb"))
    (server.folder / "other.rdb").mkdir()
    with server.connect() as client:
        ask(client, "SET", "k", "v")
    done = run("export", tmp_path / "file.rdb", "--from", url(server))
    assert (done.status, done.out) == (0, "db 0: 1 keys read, 1 written\n")
    assert done.err.startswith("no state of one moment, the keys are read one by one: the server could not save")
    assert done.err.count("\n") == 1


def test_into_the_servers_own_file(source: Shardis, there: Client) -> None:
    done = run("export", source.folder / "dump.rdb", "--from", url(source), "--replace")
    assert (done.status, "is the server's own" in done.err) == (0, True)
