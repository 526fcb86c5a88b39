"""TLS on a server's port, with the clients that people use: certificates, who is asked for one, reading them anew."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from common.config import Config
from router.config_reload import reload
from router.tls import BadTls, Tls, context_of, names_of
from tests.bare_router import BareRouter, on_a_loop
from tests.certificates import HOST, Authority, connect
from tests.resp_client import Client, Error, Status
from tests.servers import Server, Shardis

OK, PONG = Status(b"OK"), Status(b"PONG")
CANNOT = (
    "ERR CONFIG SET failed (possibly related to argument '%s') - Unable to update TLS configuration. Check server logs."
)


def config_of(authority: Authority, **more: str) -> Config:
    given = {name.replace("_", "-"): text for name, text in (authority.directives() | more).items()}
    config = Config()
    config.set(list(given.items()))
    return config


class TestDirectives:
    @pytest.mark.parametrize(
        ("more", "said"),
        [
            ({"tls_cert_file": ""}, "No tls-cert-file configured!"),
            ({"tls_key_file": ""}, "No tls-key-file configured!"),
            ({"tls_auth_clients": "yes", "tls_ca_cert_file": ""}, "Either tls-ca-cert-file or tls-ca-cert-dir must be"),
            ({"tls_cert_file": "/nosuch"}, "Failed to load certificate: /nosuch: No such file or directory"),
            ({"tls_key_file": "/nosuch"}, "Failed to load private key: /nosuch: No such file or directory"),
            ({"tls_cert_file": os.devnull}, "Failed to load certificate: /dev/null: "),
            ({"tls_key_file": os.devnull}, "Failed to load private key: /dev/null: "),
            ({"tls_ca_cert_file": "/nosuch"}, "Failed to configure CA certificate(s) file/directory: No such file"),
            ({"tls_ca_cert_file": os.devnull}, "Failed to configure CA certificate(s) file/directory: "),
            ({"tls_protocols": "TLSv1.3 SSLv3"}, "Invalid tls-protocols specified. Use a combination of 'TLSv1', "),
            ({"tls_ciphers": "nosuch"}, "Failed to configure ciphers: nosuch"),
            ({"tls_dh_params_file": "/nosuch"}, "Failed to load /nosuch: No such file or directory"),
            ({"tls_dh_params_file": os.devnull}, "/dev/null: failed to read DH params."),
        ],
    )
    def test_what_is_refused(self, authority: Authority, more: dict[str, str], said: str) -> None:
        with pytest.raises(BadTls) as caught:
            context_of(config_of(authority, **more))
        assert str(caught.value).startswith(said)

    def test_a_key_of_another_certificate(self, authority: Authority) -> None:
        path = str(authority.key("alice"))
        with pytest.raises(BadTls, match="Failed to load private key: .*alice.key: key values mismatch"):
            context_of(config_of(authority, tls_key_file=path))

    def test_the_password_of_a_key(self, authority: Authority) -> None:
        authority.issue("locked")
        authority.encrypt("locked", "sesame")
        given = {"tls_cert_file": str(authority.folder / "locked.pem"), "tls_key_file": str(authority.key("locked"))}
        context_of(config_of(authority, **given, tls_key_file_pass="sesame"))
        for wrong in ("", "other"):
            with pytest.raises(BadTls, match="Failed to load private key: .*locked.key: ") as caught:
                context_of(config_of(authority, **given, tls_key_file_pass=wrong))
            assert "sesame" not in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "taken"),
        [
            ("", ["TLSv1.2", "TLSv1.3"]),
            ("TLSv1.2", ["TLSv1.2"]),
            ("tlsv1.3", ["TLSv1.3"]),
            ("TLSv1.3 TLSv1.2", ["TLSv1.2", "TLSv1.3"]),
            ("TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", ["TLSv1.2", "TLSv1.3"]),
        ],
    )
    def test_protocols(self, authority: Authority, text: str, taken: list[str]) -> None:
        context = context_of(config_of(authority, tls_protocols=text))
        client = authority.context()
        found = []
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client.minimum_version = client.maximum_version = version
            one, other = in_memory(context, client)
            if one is not None:
                found.append(one.version())
            assert (one is None) == (other is None)
        assert found == taken

    def test_ciphers(self, authority: Authority) -> None:
        context = context_of(config_of(authority, tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))
        client = authority.context()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        one, _ = in_memory(context, client)
        assert one is not None and one.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"  # type: ignore[index]
        client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        assert in_memory(context, client) == (None, None)

    @pytest.mark.parametrize(("text", "chosen"), [("no", "AES128"), ("yes", "AES256")])
    def test_whose_order_counts(self, authority: Authority, text: str, chosen: str) -> None:
        names = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
        context = context_of(config_of(authority, tls_ciphers=":".join(names), tls_prefer_server_ciphers=text))
        client = authority.context()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        client.set_ciphers(":".join(reversed(names)))
        one, _ = in_memory(context, client)
        assert one is not None and chosen in one.cipher()[0]  # type: ignore[index]

    def test_suites_where_python_can_choose_them(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        """As SSLContext.set_ciphersuites of Python 3.15 does; before it the directive has no effect."""
        chosen = []

        def set_ciphersuites(context: ssl.SSLContext, names: str) -> None:
            chosen.append(names)
            if names == "nosuch":
                raise ssl.SSLError("no cipher match")

        monkeypatch.setattr(ssl.SSLContext, "set_ciphersuites", set_ciphersuites, raising=False)
        context_of(config_of(authority, tls_ciphersuites="TLS_AES_128_GCM_SHA256"))
        assert chosen == ["TLS_AES_128_GCM_SHA256"]
        with pytest.raises(BadTls, match="Failed to configure ciphersuites: nosuch"):
            context_of(config_of(authority, tls_ciphersuites="nosuch"))

    def test_dh_parameters(self, authority: Authority) -> None:
        path = authority.folder / "dh.pem"
        argv = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", str(path)]
        subprocess.run(argv, check=True, capture_output=True)
        context = context_of(config_of(authority, tls_dh_params_file=str(path), tls_ciphers="DHE:@SECLEVEL=1"))
        assert any(cipher["name"].startswith("DHE-") for cipher in context.get_ciphers())

    @pytest.mark.parametrize(("text", "tickets"), [("yes", 2), ("no", 0)])
    def test_session_caching(self, authority: Authority, text: str, tickets: int) -> None:
        context = context_of(config_of(authority, tls_session_caching=text))
        assert context.num_tickets == tickets
        assert bool(context.options & ssl.OP_NO_TICKET) is (not tickets)

    @pytest.mark.parametrize(("field", "names"), [("CN", ["alice"]), ("URI", ["urn:user:bob", "urn:user:carol"])])
    def test_whom_a_certificate_names(self, authority: Authority, field: str, names: list[str]) -> None:
        context = context_of(config_of(authority, tls_auth_clients="yes"))
        one, _ = in_memory(context, authority.context("alice"))
        assert one is not None and names_of(one.getpeercert(), field) == names
        assert names_of({}, field) == []


def in_memory(
    tls_server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject] | tuple[None, None]:
    """Both ends of a connection, or nothing if they don't agree."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = tls_server.wrap_bio(to_server, to_client, server_side=True)
    other = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    waiting = [other, one]
    while waiting:
        try:
            waiting[0].do_handshake()
            waiting.pop(0)
        except ssl.SSLWantReadError:
            waiting.reverse()
        except ssl.SSLError:
            return None, None
    return one, other


class TestClients:
    def test_redis_py(self, tls_server: Server, authority: Authority) -> None:
        url = f"rediss://localhost:{tls_server.options['tls-port']}"
        lenient = [ssl.VerifyFlags.VERIFY_X509_STRICT]
        trusted = {"ssl_ca_certs": str(authority.path), "ssl_exclude_verify_flags": lenient}
        with redis.Redis.from_url(url, protocol=3, **trusted) as client:
            with client.pipeline() as pipeline:
                for number in range(1000):
                    pipeline.set(f"key:{number}", bytes(number))
                assert pipeline.execute() == [True] * 1000
            assert client.mget("key:7", "key:999") == [bytes(7), bytes(999)]
            big = os.urandom(3_000_000)
            assert client.set("big", big) and client.get("big") == big
            with client.pubsub() as listener:
                listener.subscribe("news")
                assert client.publish("news", "x") == 1
                kinds = [listener.get_message(timeout=20)["type"] for _ in range(2)]
                assert kinds == ["subscribe", "message"]
            client.flushall()

    def test_redis_cli(self, tls_server: Server, authority: Authority) -> None:
        argv = ["redis-cli", "--tls", "--cacert", str(authority.path), "-p", tls_server.options["tls-port"]]
        calls = "SET a 1\nINCR a\nNOSUCH\n"
        found = subprocess.run(argv, input=calls, capture_output=True, text=True, check=True).stdout.splitlines()
        assert found[:2] == ["OK", "2"] and found[2].startswith("ERR unknown command 'NOSUCH'")

    def test_fields_of_info(self, tls_server: Server, authority: Authority) -> None:
        with connect(tls_server, authority.context()) as client:
            fields = client.info("server")
            assert fields["tcp_port"] == str(tls_server.port)
            assert fields["listener0"] == f"name=tcp,bind=*,bind=-::*,port={tls_server.port}"
            assert fields["listener2"] == f"name=tls,bind=*,bind=-::*,port={tls_server.options['tls-port']}"
            fields = client.info("tls")
            assert fields["tls_server_cert_serial"] == authority.serial("server")
            assert fields["tls_ca_cert_serial"] == authority.serial("ca")
            assert 0 < int(fields["tls_server_cert_expires_in_seconds"]) <= 10 * 86400
            assert (fields["tls_client_cert_serial"], fields["tls_client_cert_expires_in_seconds"]) == ("none", "0")
            line = client.call("CLIENT", "INFO").decode()
            assert f" laddr={HOST}:{tls_server.options['tls-port']} " in line and " fd=-1 " not in line

    def test_without_another_port(self, authority: Authority, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        with Shardis(**authority.directives(unixsocket=path)) as server, connect(server, authority.context()) as client:
            assert client.call("CONFIG", "SET", "port", "0") == OK
            fields = client.info("server")
            assert fields["tcp_port"] == server.options["tls-port"]
            assert fields["listener1"] == f"name=unix,bind={path}" and "listener0" not in fields
            with pytest.raises(OSError):
                server.connect()

    def test_a_start_that_cannot_be(self, authority: Authority, tmp_path: Path) -> None:
        given = authority.directives(tls_cert_file="/nosuch", port="0", dir=str(tmp_path), shards="1")
        argv = [word for name, text in given.items() for word in (f"--{name.replace('_', '-')}", text)]
        ended = subprocess.run([sys.executable, "-m", "deploy", *argv], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1 and "Traceback" not in ended.stderr
        told = "TLS can't be set up: Failed to load certificate: /nosuch: No such file or directory"
        assert f"shardis: {told}\n" in ended.stderr


class TestCertificatesOfClients:
    def test_required(self, tls_server: Server, admin: Client, authority: Authority, tmp_path: Path) -> None:
        other = Authority(tmp_path)
        other.issue("mallory")
        admin.call("CONFIG", "SET", "tls-auth-clients", "yes")
        before = int(admin.info("stats")["total_connections_received"])
        with connect(tls_server, authority.context("alice")) as client:
            assert client.call("ACL", "WHOAMI") == b"default"
        stranger = authority.context()
        stranger.load_cert_chain(other.folder / "mallory.pem", other.key("mallory"))
        for context in (authority.context(), stranger):
            with pytest.raises((ssl.SSLError, ConnectionError)), connect(tls_server, context) as client:
                client.call("PING")
        assert int(admin.info("stats")["total_connections_received"]) == before + 1
        while admin.info("clients")["connected_clients"] != "1":  # Until all are heard to be gone.
            pass

    def test_optional(self, tls_server: Server, admin: Client, authority: Authority) -> None:
        admin.call("CONFIG", "SET", "tls-auth-clients", "optional")
        for name in ("", "alice"):
            with connect(tls_server, authority.context(name)) as client:
                assert client.call("PING") == PONG

    @pytest.mark.parametrize(("field", "user"), [("CN", "alice"), ("URI", "urn:user:carol")])
    def test_they_say_who_it_is(
        self, tls_server: Server, admin: Client, authority: Authority, field: str, user: str
    ) -> None:
        admin.call("CONFIG", "SET", "tls-auth-clients", "optional", "tls-auth-clients-user", field)
        admin.call("ACL", "SETUSER", user, "on", "+@connection", "+acl|whoami")
        with connect(tls_server, authority.context("alice")) as client:
            assert client.call("ACL", "WHOAMI") == user.encode()
            assert isinstance(client.call("GET", "a"), Error)
        with connect(tls_server, authority.context()) as client:
            assert client.call("ACL", "WHOAMI") == b"default"
        admin.call("ACL", "DELUSER", user)

    @pytest.mark.parametrize("rules", [["off"], None])
    def test_they_name_nobody(
        self, tls_server: Server, admin: Client, authority: Authority, rules: list[str] | None
    ) -> None:
        admin.call("CONFIG", "SET", "tls-auth-clients", "optional", "tls-auth-clients-user", "CN")
        if rules is not None:
            admin.call("ACL", "SETUSER", "alice", *rules)
        before = int(admin.info("stats")["acl_access_denied_tls_cert"])
        admin.call("ACL", "LOG", "RESET")
        with connect(tls_server, authority.context("alice")) as client:
            assert client.call("ACL", "WHOAMI") == b"default"
        (entry,) = admin.call("ACL", "LOG")
        found = dict(zip(entry[::2], entry[1::2], strict=True))
        assert (found[b"reason"], found[b"context"]) == (b"tls-cert", b"toplevel")
        assert (found[b"object"], found[b"username"]) == (b"", b"alice")
        assert int(admin.info("stats")["acl_access_denied_tls_cert"]) == before + 1
        admin.call("ACL", "DELUSER", "alice")


class TestReadAnew:
    """Who comes later gets the new certificate; who is there stays; what is wrong changes nothing."""

    @staticmethod
    def serial(tls_server: Server, authority: Authority) -> str:
        with connect(tls_server, authority.context()) as client:
            assert client.call("PING") == PONG
            shown = client.stream.getpeercert()
            assert shown is not None
            return str(shown["serialNumber"])

    def test_by_config_set(self, tls_server: Server, admin: Client, authority: Authority) -> None:
        path = str(authority.folder / "server.pem")
        with connect(tls_server, authority.context()) as client:
            before = self.serial(tls_server, authority)
            authority.issue("server")
            assert self.serial(tls_server, authority) == before
            assert admin.call("CONFIG", "SET", "tls-cert-file", path) == OK
            assert self.serial(tls_server, authority) == authority.serial("server") != before
            assert client.call("PING") == PONG
            assert client.info("tls")["tls_server_cert_serial"] == authority.serial("server")

    @pytest.mark.parametrize(
        "name", ["tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-protocols", "tls-ciphers"]
    )
    def test_what_is_wrong_changes_nothing(
        self, tls_server: Server, admin: Client, authority: Authority, name: str
    ) -> None:
        before = self.serial(tls_server, authority)
        (_, value) = admin.call("CONFIG", "GET", name)
        answer = admin.call("CONFIG", "SET", "maxclients", "77", name, "/nosuch")
        assert answer == Error((CANNOT % name).encode())
        assert admin.call("CONFIG", "GET", name) == [name.encode(), value]
        assert admin.call("CONFIG", "GET", "maxclients") == [b"maxclients", b"10000"]
        assert self.serial(tls_server, authority) == before

    def test_what_takes_no_file_is_always_taken(self, tls_server: Server, admin: Client) -> None:
        """As in the reference: that nobody can show a certificate then is the administrator's to see."""
        assert admin.call("CONFIG", "SET", "tls-auth-clients", "no", "tls-ca-cert-file", "") == OK
        assert admin.call("CONFIG", "SET", "tls-auth-clients", "yes") == OK
        assert admin.call("CONFIG", "SET", "tls-protocols", "TLSv1.2") == Error((CANNOT % "tls-protocols").encode())

    def test_by_sighup(self, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async def scene() -> None:
            bare = BareRouter(1)
            config, tls = bare.router.config, bare.router.listeners.tls
            lines = [f"{name.replace('_', '-')} {text}\n" for name, text in authority.directives().items()]
            path = tmp_path / "shardis.conf"
            path.write_text("".join(lines))
            argv = [str(path), "--shards", "1", "--appendonly", "no"]
            fresh = Config.from_arguments(argv)
            config.values.update(fresh.values)
            config.given = fresh.given
            tls.load()
            first = tls.context
            authority.issue("server")
            reload(bare.router, argv, {})
            second = tls.context
            assert second is not first and tls.facts["server_cert"].serial == authority.serial("server")
            path.write_text("".join([*lines, "tls-protocols none\n"]))
            reload(bare.router, argv, {})
            assert tls.context is second and config["tls-protocols"] == ""
            assert (
                "the configuration is not reloaded: tls-protocols: Unable to update TLS configuration." in caplog.text
            )

        on_a_loop(scene)

    def test_by_itself(self, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
        """What has not changed is not read; what is wrong is said once."""

        async def scene() -> None:
            bare = BareRouter(1)
            config, tls = bare.router.config, bare.router.listeners.tls
            config.values.update(config_of(authority, tls_auto_reload_interval="5").values)
            tls.load()
            tls.look_again()
            first = tls.context
            self.passes(tls)
            assert tls.context is first
            authority.issue("server")
            self.passes(tls)
            assert tls.context is not first and tls.facts["server_cert"].serial == authority.serial("server")
            second = tls.context
            authority.key("server").write_text("nonsense")
            for _ in range(3):
                self.passes(tls)
            assert tls.context is second
            authority.issue("server")
            tls.stop()
            tls.look_again()
            assert tls._timer is None

        on_a_loop(scene)
        assert caplog.text.count("Failed to load private key") == 1

    @staticmethod
    def passes(tls: Tls) -> None:
        """The interval has passed: the timer that waits for it rings."""
        timer = tls._timer
        assert timer is not None and 4 < timer.when() - tls.router.loop.time() <= 5
        timer.cancel()
        tls._reload_if_changed()
