"""maxmemory: one budget for all shards, and who must refuse or evict when it is used up.

Each shard says what it takes, and the router adds what its clients take. While the sum is well below the limit nobody
is told anything. Near it each shard is allowed a part, and the parts are the whole: a shard that reaches its own evicts
by itself. Round by round the parts move to where the next victims are the younger ones, so that what goes is what was
not used for the longest in the whole, and not in each shard.

Rule 1: without the directive this costs nothing. With it, and below the limit, one look at `gated` per unusual command.
Rule 2: commands that may take memory (DENYOOM) are refused when the sum is above the limit and no shard can evict; as
        Redis does, before anything of them is done, when they are queued by MULTI, and again at EXEC.
Rule 3: when the directive is set all shards are asked, and told, before the next such command begins: it waits.
Rule 4: a shard that is down has its part all the same: it will load what it had.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from common.memory import Gauge
from router.link import LinkState
from router.transaction import EXEC

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router
    from router.session import Session

OOM = "OOM command not allowed when used memory > 'maxmemory'."
NO_EVICTION = "noeviction"
TIGHT_PART = 64
"""Below the limit by this part of it, or less, shards are bound to what they are allowed."""
TIGHT_BYTES_MIN = 64 * 1024
"""The same, for each shard, if it is more."""
SHIFT_PART = 16
"""At most this part of the limit moves from one shard to another in a round: where their scores differ wholly."""
AHEAD = 4
"""For so many rounds a shard is given what it had to evict in one."""
SPARE_PART = 1024
"""The part of the limit that is allowed to nobody, so that the sum comes to rest below the limit."""
NEAR_SCORE = 0.05
"""Scores that differ by less, or by 1, count as equal."""
LOOK_S = 0.1
"""How often the router looks what it takes itself."""
CLIENT_BYTES = 1024
"""The least that a client is counted with."""


class Part:
    """What is known of a shard."""

    __slots__ = ("used_bytes", "score", "exhausted", "displaced_bytes", "allowed_bytes", "tight")

    def __init__(self) -> None:
        self.used_bytes = 0
        self.score = 0
        """Of its next victim: see shard/eviction.py."""
        self.exhausted = False
        """Whether it has nothing to evict."""
        self.displaced_bytes = 0
        """What it has evicted for what came in, since its part was made larger for that."""
        self.allowed_bytes = -1
        """What it was told; -1 for nothing."""
        self.tight: bool | None = None
        """Whether it is bound to that; None if it may go by what a router before this one has said."""

    def hear(self, used_bytes: int, score: int, exhausted: bool, displaced_bytes: int) -> None:
        self.used_bytes, self.score, self.exhausted = used_bytes, score, exhausted
        self.displaced_bytes += displaced_bytes


def is_older(one: Part, other: Part) -> bool:
    """Whether the next victim of the `one` would be missed less."""
    return one.score - other.score > max(1, NEAR_SCORE * abs(one.score))


class Budget:
    """The limit, and the parts."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.gauge = Gauge()
        self.limit_bytes = 0
        """0: none."""
        self.policy = NO_EVICTION
        self.parts = [Part() for _ in range(router.shards)]
        self.own_bytes = 0
        """What clients take in this process."""
        self.refusing = False
        self.gated = False
        """Whether commands that may take memory are looked at: they are refused, or have to wait."""
        self.held: dict[Session, None] = {}
        """Clients whose next command waits."""
        self.exceeded_ms = 0
        """For how long the sum was above the limit, all told, but for this time."""
        self.exceeded_since_ms = 0
        """Since when it is; 0 if it is not."""
        self._asked: set[int] = set()
        """Shards whose answers are waited for."""
        self._looking = False
        self._ready = False

    def configure(self) -> None:
        """Takes over the directives."""
        values = self.router.config.values
        limit_bytes, policy = values["maxmemory"], values["maxmemory-policy"]
        changed = (limit_bytes, policy) != (self.limit_bytes, self.policy)
        self.limit_bytes, self.policy = limit_bytes, policy
        if not changed:
            return
        for part in self.parts:
            part.exhausted, part.tight, part.allowed_bytes = False, False, -1
        if limit_bytes:
            self._ask()
            if not self._looking:
                self._looking = True
                self.router.loop.call_later(LOOK_S, self._look)
        else:
            self._asked.clear()
            self._exceed(over=False)
            self._gate(refusing=False)

    def met(self, link: "Link") -> None:
        """The state of a shard is another one."""
        if link.state is LinkState.READY:
            if not self._ready and all(other.state is LinkState.READY for other in self.router.links):
                self._ready = True
                if not self.router.sessions:
                    self.gauge.begin()  # The table of commands is no client's.
            if self.limit_bytes:
                self.parts[link.index] = Part()
                link.tell(["memory_use"], partial(self._hear, link.index))

    # What shards say

    def heard(self, link: "Link", use: list[Any]) -> None:
        """A shard says what it takes: see shard/budget.py."""
        self.parts[link.index].hear(*use)
        self.decide()

    def _hear(self, index: int, answer: Any) -> None:
        """The same, in answer to a question; not from one that died."""
        if isinstance(answer, list):
            self.parts[index].hear(*answer)
            self.decide()

    def _ask(self) -> None:
        """Asks all shards; until all have answered, commands that may take memory wait."""
        links = [link for link in self.router.links if link.state is not LinkState.DOWN]
        self._asked = {link.index for link in links}
        for link in links:
            link.tell(["memory_use"], partial(self._answered, link.index, True))
        self._gate(refusing=False)

    def _answered(self, index: int, first: bool, answer: Any) -> None:
        """The answer of one, to the `first` question or to what it was told then."""
        if isinstance(answer, list):
            self.parts[index].hear(*answer)
        if not self.limit_bytes or index not in self._asked:
            return
        self._asked.discard(index)
        if self._asked:
            return
        if first:
            self._look_at_own()
            told = self._allow(self._room_bytes())
            self._asked = {link.index for link in told}
            for link in told:
                self._tell(link, partial(self._answered, link.index, False))
        if not self._asked:
            self.decide()

    # Decisions

    def decide(self) -> None:
        """Goes by what is known."""
        if not self.limit_bytes or self._asked:
            return
        for link in self._allow(self._room_bytes()):
            self._tell(link, partial(self._told, link.index))
        self._refuse()

    def _told(self, index: int, answer: Any) -> None:
        """A shard that was told what it may take says what it takes."""
        if isinstance(answer, list):
            self.parts[index].hear(*answer)
            if self.limit_bytes and not self._asked:
                self._refuse()

    def _refuse(self) -> None:
        """Sees whether there is room, or some can be made."""
        over = self._room_bytes() < 0
        self._exceed(over=over)
        helpless = self.policy == NO_EVICTION or all(part.exhausted or not part.used_bytes for part in self.parts)
        self._gate(refusing=over and helpless)

    def _room_bytes(self) -> int:
        return self.limit_bytes - self.own_bytes - sum(part.used_bytes for part in self.parts)

    def _tell(self, link: "Link", then: Any) -> None:
        part = self.parts[link.index]
        link.tell(["memory_allow", part.allowed_bytes, part.tight], then)

    def _allow(self, room_bytes: int) -> list["Link"]:
        """Says anew what each may take; those to be told."""
        tight_bytes = max(self.limit_bytes // TIGHT_PART, TIGHT_BYTES_MIN * len(self.parts))
        tight = room_bytes < (2 if self.parts[0].tight else 1) * tight_bytes
        allowed = self._shares(room_bytes) if tight else [0] * len(self.parts)
        told = []
        for link, part, allowed_bytes in zip(self.router.links, self.parts, allowed, strict=True):
            change = abs(allowed_bytes - part.allowed_bytes)
            less = room_bytes < 0 and allowed_bytes < part.allowed_bytes
            if tight != part.tight or (tight and (less or change > tight_bytes // (8 * len(self.parts)))):
                part.tight, part.allowed_bytes = tight, allowed_bytes
                if link.state is not LinkState.DOWN:
                    told.append(link)
        return told

    def _shares(self, room_bytes: int) -> list[int]:
        """What each may take, so that all together take the limit at most."""
        parts = self.parts
        if self.policy == NO_EVICTION:
            return [part.used_bytes + room_bytes // len(parts) if room_bytes > 0 else 0 for part in parts]
        room_bytes -= self.limit_bytes // SPARE_PART
        # Who has nothing to evict takes what it takes.
        able = [part for part in parts if not part.exhausted] or parts
        old = max(able, key=lambda part: part.score)
        younger = [part for part in able if is_older(old, part)]
        shares = {id(part): part.used_bytes for part in parts}
        if room_bytes >= 0:
            for part in younger or able:
                shares[id(part)] += room_bytes // len(younger or able)
        elif used_bytes := sum(part.used_bytes for part in able):
            for part in able:
                shares[id(part)] += room_bytes * part.used_bytes // used_bytes
        for young in younger:
            shift_bytes = self._shift_bytes(old, young) // len(younger)
            shares[id(old)] -= shift_bytes
            shares[id(young)] += shift_bytes
        for part in parts:
            part.displaced_bytes = 0
        return [max(0, shares[id(part)]) for part in parts]

    def _shift_bytes(self, old: Part, young: Part) -> int:
        """How much `old`, whose next victims are older, gives away to another one. No more than that one may soon need,
        for nothing is to go while the whole has room: the next round can be a bit late."""
        part = min(1.0, (old.score - young.score) / max(1, abs(old.score)))
        most_bytes = int(self.limit_bytes // SHIFT_PART * part)
        return min(most_bytes, old.used_bytes // 8, AHEAD * young.displaced_bytes)

    # What it takes itself

    def _look(self) -> None:
        self._looking = self.limit_bytes > 0 and not self.router.stopped.is_set()
        if self._looking:
            self.router.loop.call_later(LOOK_S, self._look)
            before_bytes = self.own_bytes
            self._look_at_own()
            if abs(self.own_bytes - before_bytes) > self.limit_bytes // (4 * TIGHT_PART):
                self.decide()

    def _look_at_own(self) -> None:
        self.own_bytes = max(self.gauge.recent_bytes(), CLIENT_BYTES * len(self.router.sessions))

    # What it means for clients

    def stops(self, session: "Session", command: Command) -> bool:
        """Whether `command` has to wait until the shards have answered.  Raises RedisError if it is refused."""
        commands = [command]
        if command.name == EXEC and session.transaction is not None:
            commands = session.transaction.commands(self.router.table.find)
        if not any(one.flags & Flag.DENYOOM for one in commands):
            return False
        if self._asked:
            session.hold()
            self.held[session] = None
            return True
        raise RedisError(OOM)

    def _gate(self, *, refusing: bool) -> None:
        """Begins or ends to look at commands, and lets go on who waited."""
        self.refusing = refusing
        gated = refusing or bool(self._asked)
        if gated != self.gated:
            self.gated = gated
            if self.router.routes:
                self.router.choose_routes()
        if self.held and not self._asked:
            held, self.held = list(self.held), {}
            # In a later turn: what comes before it in its batch may be under way.
            self.router.loop.call_soon(_release, held)

    def _exceed(self, *, over: bool) -> None:
        """Notes when the sum rises above the limit, and when it is below again."""
        now_ms = self.router.now_ms()
        if over and not self.exceeded_since_ms:
            self.exceeded_since_ms = now_ms
        elif not over and self.exceeded_since_ms:
            self.exceeded_ms += now_ms - self.exceeded_since_ms
            self.exceeded_since_ms = 0

    def info(self) -> dict[str, int]:
        """Its lines of INFO stats."""
        current_ms = self.router.now_ms() - self.exceeded_since_ms if self.exceeded_since_ms else 0
        return {
            "total_eviction_exceeded_time": self.exceeded_ms + current_ms,
            "current_eviction_exceeded_time": current_ms,
        }

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT."""
        self.exceeded_ms = 0
        self.exceeded_since_ms = self.router.now_ms() if self.exceeded_since_ms else 0


def _release(held: list["Session"]) -> None:
    for session in held:
        session.held = False
        session.pump()


def memory(router: "Router", link: "Link", *use: Any) -> None:
    router.budget.heard(link, list(use))


EVENTS = {"memory": memory}
"""What shards tell while there is a limit."""
