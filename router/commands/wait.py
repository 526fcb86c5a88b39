"""WAIT and WAITAOF: see router/acknowledgement.py. In a transaction nothing waits: they tell how it is."""

from typing import TYPE_CHECKING, Any

from common.command import AGG_MIN, ALL_SHARDS, BLOCKING
from common.errors import RedisError
from common.numbers import integer, maybe_integer
from common.timeouts import duration_ms
from router.acknowledgement import REPLICAS, Acknowledgement, LogAcknowledgement
from router.batch import Later
from router.commands.table import TABLE
from router.dispatch import AskShards, Wait
from router.link import LinkState

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("generic")

FOREVER = 0


@command(
    "WAIT numreplicas timeout",
    BLOCKING,
    since="3.0.0",
    complexity="O(1)",
    acl="connection -keyspace",
    fan=ALL_SHARDS,
    merge=AGG_MIN,
    types="timeout integer",
)
def wait(session: "Session", numreplicas: bytes, timeout: bytes) -> int | Wait:
    """Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."""
    wanted = integer(numreplicas)
    until_ms = _deadline_ms(timeout, session.router.now_ms())
    if wanted <= REPLICAS or session.transaction is not None:
        return REPLICAS
    declared = TABLE.commands["wait"]
    return _waiting(Acknowledgement, declared, until_ms, lambda: REPLICAS)


@command(
    "WAITAOF numlocal numreplicas timeout",
    BLOCKING,
    since="7.2.0",
    complexity="O(1)",
    acl="connection -keyspace",
    fan=ALL_SHARDS,
    merge=AGG_MIN,
    types="timeout integer",
    summary="Blocks until all of the preceding write commands sent by the connection are written to the append-only"
    " file of the primary and/or replicas.",
)
def waitaof(session: "Session", numlocal: bytes, numreplicas: bytes, timeout: bytes) -> list[int] | AskShards | Wait:
    router = session.router
    local = integer(numlocal)
    if not 0 <= local <= 1:
        raise RedisError("ERR value is out of range, value must between 0 and 1")
    replicas = maybe_integer(numreplicas)
    if replicas is None or replicas < 0:
        raise RedisError("ERR value is out of range, must be positive")
    until_ms = _deadline_ms(timeout, router.now_ms())
    logging = router.config["appendonly"]
    if local and not logging:
        raise RedisError("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    declared = TABLE.commands["waitaof"]
    if session.transaction is None and (local or replicas > REPLICAS):
        if not logging:
            return _waiting(Acknowledgement, declared, until_ms, lambda: [0, REPLICAS])
        return _waiting(LogAcknowledgement, declared, until_ms, replicas)
    up = [link.index for link in router.links if link.state is not LinkState.DOWN]
    if not logging or not up:
        return [0, REPLICAS]
    whole = len(up) == router.shards
    return AskShards(["synced"], lambda answers: [int(whole and all(answers)), REPLICAS], up)


def _waiting(kind: type[Acknowledgement], *words: Any) -> Wait:
    """What makes the call wait."""

    def begin(step: Later) -> None:
        kind(step, *words)

    return Wait(begin)


def _deadline_ms(timeout: bytes, now_ms: int) -> int:
    """When a wait of so many milliseconds ends, FOREVER for 0.  Raises RedisError."""
    left_ms = duration_ms(timeout, now_ms)
    return now_ms + left_ms if left_ms else FOREVER
