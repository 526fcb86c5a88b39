"""Rewriting the log of a server that runs: as real tools see it, by itself when it has grown, and turned on and off."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.audit import audit
from tests.bench.processes import roles
from tests.reference import Reference, reference_binary
from tests.resp_client import Client, Error, Status
from tests.servers import Shardis
from tests.test_crash import kill, wait_for_reply

Start = Callable[[Shardis], Shardis]

OK = Status(b"OK")
POLL_S = 0.02
PATIENCE_S = 30.0


def persistence(client: Client) -> dict[str, str]:
    """INFO persistence."""
    text = client.call("INFO", "persistence").decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def wait_until(client: Client, **wanted: str) -> dict[str, str]:
    """Returns when INFO persistence says so."""
    deadline_s = time.monotonic() + PATIENCE_S
    while any((info := persistence(client))[name] != value for name, value in wanted.items()):
        assert time.monotonic() < deadline_s, info
        time.sleep(POLL_S)
    return info


def rewrite(client: Client) -> None:
    assert client.call("BGREWRITEAOF") == Status(b"Background append only file rewriting started")
    wait_until(client, aof_rewrite_in_progress="0")
    assert persistence(client)["aof_last_bgrewrite_status"] == "ok"


def fill(client: Client) -> None:
    """Keys of all types."""
    for number in range(50):
        client.call("SET", f"string:{number}", f"{number}" * 10, "PX", 10_000_000)
        client.call("RPUSH", f"list:{number}", *range(number + 1))
        client.call("HSET", f"hash:{number}", *range(2 * number + 2))
        client.call("SADD", f"set:{number}", *range(number + 1))
        client.call("ZADD", f"sorted:{number}", 1.5, "a", 2, "b")
        client.call("XADD", f"stream:{number}", "1-1", "f", "v")
        client.call("XGROUP", "CREATE", f"stream:{number}", "g", "0")
    client.call("SELECT", 5)
    client.call("SET", "elsewhere", 1)
    client.call("SELECT", 0)


def manifests(folder: Path) -> list[Path]:
    return sorted(folder.rglob("appendonly.aof.manifest"))


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_real_tools_and_servers_read_it(start: Start, tmp_path: Path, preamble: str) -> None:
    server = start(Shardis(shards=2, aof_use_rdb_preamble=preamble))
    with server.connect() as client:
        fill(client)
        rewrite(client)
        client.call("SET", "later", 1)
        expected = audit(client.call)
    server.stop()
    tools = {name: tmp_path / f"valkey-check-{name}" for name in ("aof", "rdb")}
    for tool in tools.values():
        tool.symlink_to(reference_binary())
    found = {}
    for manifest in manifests(server.folder):
        base = next(manifest.parent.glob("*.base.*"))
        # The tool for logs does not know the RDB files of its own server, so a base of that form is the other's.
        argv = [tools["aof"], manifest] if preamble == "no" else [tools["rdb"], base]
        result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout
        assert ("All AOF files and manifest are valid" if preamble == "no" else "RDB looks OK!") in result.stdout
        with Reference(manifest.parent.parent, appendonly="yes") as reference, reference.connect() as client:
            found |= audit(client.call)
    assert {place: entry[:3] for place, entry in found.items()} == {
        place: entry[:3] for place, entry in expected.items()
    }


def test_logs_that_grow_are_rewritten_one_at_a_time(start: Start) -> None:
    server = start(Shardis(shards=3, auto_aof_rewrite_min_size="100kb", auto_aof_rewrite_percentage=50))
    with server.connect() as client:
        deadline_s = time.monotonic() + PATIENCE_S
        number = 0
        while int(persistence(client)["aof_rewrites"]) < 6:
            assert time.monotonic() < deadline_s, persistence(client)
            number += 1
            for _ in range(50):
                client.call("MSET", *[word for key in range(20) for word in (f"key:{key}", f"{number}" * 30)])
        # What came while a log was rewritten is no growth: the next rewrites, beside fewer writes, leave less.
        while int(persistence(client)["aof_current_size"]) >= 2_000_000:
            assert time.monotonic() < deadline_s, persistence(client)
            client.call("MSET", *[word for key in range(20) for word in (f"key:{key}", f"{number}" * 30)])
            time.sleep(POLL_S)
        info = wait_until(client, aof_rewrite_in_progress="0")
        assert info["aof_last_bgrewrite_status"] == "ok"
        expected = client.call("MGET", *[f"key:{key}" for key in range(20)])
    under_way: set[str] = set()
    for shard, end in re.findall(r"shard (\d) notice: (?:rewriting the log|(the log is rewritten))", server.log()):
        if end:
            under_way.discard(shard)
        else:
            under_way.add(shard)
        assert len(under_way) < 2
    for pid in roles(server).values():
        kill(pid)
    server.stop()
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert client.call("MGET", *[f"key:{key}" for key in range(20)]) == expected


def test_the_log_is_turned_on_everywhere_or_nowhere(start: Start) -> None:
    server = start(Shardis(shards=2, appendonly="no"))
    in_the_way = server.folder / "shard-1" / "appendonlydir"
    refusal = b"ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server"
    with server.connect() as client:
        fill(client)
        in_the_way.parent.mkdir(exist_ok=True)
        in_the_way.write_text("no folder")
        assert client.call("CONFIG", "SET", "maxmemory-samples", 7, "appendonly", "yes") == Error(refusal + b" logs.")
        assert client.call("CONFIG", "GET", "maxmemory-samples") == [b"maxmemory-samples", b"5"]
        assert client.call("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]
        wait_until(client, aof_enabled="0", aof_rewrite_in_progress="0")
        in_the_way.unlink()
        assert client.call("CONFIG", "SET", "appendonly", "yes") == OK
        assert persistence(client)["aof_enabled"] == "1"
        client.call("SET", "meanwhile", 1)
        assert client.call("WAITAOF", 1, 0, 0) == [1, 0], "that is when the log counts"
        expected = audit(client.call)
        kill(roles(server)["shard 1"])  # What takes its place was started with appendonly no.
        wait_for_reply(client, [b"DBSIZE"], lambda reply: not isinstance(reply, Error))
        assert audit(client.call) == expected
        kill(roles(server)["router"])
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            with server.connect() as client:
                wait_for_reply(client, [b"DBSIZE"], lambda reply: not isinstance(reply, Error))
                assert client.call("CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]
                assert audit(client.call) == expected
                return
        except OSError:
            time.sleep(POLL_S)
    raise AssertionError("the router does not come back")


def test_a_stop_in_the_middle(start: Start) -> None:
    """SHUTDOWN gives up a rewrite, and the log stays as it is; of a log just turned on it waits for the base."""
    server = start(Shardis(shards=2, appendonly="no", enable_debug_command="yes"))
    with server.connect() as client:
        client.call("DEBUG", "POPULATE", 20_000)
        assert client.call("CONFIG", "SET", "appendonly", "yes") == OK
        client.call("SET", "k", 1)
        client.send("SHUTDOWN")
        with pytest.raises(ConnectionError):
            client.read()
    assert server.process is not None and server.process.wait(PATIENCE_S) == 0
    server.stop()
    server.options["appendonly"] = "yes"
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert client.call("DBSIZE") == 20_001
        assert client.call("BGREWRITEAOF") == Status(b"Background append only file rewriting started")
        client.send("SHUTDOWN")
        with pytest.raises(ConnectionError):
            client.read()
    assert server.process is not None and server.process.wait(PATIENCE_S) == 0
    server.stop()
    assert not list(server.folder.rglob("temp-rewrite*"))
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert client.call("DBSIZE") == 20_001
