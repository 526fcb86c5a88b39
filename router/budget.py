"""maxmemory: one budget for all shards, and who must refuse or evict when it is used up.

Each shard says what it takes, and the router adds what its clients take. While the sum is well below the limit nobody
is told anything. Near it each shard is allowed a part, and the parts are the whole: a shard that reaches its own evicts
by itself. So that what goes is what was not used for the longest in the whole, and not in each shard, the parts move:
each is given room for what comes to it until it is heard next, and those give way for that whose next victims are the
oldest. That is a matter of some ms, for a shard that has a flood of writes tells of itself that often.

Rule 1: without the directive this costs nothing. With it, and below the limit, one look at `gated` per unusual command.
Rule 2: commands that may take memory (DENYOOM) are refused when the sum is above the limit and no shard can evict; as
        Redis does, before anything of them is done, when they are queued by MULTI, and again at EXEC.
Rule 3: when the directive is set all shards are asked, and told, before the next such command begins: it waits.
Rule 4: nobody is refused by what was known before something was freed: see recount.py.
Rule 5: a shard that is down has its part all the same: it will load what it had.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from common.memory import Gauge
from router.link import LinkState
from router.recount import Recount
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
AHEAD_MS = 30
"""For so long a shard has room for what comes to it; it tells of itself every 10 ms when it evicts."""
AHEAD_PART = 32
"""The part of the limit that this room is at most, of all shards."""
RATE_MS_MIN, RATE_MS_MAX = 10, 250
"""What came to a shard is taken for the rate of at least so long; a rate that was higher is forgotten after so long."""
LATE_PART = 256
"""Above the limit by this part of it nobody has such room: who should give way does not keep up."""
STEP_BYTES_MIN = 4 * 1024
SPARE_PART = 1024
"""The part of the limit that is allowed to nobody, so that the sum comes to rest below the limit."""
NEAR_USES = 0.5
"""Frequencies that differ by less count as nearly equal: the nearer two shards are, the more evenly they give."""
NEAR_S, NEAR_AGE_PART = 1.0, 50
"""The same for times: so many seconds, and this part of the age."""
LOOK_S = 0.1
"""How often the router looks what it takes itself."""
CLIENT_BYTES = 1024
"""The least that a client is counted with."""


class Part:
    """What is known of a shard."""

    __slots__ = (
        "used_bytes",
        "score",
        "exhausted",
        "keys",
        "freeing",
        "rate",
        "allowed_bytes",
        "tight",
        "_came_bytes",
        "_since_ms",
    )

    def __init__(self) -> None:
        self.used_bytes = 0
        self.score = 0.0
        """Of its next victims: see shard/eviction.py."""
        self.exhausted = False
        """Whether it has nothing to evict."""
        self.keys = 0
        """Those that may go."""
        self.freeing = False
        """Whether it has garbage: it will take less."""
        self.rate = 0.0
        """Bytes that come to it in a ms."""
        self._came_bytes = 0
        self._since_ms = 0
        self.allowed_bytes = -1
        """What it was told; -1 for nothing."""
        self.tight: bool | None = None
        """Whether it is bound to that; None if it may go by what a router before this one has said."""

    def can_give(self) -> bool:
        """Whether it has something to evict. A shard that is told anew that it may take what it takes does not try, and
        is not exhausted any more: so it counts, too, whether there are keys."""
        return not self.exhausted and self.keys > 0 and self.used_bytes > 0

    def hear(
        self, now_ms: int, used_bytes: int, score: float, exhausted: bool, came_bytes: int, keys: int, freeing: bool
    ) -> None:
        self.used_bytes, self.score, self.exhausted, self.keys = used_bytes, score, exhausted, keys
        self.freeing = freeing
        self._came_bytes += came_bytes
        passed_ms = now_ms - self._since_ms
        if passed_ms >= RATE_MS_MIN or came_bytes > self.rate * RATE_MS_MIN:
            # A flood is taken for what it is at once, and not forgotten for a pause.
            rate = self._came_bytes / max(passed_ms, RATE_MS_MIN)
            self.rate = max(rate, self.rate * (1 - min(1.0, passed_ms / RATE_MS_MAX)))
            self._came_bytes, self._since_ms = 0, now_ms


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
        self.recount = Recount(self)
        self.exceeded_ms = 0
        """For how long the sum was above the limit, all told, but for this time."""
        self.exceeded_since_ms = 0
        """Since when it is; 0 if it is not."""
        self._asked: set[int] = set()
        """Shards whose answers are waited for, since the directive was set."""
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
                # In a later turn: the table of commands, which this shard brings if it is the first, is no client's.
                self.router.loop.call_soon(self._begin)
            if self.limit_bytes:
                before, self.parts[link.index] = self.parts[link.index], Part()
                self.parts[link.index].used_bytes = before.used_bytes
                link.tell(["memory_use"], partial(self._hear, link.index))

    def _begin(self) -> None:
        """Counts what clients take from here."""
        if self.router.sessions:
            self.gauge.look_bytes()
            self.gauge.note_empty()
        else:
            self.gauge.begin()
        self.look_at_own()

    # What shards say

    def heard(self, link: "Link", use: list[Any]) -> None:
        """A shard says what it takes: see shard/budget.py."""
        self.note(link.index, use)
        self.decide()

    def note(self, index: int, answer: Any) -> bool:
        """Takes over what a shard answers: nothing of one that died. Whether it said something."""
        said = isinstance(answer, list)
        if said:
            self.parts[index].hear(self.router.now_ms(), *answer)
        return said

    def _hear(self, index: int, answer: Any) -> None:
        if self.note(index, answer):
            self.decide()

    def _ask(self) -> None:
        """Asks all shards; until all have answered, commands that may take memory wait."""
        # Not those that load: they would say less than they will take, and are asked when they are ready.
        links = [link for link in self.router.links if link.state is LinkState.READY]
        self._asked = {link.index for link in links}
        for link in links:
            link.tell(["memory_use"], partial(self._answered, link.index, True))
        self._gate(refusing=False)

    def _answered(self, index: int, first: bool, answer: Any) -> None:
        """The answer of one, to the `first` question or to what it was told then."""
        self.note(index, answer)
        if not self.limit_bytes or index not in self._asked:
            return
        self._asked.discard(index)
        if self._asked:
            return
        if first:
            self.look_at_own()
            told = self._allow(self._room_bytes())
            self._asked = {link.index for link in told}
            for link in told:
                self._tell(link, partial(self._answered, link.index, False))
        if not self._asked:
            self.decide()
            self.recount.release(self.recount.held, informed=False)

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
        if self.note(index, answer) and self.limit_bytes and not self._asked:
            self._refuse()

    def _refuse(self) -> None:
        """Sees whether there is room, or some can be made."""
        over = self._room_bytes() < 0
        self._exceed(over=over)
        helpless = self.policy == NO_EVICTION or not any(part.can_give() for part in self.parts)
        self._gate(refusing=over and helpless)

    def is_freeing(self) -> bool:
        """Whether a shard that is there is freeing something."""
        links = self.router.links
        return any(part.freeing and link.state is LinkState.READY for part, link in zip(self.parts, links, strict=True))

    def _room_bytes(self) -> int:
        return self.limit_bytes - self.own_bytes - sum(part.used_bytes for part in self.parts)

    def _tell(self, link: "Link", then: Any) -> None:
        part = self.parts[link.index]
        link.tell(["memory_allow", part.allowed_bytes, part.tight], then)

    def _allow(self, room_bytes: int) -> list["Link"]:
        """Says anew what each may take; those to be told."""
        tight_bytes = max(self.limit_bytes // TIGHT_PART, TIGHT_BYTES_MIN * len(self.parts))
        tight = room_bytes < (2 if self.parts[0].tight else 1) * tight_bytes
        needs = self._needs(room_bytes) if tight else []
        allowed = self._shares(room_bytes, needs) if tight else [0] * len(self.parts)
        # A change by less than a quarter of the room that they need can wait, so that they are not told every time.
        step_bytes = min(tight_bytes // (8 * len(self.parts)), max(STEP_BYTES_MIN, sum(needs) // (4 * len(self.parts))))
        told = []
        for link, part, allowed_bytes in zip(self.router.links, self.parts, allowed, strict=True):
            change = abs(allowed_bytes - part.allowed_bytes)
            less = room_bytes < 0 and allowed_bytes < part.allowed_bytes
            if tight != part.tight or (tight and (less or change > step_bytes)):
                part.tight, part.allowed_bytes = tight, allowed_bytes
                if link.state is LinkState.READY:
                    told.append(link)
        return told

    def _needs(self, room_bytes: int) -> list[int]:
        """The room that each should have for what comes to it; less if the whole takes more than the limit."""
        needs = [part.rate * AHEAD_MS for part in self.parts]
        most_bytes = self.limit_bytes / AHEAD_PART
        late = min(1.0, max(0.0, -room_bytes / (self.limit_bytes / LATE_PART)))
        scale = (1 - late) * min(1.0, most_bytes / max(1.0, sum(needs)))
        return [int(need * scale) for need in needs]

    def _shares(self, room_bytes: int, needs: list[int]) -> list[int]:
        """What each may take, so that all together take the limit at most."""
        parts = self.parts
        if self.policy == NO_EVICTION:
            return [part.used_bytes + room_bytes // len(parts) if room_bytes > 0 else 0 for part in parts]
        shares = [part.used_bytes + need for part, need in zip(parts, needs, strict=True)]
        left_bytes = room_bytes - self.limit_bytes // SPARE_PART - sum(needs)
        if left_bytes >= 0:
            return [share + left_bytes // len(parts) for share in shares]
        given = self._given(-left_bytes)
        return [max(0, share - size_bytes) for share, size_bytes in zip(shares, given, strict=True)]

    def _given(self, wanted_bytes: int) -> list[int]:
        """What each gives of so many bytes: the older its next victims are, and the more of the keys it has."""
        given = [0] * len(self.parts)
        # Who has nothing to evict takes what it takes.
        left = [place for place, part in enumerate(self.parts) if part.can_give()]
        while left and wanted_bytes > 0:
            oldest = max(self.parts[place].score for place in left)
            near = self._near(oldest)
            weights = {}
            for place in left:
                part = self.parts[place]
                nearness = 1 - (oldest - part.score) / near
                if nearness > 0:
                    weights[place] = nearness * max(1, part.keys)
            before_bytes, total = wanted_bytes, sum(weights.values())
            for place, weight in weights.items():
                most_bytes = self.parts[place].used_bytes - given[place]
                size_bytes = min(int(before_bytes * weight / total) + 1, most_bytes)
                given[place] += size_bytes
                wanted_bytes -= size_bytes
            # What those can't give that have no more others do that are as old, or else those that are younger.
            left = [place for place in left if given[place] < self.parts[place].used_bytes]
        return given

    def _near(self, score: float) -> float:
        """By how much a score has to be less than this one for its shard to give nothing."""
        if "lfu" in self.policy:
            return NEAR_USES
        return NEAR_S + abs(self.router.now_ms() / 1000 + score) / NEAR_AGE_PART

    # What it takes itself

    def _look(self) -> None:
        self._looking = self.limit_bytes > 0 and not self.router.stopped.is_set()
        if self._looking:
            self.router.loop.call_later(LOOK_S, self._look)
            before_bytes = self.own_bytes
            self.look_at_own()
            if abs(self.own_bytes - before_bytes) > self.limit_bytes // (4 * TIGHT_PART):
                self.decide()

    def look_at_own(self) -> None:
        grown_bytes = self.gauge.recent_bytes()
        if not self.router.sessions:
            self.gauge.note_empty()
            grown_bytes = 0
        self.own_bytes = max(grown_bytes, CLIENT_BYTES * len(self.router.sessions))

    # What it means for clients

    def stops(self, session: "Session", command: Command) -> bool:
        """Whether `command` has to wait until the shards have answered.  Raises RedisError if it is refused. While this
        is `gated` it hears of every write, also of those that are never refused: they may free something."""
        informed = self.recount.is_informed(session)
        commands = [command]
        if command.name == EXEC and session.transaction is not None:
            commands = session.transaction.commands(self.router.table.find)
        if not any(one.flags & Flag.DENYOOM for one in commands):
            if any(one.flags & Flag.WRITE for one in commands):
                self.recount.note(session)
            return False
        if not informed and (self._asked or self.recount.is_needed()):
            self.recount.hold(session)
            return True
        if self.refusing:
            raise RedisError(OOM)
        return False

    def _gate(self, *, refusing: bool) -> None:
        """Begins or ends to look at commands, and lets go on who waited."""
        self.refusing = refusing
        gated = refusing or bool(self._asked)
        if gated != self.gated:
            self.gated = gated
            if gated:
                self.recount.begin(doubtful=refusing)
            if self.router.routes:
                self.router.choose_routes()
        if not gated:
            self.recount.release(self.recount.held, informed=False)

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


def memory(router: "Router", link: "Link", *use: Any) -> None:
    router.budget.heard(link, list(use))


EVENTS = {"memory": memory}
"""What shards tell while there is a limit."""
