"""TLS for clients: the certificates and what is asked of clients, taken from the tls-* directives and read again.

Rule 1: a new connection takes the certificates as they were read last; one that is there goes on with its own.
Rule 2: what can't be read, or does not fit, changes nothing: the reason is in the log, and the server goes on with what
        it has. Only a start needs it to be right.

Texts of faults are those of the reference, see createSSLContext there.
"""

import logging
import os
import ssl
import warnings
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from common.certificate import Certificate, NoCertificate, certificates
from common.config import Config
from common.log import VERBOSE
from router.admission import is_full
from router.encrypted import words_of

if TYPE_CHECKING:
    import asyncio

    from router.encrypted import Encrypted
    from router.session import Session

logger = logging.getLogger("shardis")

AUTHENTICATION = {"no": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "yes": ssl.CERT_REQUIRED}
PROTOCOLS = {
    "tlsv1": (ssl.TLSVersion.TLSv1, ssl.OP_NO_TLSv1),
    "tlsv1.1": (ssl.TLSVersion.TLSv1_1, ssl.OP_NO_TLSv1_1),
    "tlsv1.2": (ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
    "tlsv1.3": (ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
}
"""From the oldest on."""
PROTOCOLS_DEFAULT = "TLSv1.2 TLSv1.3"
FILES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-dh-params-file")
LOGGED_S = 1.0
"""Failed handshakes less than that apart are told only at the level verbose: anybody may cause any number of them."""

Facts = dict[str, Certificate]


class BadTls(Exception):
    """Why the directives and the files that they name make no server of TLS."""


class Tls:
    """What the connections over TLS have in common."""

    def __init__(self, router: Any) -> None:
        self.router = router
        self.config: Config = router.config
        self.context: ssl.SSLContext | None = None
        self.facts: Facts = {}
        """The certificates that INFO tells of: "server_cert", "ca_cert"."""
        self.handshakes: dict[Encrypted, None] = {}
        """Those under way, the first first."""
        self._seen: object = None
        self._timer: asyncio.TimerHandle | None = None
        self._logged_s = -LOGGED_S

    # The certificates

    def load(self) -> None:
        """Reads all anew.  Raises BadTls, and goes on with what it has."""
        seen = self._look()
        self.context, self.facts = context_of(self.config), facts_of(self.config)
        self._seen = seen

    def stop(self) -> None:
        """There is no port for TLS any more."""
        self.context, self.facts = None, {}

    def reload(self) -> bool:
        """Reads all anew if there is a port for it; whether that went well. The log has the reason."""
        try:
            if self.context is not None:
                self.load()
        except BadTls as fault:
            logger.warning("%s", fault)
            return False
        return True

    def look_again(self) -> None:
        """Takes over `tls-auth-clients`, which needs no file, and `tls-auto-reload-interval`."""
        if self.context is not None:
            self.context.verify_mode = AUTHENTICATION[self.config["tls-auth-clients"]]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.context is not None and (interval_s := self.config["tls-auto-reload-interval"]):
            self._timer = self.router.loop.call_later(interval_s, self._reload_if_changed)

    def _reload_if_changed(self) -> None:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen  # Also if it is refused: it is looked at again when it has changed again.
            if self.reload():
                logger.info("the certificates of TLS have changed, and are read again")
        self.look_again()

    def _look(self) -> object:
        """What tells whether the files are others."""
        return [_looks_of(self.config.path(name)) for name in FILES]

    # Connections

    def begins(self, connection: "Encrypted") -> bool:
        """Whether there is room for one more client. As in the reference one too many hears nothing: it would take a
        handshake."""
        if is_full(self.router):
            self.router.stats.rejected_connections += 1
            return False
        self.handshakes[connection] = None
        return True

    def over(self, connection: "Encrypted") -> None:
        """Its handshake is done, or came to nothing."""
        self.handshakes.pop(connection, None)

    def failed(self, connection: "Encrypted", reason: str) -> None:
        """A handshake came to nothing."""
        now_s = self.router.loop.time()
        is_told = now_s - self._logged_s >= LOGGED_S
        if is_told:
            self._logged_s = now_s
        _, peer, local = connection.addresses()
        text = "Error accepting a client connection: %s (addr=%s laddr=%s)"
        logger.log(logging.WARNING if is_told else VERBOSE, text, reason, peer, local)

    def sign_in(self, session: "Session", stream: ssl.SSLObject) -> None:
        """Makes the client the user that its certificate names, if `tls-auth-clients-user` says where."""
        field = self.config["tls-auth-clients-user"]
        if field != "off" and (names := names_of(stream.getpeercert() or {}, field)):
            self.router.users.certified(session, names)


def names_of(shown: Any, field: str) -> list[str]:
    """What a certificate, as ssl shows it, has in a field: "CN" of its subject, or the "URI"s among its other names."""
    if field == "URI":
        return [value for kind, value in shown.get("subjectAltName", ()) if kind == "URI"]
    parts = (part for several in shown.get("subject", ()) for part in several)
    return [value for kind, value in parts if kind == "commonName"][:1]


def facts_of(config: Config) -> Facts:
    """The server's certificate, and of those that clients are judged by the one that expires first."""
    found = {"server_cert": _certificates(config.path("tls-cert-file"))[:1]}
    folder = config.path("tls-ca-cert-dir")
    paths = [config.path("tls-ca-cert-file")]
    with suppress(OSError):
        paths += [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if folder else []
    authorities = [one for path in filter(None, paths) for one in _certificates(path)]
    found["ca_cert"] = sorted(authorities, key=lambda one: one.expires_s)[:1]
    return {kind: ones[0] for kind, ones in found.items() if ones}


def _certificates(path: str) -> list[Certificate]:
    with suppress(OSError, NoCertificate), open(path, "rb") as file:
        return certificates(file.read())
    return []


def _looks_of(path: str) -> object:
    with suppress(OSError):
        found = os.stat(path)
        return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
    return None


# The context


def context_of(config: Config) -> ssl.SSLContext:
    """What the directives say, for OpenSSL.  Raises BadTls."""
    if not config["tls-cert-file"]:
        raise BadTls("No tls-cert-file configured!")
    if not config["tls-key-file"]:
        raise BadTls("No tls-key-file configured!")
    if config["tls-auth-clients"] != "no" and not (config["tls-ca-cert-file"] or config["tls-ca-cert-dir"]):
        raise BadTls(
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or "
            "tls-auth-clients are enabled!"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_protocols(context, (config["tls-protocols"] or PROTOCOLS_DEFAULT).split())
    _set_ciphers(context, config)
    _load_own(context, config)
    _load_authorities(context, config)
    context.verify_mode = AUTHENTICATION[config["tls-auth-clients"]]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_SINGLE_DH_USE | ssl.OP_NO_COMPRESSION
    if not config["tls-session-caching"]:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def _set_protocols(context: ssl.SSLContext, names: Iterable[str]) -> None:
    wanted = {name.lower() for name in names}
    if not wanted <= PROTOCOLS.keys():
        raise BadTls(
            "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # That the old ones are old is known to who asks for them.
        context.minimum_version = next(version for name, (version, _) in PROTOCOLS.items() if name in wanted)
        for name, (_, without) in PROTOCOLS.items():
            if name not in wanted:
                context.options |= without


def _set_ciphers(context: ssl.SSLContext, config: Config) -> None:
    for kind in ("ciphers", "ciphersuites"):
        choose = getattr(context, f"set_{kind}", None)  # Python before 3.15 can't choose the suites.
        if choose is not None and (wanted := config[f"tls-{kind}"]):
            try:
                choose(wanted)
            except ssl.SSLError:
                raise BadTls(f"Failed to configure {kind}: {wanted}") from None
    if not config["tls-prefer-server-ciphers"]:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if path := config.path("tls-dh-params-file"):
        try:
            context.load_dh_params(path)
        except ssl.SSLError:
            raise BadTls(f"{path}: failed to read DH params.") from None
        except OSError as error:
            raise BadTls(f"Failed to load {path}: {error.strerror}") from None


def _load_own(context: ssl.SSLContext, config: Config) -> None:
    path, key = config.path("tls-cert-file"), config.path("tls-key-file")
    for name, one in (("certificate", path), ("private key", key)):
        try:
            open(one, "rb").close()
        except OSError as error:
            raise BadTls(f"Failed to load {name}: {one}: {error.strerror}") from None
    try:
        # Without one OpenSSL would ask for it on the terminal.
        context.load_cert_chain(path, key, lambda: config["tls-key-file-pass"])
    except ssl.SSLError as error:
        is_read = bool(_certificates(path))
        name, one = ("private key", key) if is_read else ("certificate", path)
        raise BadTls(f"Failed to load {name}: {one}: {words_of(error)}") from None


def _load_authorities(context: ssl.SSLContext, config: Config) -> None:
    file, folder = config.path("tls-ca-cert-file"), config.path("tls-ca-cert-dir")
    if file or folder:
        try:
            context.load_verify_locations(file or None, folder or None)
        except ssl.SSLError as error:
            raise BadTls(f"Failed to configure CA certificate(s) file/directory: {words_of(error)}") from None
        except OSError as error:
            raise BadTls(f"Failed to configure CA certificate(s) file/directory: {error.strerror}") from None
