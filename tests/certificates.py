"""Certificates that tests make, with the command openssl: an authority, a server's, and those of clients.

authority = Authority(folder)
authority.issue("server")                   # folder/server.pem and folder/server.key
with Shardis(**authority.directives("server")) as server, TlsClient(...)
"""

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from tests.resp_client import Client
from tests.servers import Server, free_port

HOST = "127.0.0.1"


class Authority:
    """Who signs. Its own certificate is `ca.pem`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self._make(name, "-addext", "basicConstraints=critical,CA:TRUE")

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str, *, common_name: str = "", uris: tuple[str, ...] = (), days: int = 10) -> Path:
        """A certificate for this machine and for these; its path. Its key is beside it."""
        names = [f"IP:{HOST}", "DNS:localhost", *(f"URI:{uri}" for uri in uris)]
        by = ["-CA", str(self.path), "-CAkey", str(self.key(self.name))]
        extensions = ["-addext", f"subjectAltName={','.join(names)}", "-addext", "basicConstraints=CA:FALSE"]
        self._make(name, *by, *extensions, common_name=common_name, days=days)
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def encrypt(self, name: str, password: str) -> None:
        """Has the key of a certificate ask for a password."""
        path = str(self.key(name))
        self._run("ec", "-in", path, "-out", path, "-aes256", "-passout", f"pass:{password}")

    def serial(self, name: str) -> str:
        text = self._run("x509", "-in", str(self.folder / f"{name}.pem"), "-noout", "-serial")
        return text.strip().removeprefix("serial=")

    def directives(self, name: str = "server", **more: str) -> dict[str, str]:
        """A TLS port with that certificate, for clients who need none."""
        return {
            "tls_port": str(free_port()),
            "tls_cert_file": str(self.folder / f"{name}.pem"),
            "tls_key_file": str(self.key(name)),
            "tls_ca_cert_file": str(self.path),
            "tls_auth_clients": "no",
            **more,
        }

    def context(self, name: str = "") -> ssl.SSLContext:
        """Of a client, with a certificate of its own if it is said which."""
        made = ssl.create_default_context(cafile=str(self.path))
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Which a newer Python would be: see `shardis top`.
        if name:
            made.load_cert_chain(self.folder / f"{name}.pem", self.key(name))
        return made

    def _make(self, name: str, *options: str, common_name: str = "", days: int = 10) -> None:
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)]
        files = ["-keyout", str(self.key(name)), "-out", str(self.folder / f"{name}.pem")]
        self._run("req", *kind, *files, "-subj", f"/O=test/CN={common_name or name}", *options)

    @staticmethod
    def _run(*argv: str) -> str:
        return subprocess.run(["openssl", *argv], check=True, capture_output=True, text=True).stdout


class TlsClient(Client):
    """A connection over TLS.  Raises ssl.SSLError or OSError if it comes to nothing."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(address, **options)
        try:
            self.socket: socket.socket = context.wrap_socket(self.socket, server_hostname=HOST)
        except OSError:
            self.socket.close()
            raise

    @property
    def stream(self) -> ssl.SSLSocket:
        assert isinstance(self.socket, ssl.SSLSocket)
        return self.socket


def connect(server: Server, context: ssl.SSLContext) -> TlsClient:
    """A client at the TLS port of a server."""
    return TlsClient((HOST, int(server.options["tls-port"])), context)
