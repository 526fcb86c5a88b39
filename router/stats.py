"""Counters of the router, by the names that INFO gives them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.command_stats import count_kind

if TYPE_CHECKING:
    from router.session import Session


@dataclass(slots=True)
class Stats:
    """What the router itself counts."""

    total_connections_received: int = 0
    rejected_connections: int = 0
    total_commands_processed: int = 0
    total_net_input_bytes: int = 0
    total_net_output_bytes: int = 0
    total_reads_processed: int = 0
    total_writes_processed: int = 0
    total_error_replies: int = 0
    client_query_buffer_limit_disconnections: int = 0
    client_output_buffer_limit_disconnections: int = 0
    evicted_clients: int = 0
    acl_access_denied_auth: int = 0
    acl_access_denied_cmd: int = 0
    acl_access_denied_key: int = 0
    acl_access_denied_channel: int = 0
    acl_access_denied_tls_cert: int = 0
    acl_access_denied_db: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def gather(self, session: "Session") -> None:
        """Adds what a session counted since the last time. Sessions count for themselves: that is cheaper per read."""
        counts = (session.commands, session.bytes_in, session.bytes_out, session.reads, session.writes)
        before, session.gathered = session.gathered, counts
        self.total_commands_processed += counts[0] - before[0]
        self.total_net_input_bytes += counts[1] - before[1]
        self.total_net_output_bytes += counts[2] - before[2]
        self.total_reads_processed += counts[3] - before[3]
        self.total_writes_processed += counts[4] - before[4]

    def count_error(self, text: str) -> None:
        """Counts an error reply by the first word of its text."""
        self.total_error_replies += 1
        count_kind(self.errors, text)
