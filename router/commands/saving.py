"""SAVE, BGSAVE and what goes with them, the end of the server included: see router/saving.py.

SAVE waits for the file, as in Redis; but other clients are served meanwhile.
"""

from typing import TYPE_CHECKING

from common.command import ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, STALE
from common.errors import RedisError, SyntaxFault
from common.resp import NO_REPLY, OK, NoReply, Status
from router.commands.table import TABLE
from router.dispatch import AskShards
from router.saving import BUSY, IN_PROGRESS, NOT_SAVED, SAVE_PART, Kind
from router.shutdown import CANNOT, needs_save, shut_down
from router.waiting import End, Waiting

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

OTHERWISE_BUSY = (
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a"
    " BGSAVE whenever possible."
)
STARTED = Status("Background saving started")
SCHEDULED = Status("Background saving scheduled")


@command(
    "SAVE",
    ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI,
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
)
def save(session: "Session") -> Waiting:
    """Synchronously saves the database(s) to disk."""
    saving = session.router.saving
    if saving.current is not None:
        raise RedisError(IN_PROGRESS)

    def begin(end: End) -> None:
        saving.begin_alone(Kind.FOREGROUND, SAVE_PART, lambda save: end(RedisError(NOT_SAVED) if save.error else OK))

    return Waiting(begin)


@command("BGSAVE [SCHEDULE | CANCEL]", ADMIN | NOSCRIPT | NO_ASYNC_LOADING, since="1.0.0", complexity="O(1)")
def bgsave(session: "Session", *options: bytes) -> Status | AskShards:
    """Asynchronously saves the database(s) to disk."""
    saving = session.router.saving
    option = options[0].upper() if len(options) == 1 else b""
    if options and option not in (b"SCHEDULE", b"CANCEL"):
        raise SyntaxFault()
    if option == b"CANCEL":
        return Status(saving.cancel())
    if saving.current is not None:
        raise RedisError(IN_PROGRESS)
    if session.transaction is not None:  # As Redis, which forks no child within a transaction.
        saving.schedule()
        return SCHEDULED

    def merge(answers: list[str]) -> Status:
        if BUSY not in answers:
            return STARTED
        if option != b"SCHEDULE":
            raise RedisError(OTHERWISE_BUSY)
        saving.schedule()
        return SCHEDULED

    if not saving.possible():
        return AskShards(SAVE_PART, merge)  # Which says why it can't be.
    return AskShards(saving.begin(Kind.BACKGROUND, SAVE_PART).message(), merge)


@command(
    "LASTSAVE",
    LOADING | STALE | FAST,
    since="1.0.0",
    complexity="O(1)",
    acl="admin dangerous",
    tips="nondeterministic_output",
)
def lastsave(session: "Session") -> int:
    """Returns the Unix timestamp of the last successful save to disk."""
    return session.router.saving.last_save_s


HOWS = {b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"SAFE", b"FAILOVER"}


@command(
    "SHUTDOWN [[NOSAVE | SAVE] [NOW] [FORCE] [SAFE] [FAILOVER] | ABORT]",
    ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
    since="1.0.0",
    complexity="O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise"
    " O(1)",
)
def shutdown(session: "Session", *options: bytes) -> Waiting | NoReply:
    """Synchronously saves the database(s) to disk and shuts down the server."""
    words = {option.upper() for option in options}
    abort = b"ABORT" in words
    if words - HOWS - {b"ABORT"} or (abort and words & HOWS) or words >= {b"SAVE", b"NOSAVE"}:
        raise SyntaxFault()
    if abort:
        raise RedisError("ERR No shutdown in progress.")
    if b"FAILOVER" in words:
        raise RedisError("ERR SHUTDOWN FAILOVER is only supported in cluster mode.")
    router = session.router
    hows = {word.decode().lower() for word in words}
    # The log has every write that was answered, whatever the words say. When the router has ended with status 0 the
    # supervisor stops the shards, which sync their logs.
    if needs_save(router, hows):

        def begin(end: End) -> None:
            def over(done: bool) -> None:
                if done:
                    router.service.ended_by_client()
                end(NO_REPLY if done else RedisError(CANNOT))

            shut_down(router, hows, over)

        return Waiting(begin)
    session.end()
    router.service.ended_by_client()
    router.stop()
    return NO_REPLY
