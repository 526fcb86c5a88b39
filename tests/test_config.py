"""redis.conf's syntax, CONFIG GET, SET and REWRITE; what Valkey says is asked, not remembered."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.config import Config, ConfigError
from common.directives import DIRECTIVES
from common.errors import RedisError, SyntaxFault
from tests.reference import Reference, reference_binary
from tests.resp_client import Client, Error, Status


def config_of(text: str, *argv: str) -> Config:
    return Config.from_arguments(["shardis.conf", *argv], lambda path: text)


def refusal(config: Config, *pairs: tuple[str, str]) -> str:
    with pytest.raises(RedisError) as caught:
        config.set(pairs)
    return str(caught.value)


@pytest.fixture
def valkey() -> Iterator[Client]:
    """A Valkey of this test's own, for it is changed in ways that other tests would feel."""
    with Reference() as server, server.connect() as client:
        yield client


class TestAgainstTheReference:
    @pytest.mark.parametrize(
        "words",
        [
            "foo 1",
            "FOO 1",
            "maxmemory 1gb foo 3",
            "maxmemory 1gb hz a foo 3",
            "maxmemory 1gb hz a databases 3",
            "databases 3 foo 1",
            "maxmemory 1gb maxmemory 2gb",
            "Hz 1 HZ 2",
            "Databases 1",
            "HZ a",
            "dir /tmp",
            "a b c",
            "maxmemory-policy allkeys-lru maxmemory zz",
            "maxmemory-clients 101%",
            "maxmemory-clients -5%",
            "slowlog-max-len 1 commandlog-slow-execution-max-len 2",
        ],
    )
    def test_set_refuses_in_the_same_words(self, valkey: Client, words: str) -> None:
        argv = words.split()
        config = Config()
        theirs = valkey.call("CONFIG", "SET", *argv)
        try:
            config.set_arguments([word.encode() for word in argv])
            ours: bytes = Status(b"OK")
        except RedisError as error:
            ours = Error(str(error).encode())
        assert ours == theirs
        untouched = ["maxmemory", "hz", "maxmemory-policy", "slowlog-max-len"]
        flat = [word.decode() for word in valkey.call("CONFIG", "GET", *untouched)]
        assert config.get(untouched) == dict(zip(flat[::2], flat[1::2], strict=True))

    @pytest.mark.parametrize(
        "patterns", ["max*", "*slower*", "MaxMemory", "SLOWLOG-max-len", "h[az]*", "nothing", "???"]
    )
    def test_patterns(self, reference_client: Client, patterns: str) -> None:
        flat = [word.decode() for word in reference_client.call("CONFIG", "GET", *patterns.split())]
        theirs = set(flat[::2]) - {"hash-seed"}
        ours = set(Config().get(patterns.split())) - {"hash-tags", "hash-seed", "index"}
        assert ours == theirs

    @pytest.mark.parametrize(
        "line",
        [
            "port abc",
            "port",
            "port 1 2",
            "maxmemory 5x",
            "appendonly maybe",
            "save 1",
            "appendfsync never",
            "databases 0",
            "loglevel foo",
            "hz 9999999999999999999999",
            "dbfilename a/b",
            "notify-keyspace-events %",
            "client-output-buffer-limit x 1 2 3",
            "port 70000",
            "hz 5 6",
            "unixsocketperm 9",
            "unixsocketperm 7777",
        ],
    )
    def test_file(self, tmp_path: Path, line: str) -> None:
        """The same fault in a file: the reference's last line is how ours ends."""
        path = tmp_path / "valkey.conf"
        path.write_text(f"\n{line}\n")
        result = subprocess.run([reference_binary(), path], capture_output=True, text=True, cwd=tmp_path, timeout=10)
        said = (result.stdout + result.stderr).strip().splitlines()[-1]
        with pytest.raises(ConfigError) as caught:
            Config.from_arguments([str(path)])
        assert str(caught.value) == f"{path}:2: {line}: {said}"


class TestArguments:
    def test_typed_values(self) -> None:
        config = Config.from_arguments(
            ["--port", "7000", "--maxmemory", "1gb", "--appendonly", "no", "--hash-tags", "no"]
        )
        assert (config["port"], config["maxmemory"]) == (7000, 2**30)
        assert config["appendonly"] is False and config.values["hash-tags"] is False

    def test_any_name_of_a_directive(self) -> None:
        config = Config.from_arguments(["--slowlog-log-slower-than", "-1", "--hash-max-ziplist-entries", "7"])
        assert config["commandlog-execution-slower-than"] == config["slowlog-log-slower-than"] == -1
        assert config.values["hash-max-listpack-entries"] == 7

    @pytest.mark.parametrize(
        ("argv", "name", "value"),
        [
            (["--save", ""], "save", []),
            (["--save", "--port", "1"], "save", []),
            (["--save"], "save", []),
            (["--save", "900", "1", "300", "10"], "save", [[900, 1], [300, 10]]),
            (["--save", "900 1", "--save", "300 10"], "save", [[900, 1], [300, 10]]),
            (["--save", "900 1", "--save", ""], "save", []),
            (["--bind", "127.0.0.1", "::1", "--port", "1"], "bind", "127.0.0.1 ::1"),
            (["--port 7", "--hz", "9"], "port", 7),
            (["--PORT", "7"], "port", 7),
            (["--requirepass", "--really"], "requirepass", "--really"),
            (["--requirepass", "pass word"], "requirepass", "pass word"),
            (["--port", "1", "--port", "2"], "port", 2),
            (["--index", "3"], "index", 3),
        ],
    )
    def test_values(self, argv: list[str], name: str, value: object) -> None:
        assert Config.from_arguments(argv)[name] == value

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["--port", "abc"], "--port: abc: argument couldn't be parsed into an integer"),
            (["--port"], "--port: port: wrong number of arguments"),
            (["--port", "--hz", "5"], "--port: --hz 5: wrong number of arguments"),
            (["--prot", "1"], "--prot: unknown directive 'prot', did you mean 'port'?"),
            (["--qqqqqq", "1"], "--qqqqqq: unknown directive 'qqqqqq'"),
            (["--port", "1", "--", "x"], "unexpected argument '--': options are written --name value"),
            (["-p", "1"], "unexpected argument '-p': options are written --name value"),
            (["nothing.conf"], "can't read nothing.conf: No such file or directory"),
            (["--cluster-enabled", "yes"], "--cluster-enabled: yes: cluster mode is not supported by Shardis"),
            (["--loadmodule", "a.so"], "--loadmodule: 'loadmodule' is not supported by Shardis"),
            (
                ["--rename-command", "a"],
                "--rename-command: rename-command needs the name of a command and a new one, or '' for none",
            ),
            (["--requirepass", "a", "b"], "--requirepass: requirepass: wrong number of arguments"),
        ],
    )
    def test_refuses(self, argv: list[str], said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Config.from_arguments(argv)
        assert str(caught.value) == said

    def test_command_line_after_file(self) -> None:
        assert config_of("port 1\nhz 20\n", "--port", "2")["port"] == 2
        assert config_of("port 1\nhz 20\n", "--port", "2")["hz"] == 20

    def test_what_depends_on_the_machine(self) -> None:
        config = Config.from_arguments(["--dir", "/data"])
        assert config["shards"] >= 1 and config["rundir"] == "/data/run"
        assert Config.from_arguments(["--dir", "/data", "--rundir", "/r"])["rundir"] == "/r"
        assert Config.from_arguments([])["dir"] == str(Path.cwd())
        assert Config.from_arguments(["--dir", "/data", "--logfile", "a.log"]).path("logfile") == "/data/a.log"
        assert Config().path("logfile") == ""

    def test_without_effect(self) -> None:
        config = config_of("activedefrag yes\nport 5\nrdbcompression yes\nrepl-timeout 7\nmptcp yes\n")
        assert config.without_effect() == ["activedefrag", "repl-timeout", "mptcp"]


class TestStandardInput:
    FILES = {"-": "port 5\nhz 50\n", "a.conf": "port 6\nhz 60\ndatabases 6\n"}

    @pytest.mark.parametrize(
        ("argv", "values"),
        [
            (["-"], (5, 50, 16)),
            (["-", "--hz", "70"], (5, 70, 16)),
            (["a.conf", "-"], (5, 50, 6)),
            (["a.conf", "--hz", "70", "-"], (5, 70, 6)),
            (["a.conf", "-", "--port", "7"], (7, 50, 6)),
        ],
    )
    def test_where_it_is_named(self, argv: list[str], values: tuple[int, int, int]) -> None:
        """As in the reference: behind the file, before the options, wherever the "-" is, which is first or last."""
        config = Config.from_arguments(argv, self.FILES.__getitem__)
        assert (config["port"], config["hz"], config["databases"]) == values

    def test_it_is_nothing_to_rewrite(self) -> None:
        assert Config.from_arguments(["-"], self.FILES.__getitem__).file == ""
        assert Config.from_arguments(["a.conf", "-"], self.FILES.__getitem__).file.endswith("/a.conf")

    @pytest.mark.parametrize("argv", [["-"], ["-", "--hz", "20"], ["--hz", "20", "-"]])
    def test_the_reference_reads_it(self, argv: list[str], tmp_path: Path) -> None:
        text = "\nport seven\n"
        result = subprocess.run(
            [reference_binary(), *argv], input=text, capture_output=True, text=True, cwd=tmp_path, timeout=10
        )
        said = (result.stdout + result.stderr).strip().splitlines()[-1]
        with pytest.raises(ConfigError) as caught:
            Config.from_arguments(argv, lambda path: text)
        assert str(caught.value) == f"-:2: port seven: {said}"


class TestSet:
    def test_gives_what_changed(self) -> None:
        config = Config()
        values = config.values
        assert config.set([("hz", "20"), ("maxmemory", "0"), ("hash-max-ziplist-entries", "9")]) == {
            "hz": 20,
            "hash-max-listpack-entries": 9,
        }
        assert values["hz"] == 20 and config.values is values
        assert config.changed_at_run_time() == {"hash-max-listpack-entries": 9, "hz": 20, "maxmemory": 0}

    def test_all_or_nothing(self) -> None:
        config = Config()
        refusal(config, ("hz", "20"), ("maxmemory", "x"))
        assert config["hz"] == 10 and not config.changed_at_run_time()

    def test_another_process_takes_it_over(self) -> None:
        router, shard = Config(), Config()
        shard.update(router.set([("client-output-buffer-limit", "normal 1 2 3"), ("save", "5 5")]))
        assert shard.values == router.values

    def test_odd_number_of_words(self) -> None:
        with pytest.raises(SyntaxFault):
            Config().set_arguments([b"hz", b"1", b"port"])

    @pytest.mark.parametrize("name", sorted(directive.name for directive in DIRECTIVES if directive.own))
    def test_what_belongs_to_the_process_is_not_shown(self, name: str) -> None:
        assert refusal(Config(), (name, "1")) == f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
        assert Config().get([name, name[:3] + "*"]).get(name) is None


class TestHandingOn:
    CASES = (
        [],
        ["--port", "7000", "--save", ""],
        ["--save", "900 1 30 2", "--bind", "127.0.0.1 ::1", "--shards", "3", "--dir", "/a b"],
        ["--client-output-buffer-limit", "normal 1kb 2 3", "--latency-tracking-info-percentiles", ""],
        ["--notify-keyspace-events", "KEAn", "--maxmemory-clients", "5%", "--unixsocketperm", "770"],
        ["--logfile", 'a"b\\c\n', "--latency-tracking-info-percentiles", "1 99.999"],
    )

    @pytest.mark.parametrize("argv", CASES)
    def test_arguments_read_back(self, argv: list[str]) -> None:
        config = Config.from_arguments(argv)
        assert Config.from_arguments(config.arguments()).values == config.values

    @pytest.mark.parametrize("argv", [*CASES, ["--requirepass", 'a b"\\\n\udcff']])
    def test_text_reads_back(self, argv: list[str]) -> None:
        config = Config.from_arguments(argv)
        assert config_of(config.text()).values == config.values

    def test_renames_read_back(self) -> None:
        config = config_of('rename-command GET "a b"\n', "--rename-command", "SET", "")
        assert config_of(config.text()).renames == config.renames == [("GET", "a b"), ("SET", "")]
        assert "rename-command" not in config.get(["*"])

    def test_no_secret_among_arguments(self) -> None:
        assert "hush" not in " ".join(Config.from_arguments(["--requirepass", "hush"]).arguments())

    def test_the_children_know_the_file(self) -> None:
        config = config_of("port 1\n")
        child = Config.from_arguments(["/run/shardis.conf"], lambda path: config.text())
        assert child.file == config.file == str(Path.cwd() / "shardis.conf")


class TestRewrite:
    OLD = "# mine\nport 7000\n\nhz 10\n# memory\nmaxmemory 1gb\nsave 900 1\nsave 300 10\nhash-max-ziplist-entries 512\n"

    def test_nothing_changed(self) -> None:
        assert config_of(self.OLD).rewrite(self.OLD) == self.OLD

    def test_keeps_comments_and_order(self) -> None:
        config = config_of(self.OLD, "--tcp-backlog", "5")
        config.set([("maxmemory", "2gb"), ("save", ""), ("hash-max-listpack-entries", "9"), ("timeout", "5")])
        config.set([("requirepass", 'a b"'), ("notify-keyspace-events", "KEA")])
        assert config.rewrite(self.OLD) == (
            "# mine\nport 7000\n\nhz 10\n# memory\nmaxmemory 2147483648\n"
            'save ""\nhash-max-listpack-entries 9\n\n# Generated by CONFIG REWRITE\n'
            'tcp-backlog 5\ntimeout 5\nrequirepass "a b\\""\nnotify-keyspace-events AKE\n'
        )

    def test_twice_is_once(self) -> None:
        config = config_of(self.OLD)
        config.set([("timeout", "5")])
        once = config.rewrite(self.OLD)
        assert config.rewrite(once) == once
        config.set([("hz", "11"), ("loglevel", "debug")])
        assert config.rewrite(once) == once.replace("hz 10", "hz 11") + "loglevel debug\n"

    def test_a_password_taken_back_leaves_the_file(self) -> None:
        config = config_of("requirepass x\nport 1\n")
        config.set([("requirepass", "")])
        assert config.rewrite("requirepass x\nport 1\n") == "port 1\n"

    def test_what_was_worked_out_is_not_written(self) -> None:
        assert config_of("shards 0\ndir .\n").rewrite("shards 0\ndir .\n") == "shards 0\ndir .\n"
        assert config_of("").rewrite("") == ""

    def test_reads_back_the_same(self) -> None:
        config = config_of(self.OLD)
        config.set([("client-output-buffer-limit", "pubsub 1mb 2 3"), ("latency-tracking-info-percentiles", "")])
        again = config_of(config.rewrite(self.OLD))
        assert again.values == config.values

    def test_what_the_supervisor_worked_out_is_not_written(self) -> None:
        old = "port 7000\nrundir /too/long\n"
        supervisor = config_of(old, "--hz", "20")
        supervisor.override("rundir", "/run/short")
        supervisor.override("shards", "3")
        child = Config.from_arguments(["/run/shardis.conf"], lambda path: supervisor.text())
        assert (child["rundir"], child["shards"]) == ("/run/short", 3)
        assert child.rewrite(old) == f"{old}\n# Generated by CONFIG REWRITE\ndir {Path.cwd()}\nhz 20\n"

    def test_unknown_lines_stay(self) -> None:
        text = "include other.conf\nport 7000\n"
        config = config_of("port 7000\n")
        assert config.rewrite(text) == text
