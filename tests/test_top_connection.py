"""How `shardis top` connects: as any client does, and to any server of the family."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics.top.__main__ import arguments, connection_of, key_password
from metrics.top.connection import Connection, Gone, Refused, one_line
from tests.certificates import Authority
from tests.reference import Reference
from tests.resp_client import Client, Status
from tests.servers import Shardis, free_port


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(2, requirepass="secret", unixsocket="door.sock") as server:
        with server.connect() as client:
            client.call("AUTH", "secret")
            client.call("ACL", "SETUSER", "watcher", "on", ">eye", "+info", "+latency|histogram", "+client|setinfo")
            client.call("ACL", "SETUSER", "half", "on", ">eye", "+info")
            client.call("ACL", "SETUSER", "none", "on", ">eye", "+get")
            for number in range(50):
                client.call("SET", f"key:{number}", number)
        yield server


def connection(*words: str) -> Connection:
    return connection_of(arguments([*words]))


def test_what_is_seen(server: Shardis) -> None:
    made = connection("-p", str(server.port), "--pass", "secret")
    facts = made.look()
    assert sum(one["keys"] for one in facts.shards) == 50 and [one["state"] for one in facts.shards] == ["ready"] * 2
    assert sum(one["commands"] for one in facts.shards) >= 50
    assert facts.commands["set"].calls == sum(facts.commands["set"].histogram) == 50
    made.close()


def test_the_password_of_the_environment(server: Shardis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDISCLI_AUTH", "secret")
    made = connection("-p", str(server.port))
    assert made.look().shards
    made.close()


def test_users(server: Shardis) -> None:
    here = ("-p", str(server.port), "--pass", "eye")
    watcher, half = connection(*here, "--user", "watcher"), connection(*here, "--user", "half")
    assert sum(watcher.look().commands["set"].histogram) == 50
    assert sum(half.look().commands["set"].histogram) == 0, "without LATENCY HISTOGRAM there are no percentiles"
    watcher.close()
    half.close()


def test_the_unix_socket(server: Shardis, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ("-s", str(server.folder / "door.sock"))
    monkeypatch.setenv("REDISCLI_AUTH", "eye")
    for words in (["--pass", "secret"], ["--user", "watcher", "--pass", "eye"], ["--user", "watcher"]):
        made = connection(*here, *words)
        assert made.name == here[1] and len(made.look().shards) == 2
        made.close()
    with pytest.raises(Refused, match="invalid username-password pair"):
        connection(*here, "--user", "watcher", "--pass", "wrong").look()


@pytest.mark.parametrize(
    "words", [[], ["--pass", "wrong"], ["--user", "none", "--pass", "eye"], ["--user", "nobody", "--pass", "x"]]
)
def test_who_is_refused(server: Shardis, words: list[str]) -> None:
    made = connection("-p", str(server.port), *words)
    with pytest.raises(Refused):
        made.look()
    made.close()


def test_nobody_there() -> None:
    with pytest.raises(Gone, match="refused"):
        connection("-p", str(free_port())).look()
    with pytest.raises(Gone):
        connection("-s", "/nonexistent/socket").look()


def test_a_real_valkey(reference: Reference) -> None:
    made = connection("-p", str(reference.port))
    first = made.look()
    assert made.look().number("stats", "total_commands_processed") > first.number("stats", "total_commands_processed")
    assert first.shards == []
    made.close()


class TestTls:
    """With a server of two shards whose certificate is for 127.0.0.1 and localhost."""

    @pytest.fixture
    def here(self, tls_server: Shardis) -> list[str]:
        return ["-p", tls_server.options["tls-port"], "--tls"]

    @staticmethod
    def shards(*words: str) -> int:
        made = connection(*words)
        try:
            return len(made.look().shards)
        finally:
            made.close()

    def test_whom_it_believes(
        self, here: list[str], authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.shards(*here, "--cacert", str(authority.path)) == 2
        assert self.shards(*here, "--cacert", str(authority.path), "-h", "localhost") == 2
        assert self.shards(*here, "--insecure") == 2
        other = Authority(tmp_path)
        for words in ([], ["--cacert", str(other.path)], ["--cacertdir", str(tmp_path)]):
            with pytest.raises(Gone, match="certificate verify failed"):
                self.shards(*here, *words)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        assert self.shards(*here) == 2, "whom this machine trusts"

    def test_a_folder_of_authorities(self, here: list[str], authority: Authority, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_bytes(authority.path.read_bytes())
        subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
        assert self.shards(*here, "--cacertdir", str(tmp_path)) == 2

    def test_its_own_certificate(self, here: list[str], admin: Client, authority: Authority) -> None:
        """Which may be asked for, and may say who it is."""
        assert admin.call("CONFIG", "SET", "tls-auth-clients", "yes", "tls-auth-clients-user", "CN") == Status(b"OK")
        admin.call("ACL", "SETUSER", "alice", "on", "nopass", "+info", "+latency|histogram", "+client|setinfo")
        here += ["--cacert", str(authority.path)]
        with pytest.raises(Gone, match=r"(?i)certificate.required"):
            self.shards(*here)
        pair = [str(authority.folder / "alice.pem"), str(authority.key("alice"))]
        assert self.shards(*here, "--cert", pair[0], "--key", pair[1]) == 2
        both = authority.folder / "both.pem"
        both.write_text("".join(Path(path).read_text() for path in pair))
        assert self.shards(*here, "--cert", str(both)) == 2
        admin.call("ACL", "SETUSER", "alice", "-info")
        with pytest.raises(Refused, match="no permissions"):
            self.shards(*here, "--cert", str(both))

    def test_a_key_with_a_password(
        self, here: list[str], authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is asked for once; the connections that come later ask nobody."""
        authority.issue("locked")
        authority.encrypt("locked", "sesame")
        words = [*here, "--insecure", "--cert", str(authority.folder / "locked.pem"), "--key"]
        words.append(str(authority.key("locked")))
        asked: list[str] = []
        monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "sesame")
        key_password.cache_clear()
        made = connection(*words)
        for _ in range(2):
            assert len(made.look().shards) == 2
            made.close()
        assert asked == ["Password of the key: "]
        key_password.cache_clear()

        def nobody(prompt: str) -> str:
            raise EOFError

        monkeypatch.setattr("getpass.getpass", nobody)
        with pytest.raises(Refused, match="locked.pem: its key has a password"):
            connection(*words)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--cacert", "/nosuch"], "^/nosuch: No such file"),
            (["--cacert", "/dev/null"], "^/dev/null: .*no certificate"),
            (["--cert", "/nosuch"], "^/nosuch: No such file"),
        ],
    )
    def test_files_that_are_none(self, words: list[str], said: str) -> None:
        with pytest.raises(Refused, match=said):
            connection("--tls", *words)

    def test_a_server_without_it(self, server: Shardis, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("metrics.top.connection.TIMEOUT_S", 0.2)
        with pytest.raises(Gone):
            self.shards("-p", str(server.port), "--tls", "--insecure")

    def test_without_it_at_a_port_of_it(self, here: list[str]) -> None:
        with pytest.raises(Gone):
            self.shards(*here[:2])

    @pytest.mark.parametrize(
        "words", [["--cacert", "ca.pem"], ["--insecure"], ["-s", "/s", "--tls"], ["--tls", "--key", "app.key"]]
    )
    def test_what_would_be_passed_over_is_refused(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            arguments(words)
        assert caught.value.code == 2 and "shardis top: error: --" in capsys.readouterr().err


def test_one_line() -> None:
    assert one_line(OSError("two\nlines")) == "two lines" and one_line(EOFError()) == "EOFError"
