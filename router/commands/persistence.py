"""BGREWRITEAOF. The work is done in the shards, see shard/rewrite.py."""

from typing import TYPE_CHECKING

from common.command import ADMIN, NO_ASYNC_LOADING, NOSCRIPT
from common.errors import RedisError
from common.resp import Status
from router.commands.table import TABLE
from router.dispatch import AskShards

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

STARTED, SCHEDULED = "started", "scheduled"


@command("BGREWRITEAOF", ADMIN | NOSCRIPT | NO_ASYNC_LOADING, since="1.0.0", complexity="O(1)")
def bgrewriteaof(session: "Session") -> AskShards:
    """Asynchronously rewrites the append-only file to disk."""
    # As Redis, which forks no child within a transaction.
    return AskShards(["rewrite", session.transaction is not None], answered)


def answered(answers: list[str]) -> Status:
    """What the shards do, as one: some may be at it already, because it was their turn."""
    for word in (STARTED, SCHEDULED):
        if word in answers:
            return Status(f"Background append only file rewriting {word}")
    raise RedisError("ERR Background append only file rewriting already in progress")
