"""Before a shard serves: what it lacks of writes over several shards, others have, and it is told.

A round begins when every shard has loaded its log and some are not admitted: at a start of the server, of a shard, or
of a router. Each shard reports the records it has (shard/redo.py). Who took part in a write that it does not have gets
the record from one that has it, and does its part. Then all are admitted.

Rule 1: what was sent before a shard died comes before its round. What the others are still to do of it is waited for
        (`_quiet`): of calls under way, which held keys of the dead one, and of writes with a part on it that wait for
        keys which somebody else holds.
Rule 2: while a shard is not admitted it serves nobody, so nobody sees the half of anything.
Rule 3: a round is begun anew from the start if a link is lost in the middle. Whatever was done of it stays right.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.record import lacking
from router.link import LinkState

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router

AGAIN_S = 0.01
"""Until a shard that is not ready for it is asked again: until it has seen the end of the router before, or calls under
way have come to their end."""

Question = tuple["Link", list[Any]]
Steps = Generator[list[Question], list[Any], None]
Report = dict[str, Any]


class NotYet(Exception):
    """A shard can't say yet what it has."""


class Recovery:
    """The rounds of a router, one at a time."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self._steps: Steps | None = None
        self._answers: list[Any] = []
        self._missing = 0
        self._waiting = False

    def look(self) -> None:
        """Begins a round if it is time for one."""
        states = {link.state for link in self.router.links}
        if self._steps is not None or self._waiting or LinkState.LOADED not in states:
            return
        if states <= {LinkState.LOADED, LinkState.READY}:
            if self._quiet():
                self._steps = self._round()
                self._go(None)
            else:
                self._wait()

    def _quiet(self) -> bool:
        """Whether all is done that has a part on a shard which died since."""
        if self.router.records.unheard:
            return False
        return all(holding.alive(shard) for holding in self.router.holdings for shard in holding.streams)

    def _wait(self) -> None:
        self._waiting = True
        self.router.loop.call_later(AGAIN_S, self._again)

    def _again(self) -> None:
        self._waiting = False
        self.look()

    def _round(self) -> Steps:
        router, links = self.router, self.router.links
        doubtful = set(router.records.doubtful)
        reports: list[Report] = yield [(link, ["report"]) for link in links]
        if any(report is None for report in reports):
            raise NotYet()
        last = max(report["last"] for report in reports)
        router.records.recovered(last, set())  # Before anybody is admitted, and ids are given away.
        for id_, shard, holder in lacking(reports):
            (record,) = yield [(links[holder], ["record", id_])]
            yield [(links[shard], ["redo", record])]
        yield [(link, ["admit"]) for link in links if link.state is LinkState.LOADED]
        router.records.recovered(last, doubtful)

    # One step after the other

    def _go(self, answers: list[Any] | None) -> None:
        assert self._steps is not None
        try:
            questions = next(self._steps) if answers is None else self._steps.send(answers)
        except StopIteration:
            self._steps = None
            self.look()
        except NotYet:
            self._steps = None
            self._wait()
        else:
            self._ask(questions)

    def _ask(self, questions: list[Question]) -> None:
        if not questions:
            self._go([])
            return
        self._answers = [None] * len(questions)
        self._missing = len(questions)
        for place, (link, message) in enumerate(questions):
            link.tell(message, self._hearer(place))

    def _hearer(self, place: int) -> Any:
        steps = self._steps

        def hear(answer: Any) -> None:
            if self._steps is not steps:
                return  # Of a round that is over.
            if isinstance(answer, RedisError):
                self._steps = None
                self.look()
                return
            self._answers[place] = answer
            self._missing -= 1
            if not self._missing:
                self._go(self._answers)

        return hear
