"""CLIENT TRACKING: clients that cache what they read are told when that changes.

The shards say what changes, while somebody tracks (shard/listeners.py); who has read what is known here, shard by shard
(tracked_keys.py); clients that want to hear of all keys are in broadcast.py.

Rule 1: a client is never left with a stale value in its cache. A read is entered when its answer comes, and its shard
        tells of changes behind its answers: so what was changed later is told later. An invalidation goes behind the
        replies to all that its client has under way (Session.push): so it comes behind the reply that it is about. One
        too many costs the client a read; one that is missing cannot be mended.
Rule 2: while a client tracks, each of its commands is a run of its own. So the numbers of runs say what came first.
Rule 3: when a shard dies all who track are told that all keys changed. What it did last is in its log but may not have
        been told, and what was read of it may be gone with it: nobody can say which of its keys are still the same.
"""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from common.resp import NULL
from router.batch import Batch, Message, Run
from router.broadcast import SEVERAL, Broadcast, array_of
from router.tracked_keys import UNKNOWN, TrackedKeys, moment_of

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router
    from router.session import Session

INVALIDATE = b">2\r\n$10\r\ninvalidate\r\n"
INVALIDATE_CHANNEL = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
BROKEN = b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n"

CLIENT = "client|"
"""How the names of commands begin behind which CLIENT CACHING still holds."""

EVICTED_MAX = 100
"""Keys that leave a table that is too full at a time: it shrinks after a CONFIG SET, but nobody waits for that."""


class Mode(Enum):
    """Which keys a client is told of; the value is what CLIENT TRACKINGINFO calls it."""

    READ = ""
    """All that it has read."""
    OPT_IN = "optin"
    """What it has read right behind CLIENT CACHING YES."""
    OPT_OUT = "optout"
    """What it has read, but for what came right behind CLIENT CACHING NO."""
    BROADCAST = "bcast"


UNWANTED = {Mode.OPT_IN: False, Mode.OPT_OUT: True}
"""Whether CLIENT CACHING was called for what a client does not want to be entered."""


class Tracking:
    """What one session has said by CLIENT TRACKING and CLIENT CACHING."""

    __slots__ = ("session", "mode", "redirect", "noloop", "prefixes", "broken", "caching", "spent")

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.mode = Mode.READ
        self.redirect = 0
        """The id of the client that gets the messages; 0 for this one."""
        self.noloop = False
        """Whether it does not want to hear of its own changes."""
        self.prefixes: set[bytes] = set()
        self.broken = False
        """Whether a message could not be sent because `redirect` is gone."""
        self.caching = False
        """Whether CLIENT CACHING was called for the command that is being begun."""
        self.spent = False
        """Whether that was for one that is begun."""

    # Which reads are entered

    def begin(self) -> None:
        """Another command is looked at."""
        if self.spent:
            self.caching = self.spent = False

    def begun(self, command: Command | None) -> None:
        """It was begun, or refused: None if there is no such command. CLIENT CACHING holds for a whole transaction."""
        transaction = self.session.transaction
        if transaction is None or transaction.executing:
            self.spent = command is None or not command.name.startswith(CLIENT)

    def reads(self, command: Command, argv: list[bytes]) -> Sequence[bytes]:
        """The keys that a call reads and its client is to be told of."""
        if self.mode is Mode.BROADCAST or self.caching is UNWANTED.get(self.mode):
            return ()
        if not command.flags & Flag.READONLY or command.flags & Flag.PUBSUB or not command.has_keys:
            return ()
        try:
            return [argv[index] for index in command.keys_of(argv)]
        except RedisError:
            return ()

    def planned(self, batch: Batch, first: int, command: Command, argv: list[bytes]) -> None:
        """A command was added to `batch`, whose runs from place `first` on are its own."""
        if self.mode is Mode.BROADCAST:
            return
        batch.open = [None] * len(batch.open)
        keys = self.reads(command, argv)
        if not keys and type(batch) is Batch:
            return
        shard_of = self.session.router.shard_of
        for place in range(first, len(batch.runs)):
            run = batch.runs[place]
            if type(run) is Run:
                batch.runs[place] = TrackedRun(run, place + 1, [key for key in keys if shard_of(key) == run.shard])


def reads_of(session: "Session", command: Command, argv: list[bytes]) -> Sequence[bytes]:
    """The keys that a call of that client reads and has to be told of."""
    return () if session.tracking is None else session.tracking.reads(command, argv)


class TrackedRun(Run):
    """A run of a client that tracks: one command, or its part for one shard."""

    __slots__ = ("order", "keys")

    def __init__(self, run: Run, order: int, keys: list[bytes]) -> None:
        """In the place of `run`; `order` is its place in its batch."""
        super().__init__(run.batch, run.shard, run.header)
        self.requests = run.requests
        self.order = order
        self.keys = keys
        """Those that it reads."""

    def order_of(self, part: int) -> int:
        return self.order

    def postponed(self) -> None:
        """What does not wait of it was read now, what does when the answer comes."""
        session = self.batch.session
        session.router.trackers.read(session.id, self.keys)

    def answer(self, replies: Any) -> None:
        self._enter()
        super().answer(replies)

    def take(self, replies: Any) -> None:
        self._enter()
        super().take(replies)

    def _enter(self) -> None:
        session = self.batch.session
        trackers = session.router.trackers
        known = trackers.shards[self.shard]
        at = UNKNOWN if known.late else moment_of(session.router.links[self.shard].answered - 1, self.order)
        for key in self.keys:
            known.enter(key, session.id, at)
        trackers.limit()


class Trackers:
    """All clients that track."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.shards = [TrackedKeys() for _ in range(router.shards)]
        """What they have read, by shard."""
        self.sessions: dict[Session, None] = {}
        """Those that track now."""
        self.known: dict[Session, None] = {}
        """Those and the ones that did, as long as they are connected: what they have read stays entered."""
        self.broadcast = Broadcast(router.loop.call_soon, self.tell)
        self.flushes = [0] * router.shards
        """How often each shard said that it was flushed: all hear of each FLUSHALL, in one order."""
        self.flushes_told = 0
        self.limiting = False

    # Clients

    def enable(self, session: "Session", mode: Mode, redirect: int, prefixes: Sequence[bytes], *, noloop: bool) -> None:
        """CLIENT TRACKING ON: what it says takes the place of what was said before, but for prefixes."""
        tracking = session.tracking
        if tracking is None:
            tracking = session.tracking = Tracking(session)
            self.sessions[session] = None
            self.known[session] = None
            if len(self.known) == 1:
                for link in self.router.links:
                    self._listen(link)
        tracking.mode, tracking.redirect, tracking.noloop, tracking.broken = mode, redirect, noloop, False
        for prefix in (prefixes or (b"",)) if mode is Mode.BROADCAST else ():
            tracking.prefixes.add(prefix)
            self.broadcast.add(session, prefix)
        session.changed()

    def disable(self, session: "Session") -> None:
        """CLIENT TRACKING OFF, or the end of the client."""
        tracking, session.tracking = session.tracking, None
        if tracking is not None:
            del self.sessions[session]
            for prefix in tracking.prefixes:
                self.broadcast.remove(session, prefix)
            session.changed()

    def forget(self, session: "Session") -> None:
        """The client is gone. Its reads are forgotten one by one, when the keys change, or with the last client."""
        self.disable(session)
        if session in self.known:
            del self.known[session]
            if not self.known:
                for link in self.router.links:
                    link.recorder = None
                    link.tell(["track", False])
                for keys in self.shards:
                    keys.clear()

    def _listen(self, link: "Link") -> None:
        """Has a shard tell of changes. The message comes before all that is begun from now on."""
        link.tell(["track", True])
        link.recorder = self.shards[link.index]

    # What shards say

    def made(self, link: "Link") -> None:
        """There is a new stream to a shard."""
        self.flushes[link.index] = self.flushes_told
        if self.known:
            self._listen(link)

    def lost(self, link: "Link") -> None:
        """The stream to a shard is over: see Rule 3."""
        keys = self.shards[link.index]
        keys.clear()
        keys.forget_turn()
        self._tell_all()

    def changed(self, link: "Link", number: int, part: int, key: bytes, *, expired: bool = False) -> None:
        """A run of this link, or nobody, has changed `key`; or has found it `expired`, which is nobody's doing.

        Valkey does not tell NOLOOP clients of keys that they find expired. But who finds it by EXISTS or SCAN still has
        what GET answered.
        """
        keys = self.shards[self.router.shard_of(key)]
        known = key in keys.clients
        if not known and not self.broadcast.prefixes:
            return
        run = self.shards[link.index].ran(number)
        batch = run.batch if isinstance(run, Run) and not isinstance(run, Message) else None
        session = batch.session if batch is not None and not expired else None
        client = session.id if session is not None else SEVERAL
        if self.broadcast.prefixes:
            self.broadcast.changed(key, client, batch)
        if not known:
            return
        # With a key of another shard, which was lent, numbers of this one say nothing of when.
        at = self.shards[link.index].moment(number, part) if keys is self.shards[link.index] else UNKNOWN
        loner = client if session is not None and session.tracking is not None and session.tracking.noloop else SEVERAL
        text = array_of([key])
        for told in keys.changed(key, at, loner):
            self._tell(told, text)

    def flushed(self, link: "Link", number: int, part: int) -> None:
        """A run of this link has thrown away all keys of a db: all clients are told once, for all shards."""
        keys = self.shards[link.index]
        keys.flushed(keys.moment(number, part))
        self.flushes[link.index] += 1
        if self.flushes[link.index] > self.flushes_told:
            self.flushes_told = self.flushes[link.index]
            self._tell_all()

    def read(self, client: int, keys: Sequence[bytes]) -> None:
        """A client has read keys, and nobody can tell which changes that are heard of later were before that."""
        for key in keys:
            self.shards[self.router.shard_of(key)].enter(key, client, UNKNOWN)
        self.limit()

    # Messages

    def _tell(self, client: int, keys: bytes) -> None:
        """Tells a client that has read keys, if it still wants to know."""
        session = self.router.sessions.get(client)
        if session is not None and session.tracking is not None and session.tracking.mode is not Mode.BROADCAST:
            self.tell(session, keys)

    def _tell_all(self) -> None:
        """Tells all that all keys have changed."""
        for session in list(self.sessions):
            self.tell(session, NULL[session.protocol - 2])

    def tell(self, session: "Session", keys: bytes) -> None:
        """Sends the keys, encoded, or NULL for all, to who is to hear what `session` tracks."""
        tracking = session.tracking
        assert tracking is not None
        if not tracking.redirect:
            if session.protocol == 3:
                session.push(INVALIDATE + keys)
            return
        redirect = self.router.sessions.get(tracking.redirect)
        if redirect is not None:
            # Behind the replies of both: the other one may not hear that a key is stale before this one has read it.
            session.afterwards(lambda: send(redirect, keys))
            return
        tracking.broken = True
        if session.protocol == 3:
            session.push(BROKEN % tracking.redirect)

    # The limit

    def limit(self) -> None:
        """Forgets keys if there are more than `tracking-table-max-keys`, the oldest of the shard with the most first:
        their clients are told, as if they had changed."""
        keys_max = self.router.config["tracking-table-max-keys"]
        excess = self.keys - keys_max if keys_max else 0
        for _ in range(min(excess, EVICTED_MAX)):
            key, clients = max(self.shards, key=lambda keys: len(keys.clients)).evict()
            text = array_of([key])
            for client in clients:
                self._tell(client, text)
        if excess > EVICTED_MAX and not self.limiting:
            self.limiting = True
            self.router.loop.call_soon(self._limit_more)

    def _limit_more(self) -> None:
        self.limiting = False
        self.limit()

    # What INFO says

    @property
    def keys(self) -> int:
        return sum(len(keys.clients) for keys in self.shards)

    @property
    def items(self) -> int:
        return sum(keys.items for keys in self.shards)


def send(redirect: "Session", keys: bytes) -> None:
    """Sends what another client tracks. RESP2 has no pushes: a subscriber gets a message of a channel."""
    if redirect.protocol == 3:
        head = INVALIDATE
    elif redirect.subscriptions is not None:
        head = INVALIDATE_CHANNEL
    else:
        return
    redirect.router.pubsub.flush()
    redirect.push(head + keys)


EVENTS = {
    "changed": lambda router, link, *words: router.trackers.changed(link, *words),
    "expired": lambda router, link, *words: router.trackers.changed(link, *words, expired=True),
    "flushed": lambda router, link, *words: router.trackers.flushed(link, *words),
}
"""What shards tell of while somebody tracks."""
