"""CLIENT LIST, INFO and KILL: the clients that are connected, and their end."""

from typing import TYPE_CHECKING

from common.command import ADMIN, LOADING, NOSCRIPT, STALE
from common.errors import RedisError
from common.resp import OK, Status, Verbatim
from router.commands.client import command
from router.commands.client_fields import described
from router.commands.client_filter import Filter

if TYPE_CHECKING:
    from router.session import Session

LIST_USAGE = """
CLIENT LIST [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]] [USER username] [ADDR ip:port]
[LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE maxage] [NAME name] [IDLE idle] [FLAGS flags] [LIB-NAME lib-name]
[LIB-VER lib-ver] [DB db] [CAPA capa] [IP ip] [NOT-TYPE <NORMAL | MASTER | REPLICA | PUBSUB>]
[NOT-ID not-client-id [not-client-id ...]] [NOT-USER not-username] [NOT-ADDR ip:port] [NOT-LADDR ip:port]
[NOT-NAME not-name] [NOT-FLAGS not-flags] [NOT-LIB-NAME not-lib-name] [NOT-LIB-VER not-lib-ver] [NOT-DB not-db]
[NOT-CAPA not-capa] [NOT-IP not-ip]
"""

TYPES = "NORMAL | MASTER | PRIMARY | SLAVE | REPLICA | PUBSUB"
KILL_FILTERS = f"""
[ID client-id [client-id ...]] | [TYPE <{TYPES}>] | [USER username] | [ADDR ip:port] | [LADDR ip:port]
| [SKIPME <YES | NO>] | [MAXAGE maxage] | [NAME name] | [IDLE idle] | [FLAGS flags] | [LIB-NAME lib-name]
| [LIB-VER lib-ver] | [DB db] | [CAPA capa] | [IP ip] | [NOT-TYPE <{TYPES}>]
| [NOT-ID not-client-id [not-client-id ...]] | [NOT-USER not-username] | [NOT-ADDR ip:port] | [NOT-LADDR ip:port]
| [NOT-NAME not-name] | [NOT-FLAGS not-flags] | [NOT-LIB-NAME not-lib-name]
| [NOT-LIB-VER not-lib-ver] | [NOT-DB not-db] | [NOT-CAPA not-capa] | [NOT-IP not-ip]
"""
KILL_USAGE = f"CLIENT KILL <ip:port | <{KILL_FILTERS}> [<{KILL_FILTERS}> ...]>"


@command(
    LIST_USAGE,
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    tips="nondeterministic_output",
)
def list_(session: "Session", *options: bytes) -> Verbatim:
    """Lists open connections."""
    return Verbatim("".join(f"{described(client)}\n" for client in Filter(session, options, skip_me=False).clients()))


@command(
    "CLIENT INFO",
    NOSCRIPT | LOADING | STALE,
    since="6.2.0",
    complexity="O(1)",
    tips="nondeterministic_output",
)
def info(session: "Session") -> Verbatim:
    """Returns information about the connection."""
    return Verbatim(f"{described(session)}\n")


@command(
    KILL_USAGE,
    ADMIN | NOSCRIPT | LOADING | STALE,
    arity=-3,
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
)
def kill(session: "Session", *options: bytes) -> int | Status:
    """Terminates open connections."""
    if len(options) > 1:
        return _kill(session, Filter(session, options, skip_me=True))
    if not _kill(session, Filter(session, (b"ADDR", options[0]), skip_me=False)):
        raise RedisError("ERR No such client")
    return OK


def _kill(session: "Session", meant: Filter) -> int:
    """Ends these clients, and tells how many. The one that asks gets its reply first."""
    clients = meant.clients()
    for client in clients:
        if client is session:
            session.end()
        else:
            client.kill()
    return len(clients)
