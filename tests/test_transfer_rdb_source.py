"""`shardis import FILE.rdb`: files of the reference and of Redis, whole, damaged, and where they must not go."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reference import RedisServer, Reference
from tests.resp_client import Client
from tests.servers import Server, Shardis
from tests.transfers import KEYS, ask, assert_same, digest, fill, run, times, url
from transfer.faults import Stopped
from transfer.progress import Progress
from transfer.rdb_source import RdbSource, may_have_commands

Start = Callable[[Server], Server]


@pytest.fixture(scope="module")
def source() -> Iterator[Reference]:
    with Reference() as server:
        with server.connect() as client:
            fill(client)
            ask(client, "SAVE")
        yield server


@pytest.fixture(scope="module")
def file(source: Reference) -> Path:
    return source.folder / "dump.rdb"


def test_all_that_a_file_has(source: Reference, file: Path, target: Shardis, there: Client) -> None:
    done = run("import", file, "--to", url(target))
    assert (done.status, done.err) == (0, "")
    with source.connect() as client:
        assert_same(there, client)
        size = ask(client, "DBSIZE")
    assert done.out.splitlines()[0] == f"db 0: {size} keys read, {size} sent, {size} there"
    assert not list(file.parent.glob("*import-state*"))


@pytest.mark.skipif(not RedisServer.is_installed(), reason="needs a redis-server")
def test_a_file_of_redis(start: Start, target: Shardis, there: Client) -> None:
    redis = start(RedisServer())
    with redis.connect() as client:
        fill(client, fields_with_times=False)
        ask(client, "SAVE")
        assert run("import", redis.folder / "dump.rdb", "--to", url(target)).status == 0
        assert_same(there, client)


def test_one_db_only(source: Reference, file: Path, target: Shardis, there: Client) -> None:
    ask(there, "SET", "other", "1")  # In another db, which is none of the import's business.
    done = run("import", file, "--to", url(target), "--db", 2)
    assert done.status == 0, done
    assert done.out.startswith("db 2: ")
    assert ask(there, "DBSIZE") == 1
    with source.connect() as client:
        assert times(there, [2]) == times(client, [2])
    ask(there, "SET", "other", "2")
    assert run("import", file, "--to", url(target), "--db", 2, "--flush").status == 0
    assert ask(there, "GET", "other") == b"2"


def test_a_server_with_keys_is_refused_unless_an_option_says_otherwise(
    source: Reference, file: Path, target: Shardis, there: Client
) -> None:
    ask(there, "SET", "string:1", "mine")
    ask(there, "SET", "mine", "1")
    done = run("import", file, "--to", url(target))
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "has 2 keys" in done.err
    assert ask(there, "DBSIZE") == 2
    assert run("import", file, "--to", url(target), "--replace").status == 0
    assert ask(there, "GET", "string:1") == b"x"
    assert ask(there, "GET", "mine") == b"1"
    assert run("import", file, "--to", url(target), "--flush").status == 0
    assert ask(there, "EXISTS", "mine") == 0
    with source.connect() as client:
        assert digest(there) == digest(client)


def test_keys_that_have_expired_are_accounted_for(start: Start, target: Shardis, there: Client) -> None:
    """A file keeps what had not expired when it was written; by now it has."""
    server = start(Reference())
    with server.connect() as client:
        for number in range(KEYS):
            ask(client, "SET", number, "v", "PX", 100)
        ask(client, "SET", "stays", "v")
        ask(client, "DEBUG", "SET-ACTIVE-EXPIRE", 0)
        ask(client, "SAVE")
        while ask(client, "PTTL", KEYS - 1) != -2:
            pass
    done = run("import", server.folder / "dump.rdb", "--to", url(target))
    assert done.status == 0, done
    assert f"{KEYS + 1} keys read, {KEYS + 1} sent, 1 there, {KEYS} expired" in done.out


@pytest.mark.parametrize("where", ["header", "middle", "checksum", "cut"])
def test_nothing_of_a_damaged_file_is_sent(
    file: Path, tmp_path: Path, target: Shardis, there: Client, where: str
) -> None:
    data = bytearray(file.read_bytes())
    if where == "cut":
        del data[-20:]
    else:
        data[{"header": 7, "middle": len(data) // 2, "checksum": -1}[where]] ^= 0x10
    damaged = tmp_path / "damaged.rdb"
    damaged.write_bytes(data)
    done = run("import", damaged, "--to", url(target))
    assert done.status == 1
    assert f"{damaged} is damaged at byte" in done.err
    assert done.err.count("\n") == 1
    assert ask(there, "DBSIZE") == 0


def test_no_such_file(target: Shardis, tmp_path: Path) -> None:
    done = run("import", tmp_path / "none.rdb", "--to", url(target))
    assert (done.status, done.err) == (1, f"shardis import: {tmp_path}/none.rdb: no such file\n")


def test_it_goes_on_behind_any_key(file: Path) -> None:
    """A position is a number of keys: what comes behind it is the rest, whatever it is."""
    source = RdbSource(file)
    whole = [entry for batch in source.batches([]) for entry in batch.entries]
    for place in (1, 100, len(whole) - 1, len(whole)):
        rest = [entry for batch in source.batches([place]) for entry in batch.entries]
        assert rest == whole[place:]
    source.check(Progress())


def test_a_file_that_goes_away(tmp_path: Path, file: Path) -> None:
    copy = tmp_path / "copy.rdb"
    copy.write_bytes(file.read_bytes())
    source = RdbSource(copy)
    copy.unlink()
    with pytest.raises(Stopped, match="No such file"):
        source.check(Progress())


def test_only_the_beginning_of_a_log_says_that_commands_may_follow(file: Path, tmp_path: Path) -> None:
    assert not may_have_commands(file)
    for field in (b"\xfa\x0caof-preamble\xc0\x01", b"\xfa\x08aof-base\xc0\x01"):
        path = tmp_path / "base.rdb"
        path.write_bytes(b"REDIS0010" + field)
        assert may_have_commands(path)
