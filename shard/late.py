"""What waits for a held key: commands and messages that are done, and runs that are answered, later than they came.

Rule 1: while no key is held or waited for nothing here is called: `Executor.detour` is None.
Rule 2: what waited is done at the time of its own frame. Every key sees its commands in the router's order and with the
        router's time, as if nobody had waited.
Rule 3: a late reply leaves as any other does: after the log of its turn was written, see `take`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from common.command import Command
from common.errors import RedisError
from common.frame import AS_ONE, DB_SHIFT, JOINED, VALUES
from common.resp import error_reply, joined
from shard.blocked_keys import ManyKeys
from shard.blocking import Blocked
from shard.execute import Executor, Park
from shard.holds import Holds, Ticket
from shard.refusal import is_error, is_write
from shard.waiters import RemoteWaiter, Waiter, Waiters, hand_over

Message = Callable[[list[Any], int], Any]
"""Does what a message of the router asks; also given its place in its run."""


class LateRun:
    """A run of which something waits."""

    __slots__ = ("origin", "number", "header", "now_ms", "requests", "replies", "missing")

    def __init__(self, origin: object, number: int, header: int, now_ms: int, requests: list[list[Any]]) -> None:
        self.origin = origin
        """The link that it came by."""
        self.number = number
        """Its number in the stream of that link."""
        self.header = header
        self.now_ms = now_ms
        """The time of its frame."""
        self.requests = requests
        self.replies: list[Any] = [None] * len(requests)
        self.missing = 0
        """How many of its requests wait."""

    @property
    def db(self) -> int:
        return self.header >> DB_SHIFT

    @property
    def name(self) -> tuple[object, int]:
        """What its router calls it."""
        return (self.origin, self.number)

    def answer(self) -> Any:
        """All replies, as its header asks for them. Those of what is done as one are one."""
        if self.header & AS_ONE:
            return self.replies[0]
        return joined(self.replies) if self.header & JOINED else self.replies


class Waiting(Ticket):
    """One request of a run that touches blocked keys.

    It is no abstract class, as the Deferred of router/dispatch.py is none: its kinds are told apart by isinstance.
    """

    __slots__ = ("run", "place", "name")

    stays = False
    """Whether it keeps its keys behind `go`, until somebody has it leave."""

    def __init__(self, keys: Iterable[bytes] | None) -> None:
        super().__init__(keys)
        self.run: LateRun | None = None
        self.place = 0
        self.name: tuple[object, int] | None = None
        """By which `Room.named` finds it: a link, and a number that the link's router chose."""

    def go(self, room: "Room") -> Any:
        """Does it, now that it has its turn; its reply."""
        raise NotImplementedError

    def end(self, room: "Room") -> None:
        """Does what is left to do before it gives its keys free, if it has its turn and stays."""

    def done(self, room: "Room", reply: Any) -> None:
        """Does with what `go` gave what has to be done."""
        assert self.run is not None
        room.answer(self.run, self.place, reply, done=True)


class WaitingCommand(Waiting):
    __slots__ = ()

    def go(self, room: "Room") -> Any:
        assert self.run is not None
        return room.execute(self.run.header & ~JOINED, [self.run.requests[self.place]], [self.place], hand_over)[0]

    def done(self, room: "Room", reply: Any) -> None:
        assert self.run is not None
        if type(reply) is Blocked:
            room.waiters.add(reply, self.run, self.place)
        else:
            super().done(room, reply)


class WaitingMessage(Waiting):
    """A message of the router that looks at the whole keyspace."""

    __slots__ = ()

    def go(self, room: "Room") -> Any:
        assert self.run is not None
        return room.message(self.run.requests[self.place], self.place)


TicketOf = Callable[[Iterable[bytes] | None, list[bytes]], Waiting]
"""Makes one for the keys that a call touches, and the call."""


class WaitingWaiter(Waiting):
    """A call that was blocked and could be served, but for keys that are held."""

    __slots__ = ("waiter", "now_ms")

    def __init__(self, keys: Iterable[bytes] | None, waiter: Waiter, now_ms: int) -> None:
        super().__init__(keys)
        self.run, self.place = waiter.run, waiter.place
        self.waiter = waiter
        self.now_ms = now_ms
        """When it had its turn."""

    def go(self, room: "Room") -> None:
        room.executor.turn(self.now_ms)
        room.waiters.resume(self.waiter)

    def done(self, room: "Room", reply: Any) -> None:
        """It was answered, or waits on."""


class Room:
    """The waiting room of a shard."""

    def __init__(self, executor: Executor, message: Message, wholes: set[str]) -> None:
        """`wholes` are the messages of the router that look at the whole keyspace; the others never wait."""
        self.executor = executor
        self.holds = Holds()
        executor.store.blocked = self.holds.blocked
        self.message = message
        self.wholes = wholes
        self.plain = frozenset(name for name, entry in executor.known.items() if has_one_key(entry.command))
        """The names of the commands of one key, which is argv[1]."""
        self.named: dict[tuple[object, int], Waiting] = {}
        self.laid: dict[tuple[object, int], ManyKeys] = {}
        """Keys that are laid aside for a hold to come, by a link and a number as well."""
        self.origin: object = None
        """The link whose frames are being read."""
        self.waiters = Waiters(self)
        self.turn_of: Ticket | None = None
        """The ticket in whose turn something is done: calls that this wakes need not wait for those behind it."""
        self._leaving: list[Ticket] = []
        self._answered: list[LateRun] = []
        """Late runs that are complete, and not yet sent."""
        self._done: list[tuple[LateRun, int]] = []
        """What of late runs was done since the log was written last: run and place."""
        self._unsure: list[Callable[[RedisError], None]] = []
        """Whom to tell if the log of this turn could not be written."""

    # What comes

    def run(self, header: int, requests: list[list[bytes]]) -> Any:
        """As `Executor.run`, while keys are blocked; None if a command has to wait, and so the run is answered late."""
        if not self.holds.wholes and self._pass(requests):
            return self.execute(header, requests, park=self.executor.park)
        late = self.late_run(header, requests)
        places = []
        for place, argv in enumerate(requests):
            keys = self.keys_of(argv)
            if self.holds.blocks(keys):
                self.park(WaitingCommand(keys), late, place)
            else:
                places.append(place)
        if not late.missing:
            return self.execute(header, requests, park=self.executor.park)
        # They have no key in common with those that wait, so it is all one whether they come before them or after.
        free = [requests[place] for place in places]
        for place, reply in zip(places, self.execute(header & ~JOINED, free, places), strict=True):
            late.replies[place] = reply
            self._done.append((late, place))
        return None

    def run_late(
        self,
        header: int,
        requests: list[list[bytes]],
        ticket_of: Callable[[Iterable[bytes] | None, list[bytes]], Waiting],
    ) -> None:
        """Runs each command by a ticket of its own, and answers late whether it waits or not."""
        late = self.late_run(header, requests)
        for place, argv in enumerate(requests):
            ticket = ticket_of(self.keys_of(argv), argv)
            self.park(ticket, late, place)
            if ticket.granted:
                self._go(ticket)
                self.settle()

    def _pass(self, requests: list[list[bytes]]) -> bool:
        """Whether all are plain commands on a key that nobody holds or waits for: what most are, with least ado."""
        plain = self.plain
        queues = self.holds.queues if self.holds.many is None else self.holds.blocked
        for argv in requests:  # noqa: SIM110  A generator costs more than what it goes through.
            if argv[0] not in plain or len(argv) < 2 or argv[1] in queues:
                return False
        return True

    def messages(self, header: int, messages: list[list[Any]]) -> Any:
        """The answers to messages of the router, or None if one waits."""
        self.executor.store.number = self.executor.number
        late = self.late_run(header, messages)
        for place, message in enumerate(messages):
            if self.holds.line and message[0] in self.wholes:
                self.park(WaitingMessage(None), late, place)
                continue
            answer = self.message(message, place)
            if isinstance(answer, Waiting):
                self._enter(answer, late, place)
            elif isinstance(answer, RemoteWaiter):
                late.missing += 1
                self.waiters.keep(answer, late, place)
            else:
                late.replies[place] = answer
            self.settle()
            if self.executor.store.ready:
                self.waiters.wake()
        return None if late.missing else late.replies

    def late_run(self, header: int, requests: list[list[Any]]) -> LateRun:
        """The run that is being read, as one of which something waits."""
        return LateRun(self.origin, self.executor.number, header, self.executor.store.now_ms, requests)

    def _enter(self, ticket: Waiting, late: LateRun, place: int) -> None:
        """Lets a ticket of the router's go if it has its turn."""
        self.park(ticket, late, place)
        if ticket.granted:
            late.missing -= 1
            late.replies[place] = ticket.go(self)
            if not ticket.stays:
                self._leave(ticket)

    def park(self, ticket: Waiting, late: LateRun, place: int) -> None:
        ticket.run, ticket.place = late, place
        late.missing += 1
        self.holds.enter(ticket)
        if ticket.name is not None:
            self.named[ticket.name] = ticket
        self.executor.detour = self.run

    def keys_of(self, argv: list[bytes]) -> Iterable[bytes] | None:
        """The keys that a call touches, None for all that there are."""
        entry = self.executor.known.get(argv[0])
        command = self.executor.table.resolve(argv) if entry is None else entry.command
        if command is None or not command.shortest <= len(argv) <= command.longest:
            return ()  # It is only told so.
        if not command.has_keys or touches_more(command):
            return None
        if has_one_key(command):
            return (argv[1],)
        try:
            return [argv[index] for index in command.keys_of(argv)]
        except RedisError:
            return None

    # What goes on

    def leave(self, ticket: Waiting) -> None:
        """Gives the keys of a ticket free at the next `settle`. If it waits, it is answered None."""
        self._leave(ticket)
        if not ticket.granted and ticket.run is not None:
            self.answer(ticket.run, ticket.place, None)

    def abandon(self, name: tuple[object, int]) -> bool:
        """Takes out a call that waits for a held key: it would block, and its client is gone. Whether there is one."""
        for ticket in self.holds.line.values():
            if type(ticket) is WaitingCommand and ticket.run is not None and ticket.run.name == name:
                self._leave(ticket)
                self.answer(ticket.run, ticket.place, b"")
                return True
        return False

    def delays(self, waiter: Waiter) -> bool:
        """Whether a blocked call that has its turn must wait for a held key; then it is served when it need not."""
        if not self.holds.line:
            return False
        keys = self.keys_of(waiter.argv)
        if self.turn_of is not None and not self.holds.blocks_beside(self.turn_of, keys):
            return False
        if self.turn_of is None and not self.holds.blocks(keys):
            return False
        waiter.parked = True
        self.holds.enter(WaitingWaiter(keys, waiter, self.executor.store.now_ms))
        return True

    def settle(self) -> None:
        """Does all that waited for what has left. A loop and no recursion: a key can have a very long queue."""
        if not self._leaving:
            return
        executor = self.executor
        now_ms, number = executor.store.now_ms, executor.number
        ready: deque[Ticket] = deque()
        while self._leaving or ready:
            while self._leaving:
                ready += self.holds.leave(self._leaving.pop())
            if ready and (ticket := ready.popleft()).order in self.holds.line:
                self._go(ticket)
        executor.turn(now_ms)
        executor.number = executor.store.number = number
        if not self.holds.line:
            executor.detour = None

    def _go(self, ticket: Ticket) -> None:
        assert isinstance(ticket, Waiting) and ticket.run is not None
        self.executor.turn(ticket.run.now_ms)
        self.executor.number = self.executor.store.number = ticket.run.number
        with self.in_turn_of(ticket):
            reply = ticket.go(self)
        if not ticket.stays:
            self._leave(ticket)
        ticket.done(self, reply)

    @contextmanager
    def in_turn_of(self, ticket: Ticket) -> Iterator[None]:
        """What is done inside belongs to the turn of `ticket`, before all that waits for its keys."""
        before, self.turn_of = self.turn_of, ticket
        try:
            yield
        finally:
            self.turn_of = before

    def _leave(self, ticket: Waiting) -> None:
        self._leaving.append(ticket)
        if ticket.name is not None:
            del self.named[ticket.name]

    def answer(self, run: LateRun, place: int, reply: Any, *, done: bool = False) -> None:
        """Gives one request of a late run its reply. `done` says that it ran: what it did has to be in the log."""
        if done:
            self._done.append((run, place))
        run.replies[place] = reply
        run.missing -= 1
        if not run.missing:
            self._answered.append(run)

    def execute(
        self, header: int, requests: list[list[bytes]], places: Sequence[int] | None = None, park: Park | None = None
    ) -> Any:
        """Runs commands that have their turn. `places` are theirs in their run, for the reports of slow ones; `park`
        takes a call that would block, None if that must not be."""
        executor = self.executor
        reported = len(executor.slow)
        before = executor.detour, executor.park
        executor.detour, executor.park = None, park
        try:
            return executor.run(header, requests)
        finally:
            executor.detour, executor.park = before
            if places is not None and len(executor.slow) > reported:
                executor.slow[reported:] = [
                    (number, places[place], duration_us) for number, place, duration_us in executor.slow[reported:]
                ]

    # What leaves

    def if_unwritten(self, tell: Callable[[RedisError], None]) -> None:
        """Has `tell` called with the error if the log of this turn cannot be written."""
        self._unsure.append(tell)

    def tell_unsure(self, error: RedisError) -> None:
        """Says that the log of this turn could not be written, to who wanted to know; before any answer is sent."""
        for tell in self._unsure:
            tell(error)
        self._unsure.clear()

    def take(self, error: RedisError | None) -> dict[Any, dict[int, Any]]:
        """The late answers of this turn, by link and number of the run; to be called once the log is written.

        `error` is why it could not be written: then no write of late runs is told that it was done.
        """
        if not self._done and not self._answered and not self._unsure:
            return {}
        if error is not None:
            self.tell_unsure(error)
            for run, place in self._done:
                self._refuse(run, place, error)
        answers: dict[Any, dict[int, Any]] = {}
        for run in self._answered:
            answers.setdefault(run.origin, {})[run.number] = run.answer()
        self._unsure.clear()
        self._done.clear()
        self._answered.clear()
        return answers

    def _refuse(self, run: LateRun, place: int, error: RedisError) -> None:
        request, reply = run.requests[place], run.replies[place]
        if type(request[0]) is bytes and is_write(self.executor.table, request) and not is_error(reply, run.header):
            run.replies[place] = error if run.header & VALUES else error_reply(error)

    def held_by(self, origin: object) -> list[Any]:
        """What keeps keys for a link, or waits to."""
        waiting = [ticket for ticket in self.holds.line.values() if isinstance(ticket, Waiting) and ticket.stays]
        return [ticket for ticket in waiting if ticket.run is not None and ticket.run.origin is origin]

    def drop(self, origin: object) -> None:
        """Gives up the commands that came by a link which is gone, and wait. What they wait for may be done only by the
        next router, and what other shards have done of them is redone behind that."""
        for ticket in list(self.holds.line.values()):
            if not isinstance(ticket, Waiting) or isinstance(ticket, WaitingWaiter):
                continue
            if not ticket.stays and not ticket.granted and ticket.run is not None and ticket.run.origin is origin:
                self._leave(ticket)
                self.answer(ticket.run, ticket.place, b"")

    def forget(self, origin: object) -> None:
        """A link is gone: what it holds is given free. Commands that came by it and wait are done all the same, as they
        would have been had they not waited: other shards have done their parts. Calls that are blocked are forgotten.
        """
        self.waiters.forget(origin)
        self.laid = {name: keys for name, keys in self.laid.items() if name[0] is not origin}
        for ticket in self.held_by(origin):
            if ticket.granted:
                ticket.end(self)
            self.leave(ticket)
        self.settle()
        self.waiters.wake()


def has_one_key(command: Command) -> bool:
    """Whether a call touches nothing but the key argv[1]."""
    return command.first_key == command.last_key == 1 and len(command.key_specs) == 1 and not touches_more(command)


def touches_more(command: Command) -> bool:
    """Whether a command touches keys that its call does not name as such (SORT's BY and GET)."""
    return any(spec.unknown or not spec.finds or "incomplete" in spec.flags for spec in command.key_specs)
