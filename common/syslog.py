"""The log of the system: what the log says goes there, too, where `syslog-enabled` says so.

    <134>shardis[4711]: shard 2: loaded 1200 keys in 0.041 s

That nobody takes it is no fault, as for syslog(3): a start and every line do without.
"""

import logging
import os
from logging.handlers import SysLogHandler

from common.log import ERROR, PRIORITIES, name_of

ADDRESS = "/dev/log"
FACILITIES = SysLogHandler.facility_names
PRIORITY_NAMES = {7: "debug", 6: "info", 5: "notice", 4: "warning", 3: "error", 2: "critical"}


class Syslog(SysLogHandler):
    """One process's way to it."""

    append_nul = False

    def __init__(self, ident: str, facility: str, process: str, address: str = ADDRESS) -> None:
        super().__init__(address, FACILITIES[facility])
        self.ident = f"{ident}[{os.getpid()}]: "
        self.setFormatter(logging.Formatter(f"{process.replace('%', '%%')}: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.level_name = name_of(record)
        super().emit(record)

    def mapPriority(self, levelName: str) -> str:
        """The priority of the record that is being sent: `levelName` knows none between DEBUG and INFO."""
        return PRIORITY_NAMES[PRIORITIES.get(self.level_name, ERROR)]

    def handleError(self, record: logging.LogRecord) -> None:
        """Nobody takes it."""
