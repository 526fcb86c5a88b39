"""Who waits for maxmemory, and for what: nobody is refused by what was known before something was freed.

A write that takes nothing may free something: DEL, FLUSHALL and LPOP, but a RENAME over shards or an EXPIRE too. While
writes are refused, its client is a giver. The next command that would be refused waits then for a round: all shards
are asked what they take, and free first what they were given to free.

Rule 1: one round is enough, if it began when all that its own client had sent before was answered. What others have
        done meanwhile might as well have come behind it: who waits is not kept waiting by them.
Rule 2: a giver is one until a round that finds it answered is over, for what it does may come late: it may have to wait
        for keys of several shards. One that blocks is none until its call is answered.
Rule 3: while shards are freeing, round follows round.
Rule 4: no wait is longer than WAIT_S: a shard that stands still holds nobody up. Who has waited so long goes by what is
        known.
Rule 5: rounds cost the shards a part of their time, and not more: see PAUSE_PART.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from router.link import LinkState

if TYPE_CHECKING:
    import asyncio

    from router.budget import Budget
    from router.session import Session

WAIT_S = 2.0
"""How long a command waits at most, from when what its client sent before is answered."""
PAUSE_PART = 4
"""How much longer than a round took it is until the next: what shards look at for it is a fifth of their time."""
PAUSE_S_MIN, PAUSE_S_MAX = 0.002, 0.5
"""But so long at least, for what is freed a piece at a time, and at most: a round may be long for another reason."""


class Recount:
    """The clients that wait, and the rounds."""

    def __init__(self, budget: "Budget") -> None:
        self.budget = budget
        self.router = budget.router
        self.held: dict[Session, asyncio.TimerHandle] = {}
        """Who waits, and what ends that if nothing else does."""
        self.givers: set[Session] = set()
        self.doubtful = False
        """Whether somebody may have freed something who is not among the givers."""
        self._settled = True
        """Whether all that was known of when the last round began is counted."""
        self._going: dict[Session, bool] = {}
        """Who goes on in a later turn, and whether what is known by now is enough to refuse its command."""
        self._informed: Session | None = None
        """Whose next command need not wait again."""
        self._asked: set[int] = set()
        """Shards whose answers this round waits for."""
        self._concerned: dict[Session, None] = {}
        """Those that wait for whom this round is enough."""
        self._planned = False
        self._began_s = self._again_s = 0.0

    # What clients do

    def begin(self, *, doubtful: bool) -> None:
        """From here on `note` hears of what clients do; it is `doubtful` what they did before."""
        self.doubtful = doubtful
        self.givers.update(session for session in self.router.sessions.values() if session.batches)

    def note(self, session: "Session") -> None:
        """This client writes, and takes nothing."""
        self.givers.add(session)

    def forget(self, session: "Session") -> None:
        """The client is gone; what it has freed stays so."""
        self._leave(session)
        if session in self.givers:
            self.givers.discard(session)
            self.doubtful = True

    def is_informed(self, session: "Session") -> bool:
        """Whether its next command has waited; to be asked for each that is looked at."""
        found = self._informed is session
        self._informed = None
        return found

    def is_needed(self) -> bool:
        """Whether something may have been freed that is not counted."""
        return self.doubtful or not self._settled or bool(self.givers)

    def hold(self, session: "Session") -> None:
        """Has the client's next command wait."""
        session.hold()
        self.held[session] = self.router.loop.call_later(WAIT_S, self._time_out, session)
        if self._asked and not (self.doubtful or self.givers or session.batches):
            self._concerned[session] = None  # All that was freed before it came was so before this round began.
        self._plan()

    def release(self, sessions: Iterable["Session"], *, informed: bool) -> None:
        """Has clients go on; those whose command need not wait again are `informed`."""
        # In a later turn: what comes before it in its batch may be under way.
        going = dict.fromkeys(sessions, informed)
        if going and not self._going:
            self.router.loop.call_soon(self._go_on)
        self._going |= going

    def _go_on(self) -> None:
        going, self._going = self._going, {}
        for session, informed in going.items():
            if self._leave(session):
                session.held = False
                self._informed = session if informed else None
                session.pump()
        self._informed = None

    def _leave(self, session: "Session") -> bool:
        """Has it wait no more. Whether it did."""
        timer = self.held.pop(session, None)
        if timer is not None:
            timer.cancel()
            self._concerned.pop(session, None)
        return timer is not None

    def _time_out(self, session: "Session") -> None:
        if session.batches:
            self.held[session] = self.router.loop.call_later(WAIT_S, self._time_out, session)
        else:
            self.release([session], informed=True)

    # Rounds

    def _plan(self) -> None:
        if not self._planned and not self._asked:
            self._planned = True
            # Later than all that was begun in this turn.
            self.router.loop.call_later(max(0.0, self._again_s - self.router.loop.time()), self._begin)

    def _begin(self) -> None:
        self._planned = False
        if not (self.held and self.budget.refusing):
            return
        self._began_s = self.router.loop.time()
        self._concerned = dict.fromkeys(session for session in self.held if not session.batches)
        if not self._concerned:
            self._again_s = self._began_s + PAUSE_S_MIN
            self._plan()
            return
        self.givers = {session for session in self.givers if session.batches and not _blocks(session)}
        self.doubtful = self._settled = False
        # Those that load would say less than they will take.
        links = [link for link in self.router.links if link.state is LinkState.READY]
        self._asked = {link.index for link in links}
        for link in links:
            link.tell(["memory_use"], partial(self._answered, link.index))
        if not links:
            self._end()

    def _answered(self, index: int, answer: Any) -> None:
        """The answer of one; an error from one that died."""
        self.budget.note(index, answer)
        self._asked.discard(index)
        if not self._asked:
            self._end()

    def _end(self) -> None:
        now_s = self.router.loop.time()
        pause_s = PAUSE_PART * (now_s - self._began_s)
        self._again_s = now_s + min(max(pause_s, PAUSE_S_MIN), PAUSE_S_MAX)
        self.budget.look_at_own()
        self.budget.decide()
        self._settled = not self.budget.is_freeing()
        if self.budget.refusing and self._settled:
            self.release(self._concerned, informed=True)
        self._concerned = {}
        if self.held:
            self._plan()


def _blocks(session: "Session") -> bool:
    return session.blocking is not None and session.blocking.waiting
