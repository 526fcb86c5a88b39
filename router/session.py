"""A client's connection: bytes in, batches out, replies back in the client's order.

Rule 1: replies leave in the order of the requests. A batch that is answered before an earlier one waits for it.
Rule 2: what is under way for one client is bounded by its window. Who feeds faster than it reads, or faster than the
        shards execute, is no longer read: its bytes wait in the kernel and then in the client.
Rule 3: the usual command of a session in its usual state costs one look-up, one CRC and two appends (DESIGN 7): no
        task, closure or exception. Everything else goes through `dispatch`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import time_ns
from typing import TYPE_CHECKING, cast

from common.command import Flag
from common.errors import ProtocolError, RedisError
from common.frame import DB_SHIFT, NO_TOUCH, RESP3
from common.requests import QueryTooLong, Requests
from common.resp import error_reply
from router.address import addresses_of
from router.batch import OPENINGS, Batch
from router.blocking import GONE, READ_BYTES_MAX, Blocking
from router.dispatch import dispatch
from router.paced import PACED_BYTES_MIN, Paced, paced
from router.replies import Replies, dispatch_muted
from router.staging import settle

if TYPE_CHECKING:
    from router.pubsub import Subscriptions
    from router.server import Router
    from router.staging import Staging
    from router.tracking import Tracking
    from router.transaction import Transaction
    from router.watching import Watching

WINDOW_COMMANDS_MAX = 1024
"""Commands under way for one client: some milliseconds' work, more gains no speed."""
WINDOW_COMMANDS_FIRST = 16
"""Commands under way before anything is known of the size of the replies: with 64 of them, 50 new clients that ask for
100 KB each in pipelines brought 320 MB at once, and all others waited for as long as that took."""
WINDOW_COMMANDS_MIN = 2
"""Commands under way however large the replies are; with one at a time it would never be seen that they are small."""
WINDOW_BYTES_MAX = 1024 * 1024
"""Bytes of replies that a client's commands under way may bring, by the size of its last ones: what a client may leave
unread is not more. With 4 MB, 50 clients that read nothing had others wait for 200 MB."""
WINDOW_REPLY_BYTES_SMALL = 4096
"""A single reply up to here says nothing against the window that there is, and need not be reckoned with."""
UNSHARED_BYTES_MAX = 256 * 1024
"""From so much on of a request that is not complete, a client is read once in a turn of the loop."""
OUTGOING_MAX = 1024
"""Messages of one turn that are sent without waiting for its end."""


class Session:
    """One client, from its connection to its end: the protocol of its transport.

    It is no subclass of asyncio.Protocol, which is only a list of the methods below, because a compiled class with C
    fields cannot be one: 2.9 instead of 1.9 µs for a read with one command.
    """

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.id = router.next_client_id()
        self.transport: asyncio.Transport | None = None
        self.requests = Requests(*router.request_limits)
        self.backlog: deque[list[bytes]] = deque()
        self.batches: deque[Batch] = deque()
        self.begun = 0  # Commands under way.
        self.window = WINDOW_COMMANDS_FIRST
        self.outgoing: list[bytes] = []  # Messages that are sent when the turn is over, or with the next reply.
        self.queued_bytes = 0  # Of the messages that wait behind the replies under way.
        self.writing_paused = False
        self.reading_paused = False
        self.beginning = False
        """Whether `begin` runs: what completes meanwhile must not begin more, or a long backlog would recurse."""
        self.waiting = False  # Whether it begins in a later turn, see newcomers.py.
        self.held = False  # Whether the next command waits: for the end of a CLIENT PAUSE, or for recount.py.
        self.held_bytes_max = 0  # Up to which of `bytes_in` it is read while it is held.
        self.stalled = False
        """Whether a shard that this client feeds has more unread than it should: the client is not read meanwhile."""
        self.fault: ProtocolError | QueryTooLong | None = None  # What was wrong with the bytes behind the backlog.
        self.ended = False  # Whether the client has sent all that it will.
        self.closing = False  # Whether the connection ends with what is under way.
        self.address = ""
        self.local_address = ""
        self.unix_socket = False
        self.created_ms = router.now_ms()
        self.active_ms = self.created_ms
        self.bytes_in = 0
        self.bytes_looked_at = 0  # What of `bytes_in` is known to hold no large request, see CommandLogs.
        self.bytes_out = 0
        self.commands = 0
        self.reads = 0
        self.writes = 0
        self.gathered = (0, 0, 0, 0, 0)  # What of these counts `Stats.gather` has added to the server's.
        self.last_command = "NULL"  # The full name of the last command: "client|list".
        self.library_name = b""
        self.library_version = b""
        self.follows_redirects = False  # Whether the client said so (CLIENT CAPA).
        self.blocking: Blocking | None = None
        """The call under way that may block; nothing else is begun meanwhile."""
        self.transacted = False
        """Whether it ever began a transaction or watched a key, which CLIENT LIST tells."""
        self.laden = False  # Whether commands that are not begun may have large arguments: see staging.py.
        self.staging: Staging | None = None  # What is brought for the next of them.
        self.transacting = False
        """Whether an EXEC is under way that takes several turns; nothing else is begun meanwhile."""
        self.replies = Replies.ON
        self.was_authenticated = False  # Whether it ever gave a password.
        self.reset()

    # What a client can change of itself

    def reset(self) -> None:
        """The state of a new connection (RESET). What the client said of its library stays."""
        self.db = 0
        self.protocol = 2
        self.user = self.router.users.default
        self.authenticated = not self.router.users.password_needed()
        self.name = b""
        self.no_touch = False
        self.no_evict = False
        self.transaction: Transaction | None = None  # What is queued since MULTI.
        self.watching: Watching | None = None  # The keys that the next EXEC depends on.
        self.subscriptions: Subscriptions | None = None  # Channels and patterns; None while there are none.
        self.tracking: Tracking | None = None  # What CLIENT TRACKING says, while it is on.
        self.monitoring = False  # Whether it sees the commands of all (MONITOR).
        if self.replies is not Replies.SKIP:  # The reply to RESET itself is skipped then.
            self.replies = Replies.ON
        self.changed()

    def changed(self) -> None:
        """Derives from the state what the hot path goes by; to be called after every change of it."""
        self.header = (self.db << DB_SHIFT) | (RESP3 if self.protocol == 3 else 0) | (NO_TOUCH if self.no_touch else 0)
        router = self.router
        self.routes = self.user.routes
        limited = self.subscriptions is not None and self.protocol == 2
        usual = self.transaction is None and self.tracking is None and not limited and not self.monitoring
        open_ = self.authenticated and self.replies is Replies.ON and not self.closing
        self.plain = usual and open_ and not self.laden and not router.pause.active and not router.monitors
        self.queueing = self.transaction is not None and open_ and not router.pause.active and not self.monitoring
        self.requests.authenticated = self.authenticated

    # In

    def data_received(self, data: bytes) -> None:
        router = self.router
        self.bytes_in += len(data)
        self.reads += 1
        self.active_ms = time_ns() // 1_000_000
        commands = self._complete(data)
        if self.requests.large:
            self.requests.large = False
            self.laden = True
            self.changed()
        if (
            self.backlog
            or self.stalled
            or self.blocking is not None
            or self.transacting
            or not router.known
            or len(commands) > self.window - self.begun
            or (self.reads == 1 and commands and router.newcomers.delays(self))
        ):
            self.backlog.extend(commands)
        elif commands:
            self.begin(commands)
        if self.bytes_in - self.bytes_looked_at >= router.logs.request_bytes_min:
            # Only now: a CONFIG SET of that very number counts for itself, as in Valkey.
            router.logs.note_requests(self, commands)
            self.bytes_looked_at = self.bytes_in - self.requests.query_size_bytes
        if self.backlog or self.requests.stopped or self.fault is not None:
            self.pump()
        elif self.requests.query_size_bytes > UNSHARED_BYTES_MAX:
            # A client that sends faster than it is read would be read 32 times before others had their turn.
            self._read(False)
            router.loop.call_soon(self.pump)

    def _complete(self, data: bytes) -> list[list[bytes]]:
        """The commands that `data` completes; what is wrong with it is kept until they are answered."""
        if self.fault is not None:
            return []
        try:
            return self.requests.feed(data)
        except (ProtocolError, QueryTooLong) as fault:
            self.fault = fault
            return []

    def pump(self) -> None:
        """Begins as much of the backlog as may be under way; reads on only when there is none left."""
        if self.beginning:
            return
        if self.waiting:
            self._read(self.reads == 1)
            return
        backlog = self.backlog
        while self._may_begin():
            if not backlog and self.requests.stopped:
                backlog.extend(self._complete(b""))
            room = min(self.window - self.begun, len(backlog))
            if room <= 0:
                break
            self.begin([backlog.popleft() for _ in range(room)])
        if self.blocking is not None:
            # It is read as long as it may be, so that its end is seen.
            self._read(self.bytes_in < self.blocking.bytes_in_max)
            return
        if self.held and not self.closing:
            self._read(self.bytes_in < self.held_bytes_max and self.fault is None)
            return
        if self.fault is not None and not backlog and not self.closing:
            self._end(self.fault)
        self.held_bytes_max = self.held_bytes_max if backlog else 0  # Not anew for each command that has to wait.
        # Who is closing is not read either: behind a fault the bytes would pile up in the parser.
        self._read(not (backlog or self.writing_paused or self.stalled or self.closing))

    def hold(self) -> None:
        """Begins nothing more until `held` ends. It is read on as long as it may be, so that its end is seen."""
        self.held = True
        self.held_bytes_max = self.held_bytes_max or self.bytes_in + READ_BYTES_MAX

    def _may_begin(self) -> bool:
        """Whether the next command may be begun, as far as this is known before one looks at it."""
        staging = self.staging is not None and self.staging.missing
        waits = self.writing_paused or self.held or self.closing or self.stalled or staging
        return not waits and self.blocking is None and not self.transacting and self.router.known

    def begin(self, commands: list[list[bytes]]) -> None:
        """Begins these commands, in one turn: see Batch. Those that cannot be begun yet go back to the backlog."""
        router = self.router
        if self.subscriptions is not None:
            router.pubsub.flush()
        if self.monitoring:
            router.feed.leave(self)
        batch = Batch(self, router.shards, self.header)
        self.batches.append(batch)
        place, count = 0, len(commands)
        while place < count:
            if self.plain:
                place = batch.forward(commands, place, self.routes, router.owners)
                if (
                    place < count
                    and commands[place][0] in OPENINGS
                    and (behind := self._transact(batch, commands, place))
                ):
                    place = behind
                    continue
            elif self.queueing:
                assert self.transaction is not None
                place = self.transaction.collect(batch, commands, place, self.routes)
            if place == count:
                break
            if not self._dispatch(batch, commands[place]):
                self.backlog.extendleft(reversed(commands[place:]))
                break
            place += 1
            if batch.pushes:
                batch.add_step(batch.take_pushes())
            if (self.blocking is not None or self.transacting) and place < count:
                self.backlog.extendleft(reversed(commands[place:]))
                break
        if not place:
            self.batches.pop()
            return
        if self.laden:
            settle(self, batch)
        batch.size = place
        self.commands += place
        self.begun += place
        self.beginning = True
        try:
            batch.dispatch(router.links)
            if not batch.waiting:
                self.completed()
        finally:
            self.beginning = False
        if self.ended and self.blocking is not None:
            self.blocking.end(GONE)
        if router.congested and not router.congested.isdisjoint([run.shard for run in batch.runs]):
            self.stalled = True
            self._read(False)

    def _transact(self, batch: Batch, commands: list[list[bytes]], place: int) -> int:
        """Adds a usual transaction that came as a whole; the place behind it, 0 if it has to be looked at closer."""
        router = self.router
        if self.watching is not None or not router.steady or not self.user.transacts or router.renames is not None:
            return 0
        started = router.clock_ns()
        behind = batch.transact(commands, place, self.routes, router.owners)
        if behind:
            router.count_transaction(router.clock_ns() - started)
            self.last_command = "exec"
        return behind

    def resume(self) -> None:
        """Goes on after a shard has caught up, unless another one that has work of this client has not."""
        congested = self.router.congested
        if self.stalled and not any(run.shard in congested for batch in self.batches for run in batch.runs):
            self.stalled = False
            self.pump()

    def _dispatch(self, batch: Batch, argv: list[bytes]) -> bool:
        """Adds one unusual command to the batch; False if it has to wait."""
        if self.plain:
            return dispatch(self, batch, argv)
        if self.held or self.closing:
            return False
        if self.replies is Replies.ON:
            return dispatch(self, batch, argv)
        return dispatch_muted(self, batch, argv)

    def check(self, argv: list[bytes]) -> None:
        """Refuses what this session may not do; before anything else is found wrong with it.  Raises RedisError."""
        if not self.authenticated:
            command = self.router.table.resolve(argv)
            if (command is None or not command.flags & Flag.NO_AUTH) and self.router.users.password_needed():
                raise RedisError("NOAUTH Authentication required.")

    # Out

    def completed(self) -> None:
        """Sends what is answered, up to the first batch that is not."""
        batches = self.batches
        while batches and batches[0].dispatched and not batches[0].waiting:
            done = batches.popleft()
            self.begun -= done.size
            replies = done.replies()
            if len(replies) >= self.router.logs.reply_bytes_min:
                self.router.logs.note_replies(self, done, replies)
            if done.size > 1 or len(replies) > WINDOW_REPLY_BYTES_SMALL:
                # At the size of its last replies, what is under way must not bring more than WINDOW_BYTES_MAX.
                window = WINDOW_BYTES_MAX * done.size // (len(replies) + 1) + WINDOW_COMMANDS_MIN
                self.window = min(WINDOW_COMMANDS_MAX, 2 * self.window, window)
            if done.pushes:
                self.write(replies + done.take_pushes())
                done.sent()
            else:
                self.write(replies)
            done.release()
        if self.blocking is not None and not batches:
            self.blocking.over()
            self.blocking = None
        if not batches and self.closing:
            self.close()
        elif not batches and self.ended and not self.backlog:
            self.router.departures.add(self)
        elif self.backlog or self.reading_paused or self.fault is not None:
            self.pump()

    def push(self, data: bytes) -> None:
        """Sends a message that answers nothing, encoded, behind the replies to all that is under way. Of a command that
        is being begun it comes right behind the reply, and a call that waits for a key lets it pass. It goes out when
        the turn is over: one write for all that come in a turn.
        """
        if self.monitoring:
            self.router.feed.leave(self)
        batch = self.newest()
        if self.closing:
            return
        if batch is None:
            outgoing = self.outgoing
            if not outgoing:
                output = self.router.output
                output.waiting.append(self)
                output.soon()
            outgoing.append(data)
            if len(outgoing) >= OUTGOING_MAX:
                self.write(b"")
        else:
            batch.pushes.append(data)
            self.queued_bytes += len(data)
            if self.queued_bytes > self.router.output.mark_bytes:
                self.router.output.watch(self)
                self.router.output.check(self)

    def afterwards(self, act: Callable[[], None]) -> None:
        """Calls `act` when a message by `push` would be sent."""
        batch = self.newest()
        if batch is None:
            act()
        else:
            batch.pushes.append(act)

    def newest(self) -> Batch | None:
        """What was begun last and is answered before anything new is sent; None if there is nothing."""
        place = len(self.batches) - (2 if self.blocking is not None and self.blocking.waiting else 1)
        return self.batches[place] if place >= 0 else None

    def write(self, data: bytes) -> None:
        """Sends bytes that are in their place, behind the messages that were there before."""
        outgoing = self.outgoing
        if outgoing:
            if data:
                outgoing.append(data)
            data = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
            outgoing.clear()
        if self.transport is not None and data:
            self.bytes_out += len(data)
            self.writes += 1
            if len(data) > PACED_BYTES_MIN:
                self.transport = paced(self)
            self.transport.write(data)
            if self.writing_paused:
                self.router.output.check(self)

    def _end(self, fault: ProtocolError | QueryTooLong) -> None:
        """Answers a protocol error in its place, behind all that came before it, and closes."""
        self.end()
        batch = Batch(self, self.router.shards, self.header)
        if isinstance(fault, ProtocolError):
            error = RedisError(f"ERR Protocol error: {fault}")
            self.router.count_error(error)
            batch.add_step(error_reply(error))
        else:
            self.router.output.note_query(self)
        self.batches.append(batch)
        batch.dispatch(self.router.links)
        self.completed()

    def end(self) -> None:
        """Begins no more commands; closes when those under way are answered (QUIT)."""
        if self.monitoring:
            self.router.feed.leave(self)
        self.closing = True
        self.changed()

    def kill(self) -> None:
        """Closes at once, whatever is under way or not sent yet: another client killed this one."""
        self.end()
        self.backlog.clear()
        self.router.session_lost(self)
        if self.transport is not None:
            self.transport.abort()

    def drop(self) -> None:
        """Ends the connection at once; that the client is gone is heard in a later turn."""
        self.end()
        self.backlog.clear()
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """Closes once what was written is sent."""
        self.write(b"")
        if self.transport is not None:
            self.transport.close()

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)
        self.mark_writes()
        self.unix_socket, self.address, self.local_address = addresses_of(transport)
        self.router.session_made(self)

    def mark_writes(self) -> None:
        """Has the transport say when the client does not read what it is sent."""
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=self.router.output.mark_of(self))

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.closing = True
        self.backlog.clear()
        self.router.session_lost(self)

    def eof_received(self) -> bool:
        """A client that has sent all and still reads gets its replies first (`printf ... | nc`), then it is closed."""
        self.ended = True
        if self.held and self not in self.router.budget.recount.held:  # As in Redis, of what a pause keeps. Who waits
            self.backlog.clear()  # for memory has asked for nothing unusual, and is answered.
        if self.blocking is not None:
            self.blocking.end(GONE)
        if not (self.batches or self.backlog):
            self.router.departures.add(self)
        return True  # It is not for the loop to close it.

    def pause_writing(self) -> None:
        self.writing_paused = True
        self.router.output.watch(self)
        self._read(False)

    def resume_writing(self) -> None:
        if isinstance(self.transport, Paced):
            self.transport.go_on()
            return
        self.writing_paused = False
        self.router.output.caught_up(self)
        self.pump()

    def _read(self, wanted: bool) -> None:
        """Reads or stops reading, if that is a change."""
        if wanted == self.reading_paused and self.transport is not None:
            self.reading_paused = not wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
