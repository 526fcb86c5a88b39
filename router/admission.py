"""Which connections a server takes: what it says to those that it turns away."""

from typing import TYPE_CHECKING

from router.dispatch import is_local

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

TOO_MANY = b"-ERR max number of clients reached\r\n"
PROTECTED = (
    b"-DENIED Running in protected mode because protected mode is enabled and no password is set for the default user."
    b" In this mode connections are only accepted from the loopback interface. If you want to connect from external"
    b" computers, you may adopt one of the following solutions: 1) Just disable protected mode sending the command"
    b" 'CONFIG SET protected-mode no' from the loopback interface by connecting from the same host the server is"
    b" running, however MAKE SURE it's not publicly accessible from internet if you do so. Use CONFIG REWRITE to make"
    b" this change permanent. 2) Alternatively you can just disable the protected mode by editing the configuration"
    b" file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the"
    b" server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication"
    b" password for the default user. NOTE: You only need to do one of the above things in order for the server to"
    b" start accepting connections from the outside.\r\n"
)
"""Without a password only this machine is served, unless `protected-mode no` says that the network is safe: the server
listens on all addresses if nobody says otherwise."""


def is_full(router: "Router") -> bool:
    """Whether there are as many clients as may be. Who is about to come in over TLS is one."""
    return len(router.sessions) + len(router.listeners.tls.handshakes) >= int(router.config["maxclients"])


def refusal(session: "Session") -> bytes:
    """Why a new connection is turned away; empty if it is welcome."""
    router = session.router
    if is_full(router):
        return TOO_MANY
    if router.config["protected-mode"] and router.users.default.nopass and not is_local(session):
        return PROTECTED
    return b""
