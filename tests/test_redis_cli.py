"""Debian's redis-cli and redis-benchmark against a running server."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pexpect
import pytest

from tests.resp_client import Client
from tests.servers import Shardis
from tests.writers import encoded

pytestmark = pytest.mark.skipif(
    not (shutil.which("redis-cli") and shutil.which("redis-benchmark")),
    reason="redis-cli and redis-benchmark are not installed (apt-get install redis-tools)",
)

TIMEOUT_S = 60
INSERTED = 200_000
SLOT_KEYS = 3000

Cli = Callable[..., str]


@pytest.fixture
def cli(shardis: Shardis, client: Client) -> Cli:
    """Runs redis-cli with these words on an empty server; what it prints. Nothing goes to standard error."""

    def run(*words: str, stdin: bytes = b"") -> str:
        argv = ["redis-cli", "-p", str(shardis.port), *words]
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=TIMEOUT_S)
        assert (done.returncode, done.stderr) == (0, b""), done
        return done.stdout.decode()

    return run


@pytest.fixture
def terminal(shardis: Shardis, client: Client) -> Iterator[Callable[..., "pexpect.spawn[str]"]]:
    """Starts redis-cli in a terminal."""
    spawned = []

    def run(*words: str) -> "pexpect.spawn[str]":
        argv = ["-p", str(shardis.port), *words]
        environment = {"TERM": "xterm", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
        spawned.append(
            pexpect.spawn("redis-cli", argv, encoding="utf-8", timeout=TIMEOUT_S, env=environment, dimensions=(40, 200))
        )
        return spawned[-1]

    yield run
    for child in spawned:
        child.close(force=True)


def test_one_command(cli: Cli) -> None:
    assert cli("SET", "k", "a b") == "OK\n"
    assert cli("GET", "k") == "a b\n"
    assert cli("--no-raw", "GET", "none") == "(nil)\n"
    assert cli("--no-raw", "INCR", "n") == "(integer) 1\n"
    assert cli("--no-raw", "MGET", "k", "n", "none") == '1) "a b"\n2) "1"\n3) (nil)\n'
    assert cli("INCR", "k") == "ERR value is not an integer or out of range\n\n"
    assert cli("-n", "3", "DBSIZE") == "0\n"
    assert cli("-r", "3", "INCR", "m") == "1\n2\n3\n"


def test_formats(cli: Cli) -> None:
    cli("MSET", "a", "1", "b", 'x"y')
    assert cli("--csv", "MGET", "a", "none", "b") == '"1",NULL,"x\\"y"\n'
    assert json.loads(cli("--json", "-3", "MGET", "a", "none", "b")) == ["1", None, 'x"y']
    assert json.loads(cli("--json", "-3", "CONFIG", "GET", "appendfsync")) == {"appendfsync": "everysec"}
    assert cli("-3", "--no-raw", "HELLO").startswith('1# "server" => ')


def test_standard_input(cli: Cli) -> None:
    assert cli("-x", "SET", "k", stdin=b"some\0bytes") == "OK\n"
    assert cli("--no-raw", "GET", "k") == '"some\\x00bytes"\n'
    assert cli(stdin=b"SET a 1\nINCR a\nNOSUCH\nGET a\n").splitlines()[:2] == ["OK", "2"]


def test_a_terminal(terminal: Callable[..., "pexpect.spawn[str]"], shardis: Shardis) -> None:
    prompt = f"127.0.0.1:{shardis.port}> "
    it = terminal()
    it.expect_exact(prompt)

    def type_in(line: str, *shown: str, then: str = prompt) -> None:
        it.send(line + "\r")
        for text in shown:
            it.expect_exact(text)
        it.expect_exact(then)

    type_in("set key value", "OK")
    type_in("get key", '"value"')
    type_in("get", "(error) ERR wrong number of arguments for 'get' command")
    type_in("nosuch word", "(error) ERR unknown command")
    type_in("incr n", "(integer) 1")
    type_in("help get", "GET", "summary:", "since:")
    type_in("select 3", "OK", then=f"127.0.0.1:{shardis.port}[3]> ")
    type_in("dbsize", "(integer) 0", then="[3]> ")
    type_in("select 99", "(error) ERR DB index is out of range", then="[3]> ")
    type_in("select 0", "OK")
    type_in("hello 3", '"proto"', "(integer) 3")
    type_in("get none", "(nil)")
    type_in("mget key none", '1) "value"', "2) (nil)")
    it.send("quit\r")
    it.expect(pexpect.EOF)


def test_hints(terminal: Callable[..., "pexpect.spawn[str]"]) -> None:
    """It asks COMMAND DOCS when it starts, and shows what is left of the usage line while one types."""
    it = terminal()
    it.expect_exact("> ")
    it.send("getrange")
    it.expect_exact("key start end")
    it.send(" k")
    it.expect_exact("start end")
    it.send("\x15expi\t")  # Ctrl-U, and a completion
    it.expect(re.compile("expire", re.IGNORECASE))
    it.send("\x15\x04")


@pytest.mark.parametrize("known", ["set", "incr"])
def test_mass_insertion(cli: Cli, client: Client, known: str) -> None:
    if known == "set":
        lines = b"".join(encoded([b"SET", b"key:%d" % number, b"%d" % number]) for number in range(INSERTED))
    else:
        lines = b"".join(b"INCR key:%d\r\n" % (number % 1000) for number in range(INSERTED))
    said = cli("--pipe", stdin=lines)
    assert f"errors: 0, replies: {INSERTED}" in said
    if known == "set":
        assert client.call("DBSIZE") == INSERTED
        assert client.call("MGET", "key:0", f"key:{INSERTED - 1}") == [b"0", b"%d" % (INSERTED - 1)]
    else:
        assert client.call("DBSIZE") == 1000
        assert client.call("GET", "key:999") == b"%d" % (INSERTED // 1000)


def test_mass_insertion_with_errors(cli: Cli, shardis: Shardis) -> None:
    argv = ["redis-cli", "-p", str(shardis.port), "--pipe"]
    lines = b"SET k x\r\nINCR k\r\nNOSUCH\r\nGET k\r\n" * 100
    done = subprocess.run(argv, input=lines, capture_output=True, timeout=TIMEOUT_S)
    assert b"errors: 200, replies: 400" in done.stdout
    assert done.returncode == 1


def fill(client: Client, count: int) -> None:
    words = [word for number in range(count) for word in (b"user:%d" % number, b"x" * (number % 50))]
    client.call("MSET", *words)


def test_scan(cli: Cli, client: Client) -> None:
    fill(client, SLOT_KEYS)
    found = cli("--scan", "--pattern", "user:*7").split()
    assert sorted(found) == sorted(f"user:{number}" for number in range(7, SLOT_KEYS, 10))
    assert len(cli("--scan").split()) == SLOT_KEYS


def test_big_keys(cli: Cli, client: Client) -> None:
    fill(client, SLOT_KEYS)
    client.call("SET", "largest", "x" * 1000)
    said = cli("--bigkeys")
    assert f"Sampled {SLOT_KEYS + 1} keys in the keyspace!" in said
    assert "Biggest string found '\"largest\"' has 1000 bytes" in said
    said = cli("--memkeys")
    assert f"Sampled {SLOT_KEYS + 1} keys in the keyspace!" in said
    assert re.search("Biggest string found '\"largest\"' has 1[0-9]{3} bytes", said)


def test_big_keys_of_every_type(cli: Cli, client: Client) -> None:
    largest = 300
    for size in (3, largest):
        members = [b"m%d" % number for number in range(size)]
        client.call("RPUSH", f"list {size}", *members)
        client.call("SADD", f"set {size}", *members)
        client.call("HSET", f"hash {size}", *[word for member in members for word in (member, b"v")])
        client.call(
            "ZADD", f"zset {size}", *[word for number, member in enumerate(members) for word in (number, member)]
        )
        for number in range(size):
            client.call("XADD", f"stream {size}", number + 1, "field", "text")
    said = cli("--bigkeys")
    for kind, unit in (("list", "items"), ("set", "members"), ("hash", "fields"), ("zset", "members")):
        assert f"Biggest {kind:>6} found '\"{kind} {largest}\"' has {largest} {unit}" in said
    assert f"Biggest stream found '\"stream {largest}\"' has {largest} entries" in said
    said = cli("--memkeys")
    for kind in ("list", "set", "hash", "zset", "stream"):
        assert re.search(f"Biggest {kind:>6} found '\"{kind} {largest}\"' has [0-9]{{4,5}} bytes", said), said


def test_hot_keys(cli: Cli, client: Client) -> None:
    fill(client, SLOT_KEYS)
    client.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0")
    try:
        for number, uses in ((7, 105), (8, 55)):  # A minute that ends meanwhile takes one from each.
            for _ in range(uses):
                client.call("GET", f"user:{number}")
        said = cli("--hotkeys")
    finally:
        client.call("CONFIG", "SET", "maxmemory-policy", "noeviction", "lfu-log-factor", "10")
    found = re.findall(r"hot key found with counter: (\d+)\s+keyname: \"(.*)\"", said)
    uses = {name: int(counter) for counter, name in found}
    assert uses["user:7"] >= 100 and uses["user:8"] >= 50
    # Keys that share a clock with one of them count as hot too, but nothing else does.
    assert len([name for name in uses if uses[name] >= 50]) < 10


def test_latency(terminal: Callable[..., "pexpect.spawn[str]"]) -> None:
    it = terminal("--latency")
    it.expect(r"min: \d+, max: \d+, avg: [\d.]+ \([5-9]\d samples\)")
    it.sendintr()
    it.expect(pexpect.EOF)


def test_stat(terminal: Callable[..., "pexpect.spawn[str]"], client: Client) -> None:
    fill(client, 100)
    it = terminal("--stat", "-i", "0.1")
    it.expect_exact("keys       mem      clients")
    for _ in range(2):
        it.expect(r"\n100 +[\d.]+[KMG] +\d+ +\d+ +\d+ \(\+\d+\) +\d+")
    it.sendintr()
    it.expect(pexpect.EOF)


def test_other_looks(cli: Cli, shardis: Shardis) -> None:
    assert f"tcp_port:{shardis.port}" in cli("INFO")
    assert "# Memory" in cli("INFO", "memory")
    assert cli("COMMAND", "DOCS", "get").splitlines()[:3] == ["get", "summary", "Returns the string value of a key."]
    assert cli("DEBUG", "HELP")


@pytest.mark.parametrize("options", [["-c", "20", "-P", "1"], ["-c", "50", "-P", "16"], ["-3", "-c", "5", "-P", "100"]])
def test_benchmark(shardis: Shardis, client: Client, options: list[str]) -> None:
    argv = ["redis-benchmark", "-p", str(shardis.port), "-q", "-n", "5000", "-r", "1000", *options]
    done = subprocess.run(
        [*argv, "-t", "ping,set,get,incr,mset"],
        capture_output=True,
        timeout=TIMEOUT_S,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done
    assert not done.stderr and "rror" not in done.stdout, done
    finished = re.findall(r"^([A-Z_]+).*?: [\d.]+ requests per second", done.stdout.replace("\r", "\n"), re.MULTILINE)
    assert finished == ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"]
