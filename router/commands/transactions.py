"""MULTI, EXEC, DISCARD, WATCH and UNWATCH: see router/transaction.py, execution.py and watching.py."""

from typing import TYPE_CHECKING

from common.command import ALLOW_BUSY, AT_ONCE, FAST, LOADING, NO_MULTI, NOSCRIPT, SKIP_COMMANDLOG, STALE
from common.errors import RedisError
from common.resp import OK, Status
from router.commands.table import TABLE
from router.dispatch import AskEach
from router.execution import Execution
from router.transaction import Transaction, discard
from router.watching import Watching

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("transactions")

USUAL = NOSCRIPT | LOADING | STALE


@command("MULTI", USUAL | FAST | NO_MULTI | ALLOW_BUSY, since="1.2.0", complexity="O(1)")
def multi(session: "Session") -> Status:
    """Starts a transaction."""
    session.transaction = Transaction()
    session.transacted = True
    session.changed()
    return OK


@command(
    "EXEC",
    USUAL | SKIP_COMMANDLOG | AT_ONCE,
    since="1.2.0",
    complexity="Depends on commands in the transaction",
)
def exec_(session: "Session") -> Execution:
    """Executes all commands in a transaction."""
    transaction = session.transaction
    if transaction is None:
        raise RedisError("ERR EXEC without MULTI")
    if transaction.broken:
        discard(session)
        raise RedisError("EXECABORT Transaction discarded because of previous errors.")
    return Execution(session, transaction)


@command(
    "DISCARD",
    USUAL | FAST | ALLOW_BUSY | AT_ONCE,
    since="2.0.0",
    complexity="O(N), when N is the number of queued commands",
)
def discard_(session: "Session") -> Status:
    """Discards a transaction."""
    if session.transaction is None:
        raise RedisError("ERR DISCARD without MULTI")
    discard(session)
    return OK


@command(
    "WATCH key [key ...]",
    USUAL | FAST | NO_MULTI | ALLOW_BUSY,
    since="2.2.0",
    complexity="O(1) for every key.",
    keys="RO",
)
def watch(session: "Session", *keys: bytes) -> Status | AskEach:
    """Monitors changes to keys to determine the execution of a transaction."""
    watching = session.watching or Watching(session)
    added = watching.add(keys)
    if not added:
        return OK
    return AskEach({shard: ["watch", watching.id, session.db, new] for shard, new in added.items()}, lambda _: OK)


@command("UNWATCH", USUAL | FAST | ALLOW_BUSY, since="2.2.0", complexity="O(1)")
def unwatch(session: "Session") -> Status:
    """Forgets about watched keys of a transaction."""
    if session.watching is not None:
        session.watching.end()
    return OK
