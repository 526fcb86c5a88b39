"""What is on its way to the clients: the messages of this turn, and limits for who does not read what it is sent.

A client that is over its `client-output-buffer-limit` is closed, before that takes the memory.

Rule 1: only clients that have much unsent are looked at: the transport says who has more than `mark_bytes`, which is no
        more than the smallest limit. All others cost nothing.
Rule 2: at the hard limit a client is closed in the turn in which it gets there; above the soft limit when it has been
        there for the seconds that are granted, which is looked at with each write, and now and then.
Rule 3: messages go to a client in one write a turn: a write is a system call, which costs as much as twenty messages.
Rule 4: where messages go to very many they are written to some of them in a turn, so that others are served between:
        to write to 200 takes a millisecond. Nothing that comes later overtakes them: it is put behind what waits.
"""

import logging
import re
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

logger = logging.getLogger("shardis")

MARK_BYTES_MAX = 1024 * 1024
"""Replies that a client has not read; beyond it its commands are no longer begun."""
STRANGER_BYTES_MAX = 1024
"""What a client may have unsent that has never given the password which is asked for, as in Valkey."""
CHECK_S = 0.1
"""How often those with much unsent are looked at that nothing is written to."""
TOLD_MIN = 32
"""To so many the messages of a turn are written in one, or to an eighth of those that have some, if these are more:
what comes in the meantime waits here, and shall not wait for long."""
TOLD_SHARE = 8
PERSONAL = re.compile(r"(?<= name=)\S*|(?<= user=)\S*")
"""What a log does not show of a client's line where `hide-user-data-from-log` says so, as it does by default."""


def class_of(session: "Session") -> str:
    """Whose limits are its: "normal" or "pubsub"."""
    return "normal" if session.subscriptions is None else "pubsub"


def is_stranger(session: "Session") -> bool:
    """Whether it has never been anybody who may be here."""
    return not session.authenticated and not session.was_authenticated


def unsent_bytes(session: "Session") -> int:
    """What was written to a client and is still here, and the messages that wait behind its replies."""
    transport = session.transport
    return session.queued_bytes + (transport.get_write_buffer_size() if transport is not None else 0)


class Output:
    """The clients to which messages go at the end of the turn, the limits, and the clients that may get to them."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.waiting: deque[Session] = deque()
        """Those that have messages to be sent."""
        self.awaited = False
        """Whether `end_turn` will be called."""
        self.limits: dict[str, tuple[int, int, int]] = {}
        """By the class of the client: the hard and the soft limit in bytes, the seconds over the soft one; 0: none."""
        self.mark_bytes = MARK_BYTES_MAX
        """More unsent than this, and a client is watched; its commands are not begun meanwhile."""
        self.watched: dict[Session, int] = {}
        """Since when (in ms) it is over its soft limit; 0 if it is not."""
        self.checking = False
        """Whether a timer will check them."""

    # Messages

    def soon(self) -> None:
        """Has the messages sent when this turn is over."""
        if not self.awaited:
            self.awaited = True
            self.router.loop.call_soon(self.end_turn)

    def end_turn(self) -> None:
        """Sends them, to so many clients as may be in a turn; all who are told the same get the very same bytes."""
        self.awaited = False
        self.router.pubsub.flush()
        waiting = self.waiting
        pieces: list[bytes] = []
        whole = b""
        for _ in range(min(len(waiting), max(TOLD_MIN, len(waiting) // TOLD_SHARE))):
            session = waiting.popleft()
            outgoing = session.outgoing
            if len(outgoing) > 1:
                if outgoing != pieces:
                    pieces = outgoing.copy()
                    whole = b"".join(pieces)
                outgoing[:] = [whole]
            session.write(b"")
        if waiting:
            self.soon()

    # Limits

    def configure(self, values: dict[str, Any]) -> None:
        """Takes over the directive."""
        found = {class_: tuple(limits) for class_, limits in values["client-output-buffer-limit"].items()}
        if found == self.limits:
            return
        self.limits = found
        some = [limit for hard, soft, _ in found.values() for limit in (hard, soft) if limit]
        self.mark_bytes = min([MARK_BYTES_MAX, *(limit - 1 for limit in some)])
        for session in self.router.sessions.values():
            session.mark_writes()
            if unsent_bytes(session) > self.mark_bytes:
                self.watch(session)

    def mark_of(self, session: "Session") -> int:
        """With how much unsent a client is one to be watched, in bytes."""
        return min(self.mark_bytes, STRANGER_BYTES_MAX) if is_stranger(session) else self.mark_bytes

    def watch(self, session: "Session") -> None:
        """Looks at a client that has more than `mark_bytes` unsent until it has less, or is closed."""
        self.watched.setdefault(session, 0)
        if not self.checking:
            self._check_later()

    def caught_up(self, session: "Session") -> None:
        """The client has read most of what it was sent."""
        if unsent_bytes(session) <= self.mark_bytes:
            self.watched.pop(session, None)

    def _check_later(self) -> None:
        self.checking = True
        self.router.loop.call_later(CHECK_S, self._check_all)

    def _check_all(self) -> None:
        for session in list(self.watched):
            self.check(session)
            if session.transport is None or unsent_bytes(session) <= self.mark_bytes:
                self.watched.pop(session, None)
        self.checking = False
        if self.watched:
            self._check_later()

    def check(self, session: "Session") -> None:
        """Closes the client if it is over a limit: after each write to one that is watched."""
        hard, soft, seconds = self.limits[class_of(session)]
        unsent = unsent_bytes(session)
        if (hard and unsent >= hard) or (unsent > STRANGER_BYTES_MAX and is_stranger(session)):
            self._close(session)
        elif self.router.eviction.is_too_large(unsent) and not session.no_evict:
            self.router.eviction.close(session)
        elif soft and unsent >= soft:
            now_ms = self.router.turn_ms()
            since_ms = self.watched.get(session)
            if not since_ms:
                self.watch(session)
                self.watched[session] = now_ms
            elif now_ms - since_ms > seconds * 1000:
                self._close(session)
        elif session in self.watched:
            self.watched[session] = 0

    def _close(self, session: "Session") -> None:
        if session.transport is not None:
            logger.warning("Client %s closed for overcoming of output buffer limits.", self.described(session))
            self.router.stats.client_output_buffer_limit_disconnections += 1
            session.drop()

    def close_for_query(self, session: "Session") -> None:
        """Closes a client that has sent more of what is not complete than `client-query-buffer-limit` allows."""
        if session.transport is not None:
            self.note_query(session)
            session.drop()

    def note_query(self, session: "Session") -> None:
        """Notes that a client is closed for that."""
        logger.warning("Closing client that reached max query buffer length: %s", self.described(session))
        self.router.stats.client_query_buffer_limit_disconnections += 1

    def described(self, session: "Session") -> str:
        """A client's line for the log."""
        # Only now, for the commands import this file.
        text: str = import_module("router.commands.client_fields").described(session)
        return PERSONAL.sub("*redacted*", text) if self.router.config["hide-user-data-from-log"] else text
