"""The router as a service of systemd: when it is ready, how it is, and that its loop runs.

Rule 1: ready means that every shard serves. Until then the router answers what it can, -LOADING too, as it always does.
Rule 2: a start takes as long as the shards are loading; if one is not there at all, systemd's TimeoutStartSec ends it.
"""

from functools import partial
from typing import TYPE_CHECKING

from common.errors import RedisError
from common.systemd import Systemd
from router.link import LinkState
from router.saving import Kind

if TYPE_CHECKING:
    from router.server import Router

FAILED, SHUT_DOWN = 3, 4
"""Exit statuses beside 0 and 1: of a router that can't go on, and of one that a client has ended, by which the unit of
systemd knows that it means the whole server. The supervisor has 0 for that."""
LONGER = "EXTEND_TIMEOUT_USEC=60000000"
"""That what takes long goes on: a start for as long as shards load, a stop for as long as a file is saved."""


class Service:
    """What the router says to systemd. Where there is none it costs nothing."""

    def __init__(self, router: "Router", systemd: Systemd) -> None:
        self.router = router
        self.systemd = systemd
        self.ready = False
        self.exit_status = 0
        self._keys: list[int] = []
        """Of each shard, as it answered last."""

    def begin(self) -> None:
        """Beats from here on."""
        self._keys = [0] * self.router.shards
        if self.systemd:
            self._beat()

    def look(self) -> None:
        """The state of a link has changed."""
        if not self.systemd or self.router.stopping:
            return
        if not self.ready and all(link.state is LinkState.READY for link in self.router.links):
            self.ready = True
            self.systemd.tell("READY=1", status=self.status())
            self._ask()
        else:
            self.systemd.tell(status=self.status())

    def ended_by_client(self) -> None:
        """The router stops by SHUTDOWN, and not by a signal."""
        if self.systemd and self.router.config["supervisor-fd"] < 0:
            self.exit_status = SHUT_DOWN

    def stopping(self) -> None:
        """The router stops."""
        self.systemd.tell("STOPPING=1", status="stopping")

    def status(self) -> str:
        """How it is, in a line of `systemctl status`."""
        router = self.router
        states = [link.state for link in router.links]
        down = [str(link.index) for link in router.links if link.state is LinkState.DOWN]
        loading = sum(state in (LinkState.LOADING, LinkState.LOADED) for state in states)
        ready = states.count(LinkState.READY)
        parts = [f"{ready} of {router.shards} shards ready"]
        parts += [f"{loading} loading"] if loading else []
        parts += [f"down: shard {', '.join(down)}"] if down else []
        parts += [f"{sum(self._keys):,} keys", f"{len(router.sessions):,} clients"]
        return ", ".join(parts)

    def _beat(self) -> None:
        router = self.router
        words = ["WATCHDOG=1"]
        save = router.saving.current
        loading = not self.ready and all(link.state is not LinkState.DOWN for link in router.links)
        if loading or (save is not None and save.kind is Kind.SHUTDOWN):
            words.append(LONGER)
        self.systemd.tell(*words)
        if not router.stopping:
            self.systemd.tell(status=self.status())
            self._ask()
        router.loop.call_later(self.systemd.beat_s, self._beat)

    def _ask(self) -> None:
        """Asks the shards how many keys they have."""
        for link in self.router.links:
            if link.state is LinkState.READY:
                link.tell(["count_keys"], partial(self._hear, link.index))

    def _hear(self, index: int, keys: int | RedisError) -> None:
        if isinstance(keys, int) and keys != self._keys[index]:
            self._keys[index] = keys
            if not self.router.stopping:
                self.systemd.tell(status=self.status())
