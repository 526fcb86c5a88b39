"""CLIENT PAUSE and UNPAUSE: see router/pause.py for what waits and how."""

from typing import TYPE_CHECKING

from common.command import ADMIN, LOADING, NOSCRIPT, STALE
from common.errors import RedisError
from common.resp import OK, Status
from common.timeouts import duration_ms
from router.commands.client import command

if TYPE_CHECKING:
    from router.session import Session


@command(
    "CLIENT PAUSE timeout [WRITE | ALL]",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="3.0.0",
    complexity="O(1)",
    types="timeout integer",
)
def pause(session: "Session", timeout: bytes, *options: bytes) -> Status:
    """Suspends commands processing."""
    # Whatever comes behind the mode is ignored, as in Valkey.
    mode = options[0].upper() if options else b"ALL"
    if mode not in (b"WRITE", b"ALL"):
        raise RedisError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    session.router.pause.begin(duration_ms(timeout, session.router.now_ms()), all_commands=mode == b"ALL")
    return OK


@command(
    "CLIENT UNPAUSE",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.2.0",
    complexity="O(N) Where N is the number of paused clients",
)
def unpause(session: "Session") -> Status:
    """Resumes processing commands from paused clients."""
    session.router.pause.end()
    return OK
