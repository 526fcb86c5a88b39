"""A shard as a service of systemd: that it can be reached, how it is, and that its loop runs.

Rule 1: it is ready when the router can connect: from then on its clients are told -LOADING, and systemd may start the
        router. When the whole server is ready the router says.
"""

from typing import TYPE_CHECKING

from common.systemd import Systemd

if TYPE_CHECKING:
    from shard.server import Shard


class Service:
    """What a shard says to systemd. Where there is none it costs nothing."""

    def __init__(self, shard: "Shard", systemd: Systemd) -> None:
        self.shard = shard
        self.systemd = systemd

    def begin(self) -> None:
        """It can be reached; it beats from here on."""
        self.systemd.tell("READY=1", status=self.status())
        if self.systemd:
            self._beat()

    def look(self) -> None:
        """It has loaded, or begins to serve."""
        if self.systemd:
            self.systemd.tell(status=self.status())

    def stopping(self) -> None:
        """It ends."""
        self.systemd.tell("STOPPING=1", status="stopping: the log goes to disk")

    def status(self) -> str:
        """How it is, in a line of `systemctl status`."""
        shard = self.shard
        if not shard.loaded:
            return f"loading: {shard.commands_loaded:,} commands of the log so far"
        if shard.executor.loading:
            return "loaded, waits for the other shards"
        refusal = f", refuses writes: {shard.executor.refusal}" if shard.executor.refusal else ""
        return f"{sum(db.size for db in shard.store.dbs):,} keys{refusal}"

    def _beat(self) -> None:
        self.systemd.tell("WATCHDOG=1", status="" if self.shard.stopped.is_set() else self.status())
        self.shard.loop.call_later(self.systemd.beat_s, self._beat)
