"""CLIENT: what a client says of itself and asks for itself. Its other subcommands are in client_*.py."""

from functools import partial
from typing import TYPE_CHECKING

from common.command import ADMIN, ALL_NODES, ALL_SUCCEEDED, ALLOW_BUSY, LOADING, NO_MULTI, NOSCRIPT, STALE
from common.errors import RedisError, SyntaxFault, shown
from common.numbers import integer
from common.resp import NO_REPLY, OK, NoReply, Status
from router.acknowledgement import Acknowledgement
from router.blocking import TIMED_OUT, BlockingOverShards
from router.commands.connection import checked_name, is_one_word
from router.commands.table import TABLE
from router.dispatch import AskShards, Wait
from router.replies import Replies

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("connection")

command.container(
    "CLIENT",
    "A container for client connection commands.",
    since="2.4.0",
    help_since="5.0.0",
    help_="""
CACHING (YES|NO)
    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.
CAPA <option> [options...]
    The client claims its some capability options. Options are:
    * REDIRECT
      The client can handle redirection during primary and replica failover in standalone mode.
GETREDIR
    Return the client ID we are redirecting to when tracking is enabled.
GETNAME
    Return the name of the current connection.
ID
    Return the ID of the current connection.
INFO
    Return information about the current client connection.
KILL <ip:port>
    Kill connection made from <ip:port>.
KILL <option> <value> [<option> <value> [...]]
    Kill connections. Options are:
    * ADDR (<ip:port>|<unixsocket>:0)
      Kill connections made from the specified address.
    * LADDR (<ip:port>|<unixsocket>:0)
      Kill connections made to the specified local address.
    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)
      Kill connections by type.
    * USER <username>
      Kill connections authenticated by <username>.
    * SKIPME (YES|NO)
      Skip killing current connection (default: yes).
    * ID <client-id> [<client-id>...]
      Kill connections by client IDs.
    * MAXAGE <maxage>
      Kill connections older than the specified age.
    * FLAGS <flags>
      Kill connections that include the specified flags.
    * NAME <client-name>
      Kill connections with the specified name.
    * IDLE <idle>
      Kill connections with idle time greater than or equal to <idle> seconds.
    * LIB-NAME <library-name>
      Kill connections with the specified library name.
    * LIB-VER <library-version>
      Kill connections with the specified library version.
    * DB <db-id>
      Kill connections currently operating on the specified database ID.
    * CAPA <capa>
      Kill connections currently with the specified capa.
    * IP <ip>
      Kill connections made from the specified ip.
LIST [options ...]
    Return information about client connections. Options:
    * TYPE (NORMAL|PRIMARY|REPLICA|PUBSUB)
      Return clients of specified type.
    * USER <username>
      Return clients authenticated by <username>.
    * ADDR <ip:port>
      Return clients connected from the specified address.
    * LADDR <ip:port>
      Return clients connected to the specified local address.
    * ID <client-id> [<client-id>...]
      Return clients with the specified IDs.
    * SKIPME (YES|NO)
      Exclude the current client from the list (default: no).
    * MAXAGE <maxage>
      List connections older than the specified age.
    * FLAGS <flags>
      Return clients with the specified flags.
    * NAME <client-name>
      Return clients with the specified name.
    * IDLE <idle>
      Return clients with idle time greater than or equal to <idle> seconds.
    * LIB-NAME <lib-name>
      Return clients with the specified lib name.
    * LIB-VER <lib-version>
      Return clients with the specified lib version.
    * DB <db-id>
      Return clients currently operating on the specified database ID.
    * CAPA <capa>
      Return connections currently with the specified capa.
    * IP <ip>
      Return connections made from the specified ip.
UNPAUSE
    Stop the current client pause, resuming traffic.
PAUSE <timeout> [WRITE|ALL]
    Suspend all, or just write, clients for <timeout> milliseconds.
REPLY (ON|OFF|SKIP)
    Control the replies sent to the current connection.
SETNAME <name>
    Assign the name <name> to the current connection.
SETINFO <option> <value>
    Set client meta attr. Options are:
    * LIB-NAME: the client lib name.
    * LIB-VER: the client lib version.
UNBLOCK <clientid> [TIMEOUT|ERROR]
    Unblock the specified blocked client.
TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]
         [OPTIN] [OPTOUT] [NOLOOP]
    Control server assisted client side caching.
TRACKINGINFO
    Report tracking status for the current connection.
NO-EVICT (ON|OFF)
    Protect current client connection from eviction.
NO-TOUCH (ON|OFF)
    Will not touch LRU/LFU stats when this mode is on.
""",
)

USUAL = NOSCRIPT | LOADING | STALE

LIBRARY = {b"LIB-NAME": "library_name", b"LIB-VER": "library_version"}
"""What CLIENT SETINFO sets, by the attribute of the session."""


# What it says of itself


@command("CLIENT ID", USUAL | ALLOW_BUSY, since="5.0.0", complexity="O(1)")
def id_(session: "Session") -> int:
    """Returns the unique client ID of the connection."""
    return session.id


@command("CLIENT GETNAME", USUAL | ALLOW_BUSY, since="2.6.9", complexity="O(1)")
def getname(session: "Session") -> bytes | None:
    """Returns the name of the connection."""
    return session.name or None


@command(
    "CLIENT SETNAME connection-name",
    USUAL | ALLOW_BUSY,
    since="2.6.9",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def setname(session: "Session", name: bytes) -> Status:
    """Sets the connection name."""
    session.name = checked_name(name)
    return OK


@command(
    "CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>",
    USUAL | ALLOW_BUSY,
    since="7.2.0",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def setinfo(session: "Session", option: bytes, value: bytes) -> Status:
    """Sets information specific to the client or connection."""
    attribute = LIBRARY.get(option.upper())
    if attribute is None:
        raise RedisError(f"ERR Unrecognized option '{shown(option)}'")
    if not is_one_word(value):
        raise RedisError(f"ERR {shown(option)} cannot contain spaces, newlines or special characters.")
    setattr(session, attribute, value)
    return OK


@command("CLIENT CAPA capability [capability ...]", USUAL | ALLOW_BUSY, since="8.0.0", complexity="O(1)")
def capa(session: "Session", *capabilities: bytes) -> Status:
    """A client claims its capability."""
    if b"REDIRECT" in map(bytes.upper, capabilities):
        session.follows_redirects = True
    return OK


# What it asks for itself


@command("CLIENT NO-EVICT <ON | OFF>", ADMIN | USUAL | ALLOW_BUSY, since="7.0.0", complexity="O(1)")
def no_evict(session: "Session", word: bytes) -> Status:
    """Sets the client eviction mode of the connection."""
    session.no_evict = _on_or_off(word)
    return OK


@command("CLIENT NO-TOUCH <ON | OFF>", USUAL | ALLOW_BUSY, since="7.2.0", complexity="O(1)")
def no_touch(session: "Session", word: bytes) -> Status:
    """Controls whether commands sent by the client affect the LRU/LFU of accessed keys."""
    session.no_touch = _on_or_off(word)
    session.changed()
    return OK


@command("CLIENT IMPORT-SOURCE <ON | OFF>", USUAL, since="8.1.0", complexity="O(1)")
def import_source(session: "Session", word: bytes) -> Status:
    """Marks this client as an import source when the server is in import mode."""
    # There is no import mode here, so that no client can be its source.
    if word.upper() != b"OFF":
        raise RedisError("ERR Server is not in import mode")
    return OK


def _on_or_off(word: bytes) -> bool:
    if word.upper() not in (b"ON", b"OFF"):
        raise SyntaxFault()
    return word.upper() == b"ON"


@command("CLIENT REPLY <ON | OFF | SKIP>", USUAL | NO_MULTI | ALLOW_BUSY, since="3.2.0", complexity="O(1)")
def reply(session: "Session", word: bytes) -> Status | NoReply:
    """Instructs the server whether to reply to commands."""
    mode = word.upper()
    if mode not in (b"ON", b"OFF", b"SKIP"):
        raise SyntaxFault()
    if mode == b"ON":
        session.replies = Replies.ON
    elif mode == b"OFF":
        session.replies = Replies.OFF
    elif session.replies is not Replies.OFF:
        session.replies = Replies.SKIP_NEXT
    session.changed()
    return OK if mode == b"ON" else NO_REPLY


# What it asks for another


@command(
    "CLIENT UNBLOCK client-id [TIMEOUT | ERROR]",
    ADMIN | USUAL,
    since="5.0.0",
    complexity="O(log N) where N is the number of client connections",
)
def unblock(session: "Session", client_id: bytes, *options: bytes) -> int | AskShards | Wait:
    """Unblocks a client blocked by a blocking command from a different connection."""
    # Where anything comes behind the reason, nothing is looked at, as in Valkey.
    reason = options[0].upper() if len(options) == 1 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise RedisError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    blocked = session.router.sessions.get(integer(client_id))
    blocking = None if blocked is None else blocked.blocking
    error = "UNBLOCKED client unblocked via CLIENT UNBLOCK" if reason == b"ERROR" else TIMED_OUT
    if isinstance(blocking, BlockingOverShards | Acknowledgement):
        return Wait(partial(blocking.unblock, error))
    if blocking is None or blocking.run is None:
        return 0
    # The shard knows whether the call still waits when this comes.
    return AskShards(blocking.message(error), lambda answers: int(answers[0]), [blocking.run.shard])
