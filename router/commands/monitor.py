"""MONITOR: see router/monitor.py."""

from typing import TYPE_CHECKING

from common.command import ADMIN, LOADING, NOSCRIPT, STALE
from common.errors import RedisError
from common.resp import NO_REPLY, OK, NoReply, Status
from router import monitor
from router.commands.table import TABLE

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")


@command("MONITOR", ADMIN | NOSCRIPT | LOADING | STALE, since="1.0.0")
def monitor_(session: "Session") -> Status | NoReply:
    """Listens for all requests received by the server in real-time."""
    if session.transaction is not None:
        raise RedisError("ERR MONITOR isn't allowed for DENY BLOCKING client")
    if session.monitoring:
        return NO_REPLY  # The reference says nothing to a second one.
    monitor.begin(session)
    return OK
