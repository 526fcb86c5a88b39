"""The command logs: the last commands that took long, or came or answered with many bytes (SLOWLOG, COMMANDLOG).

Shards report a command that took long; the router, which alone knows clients, keeps it. What several shards do for one
call is one entry: a Call stands behind all its parts.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.directives import BY_NAME
from common.resp import reply_end
from router.batch import Batch, Join, Later, Muted

if TYPE_CHECKING:
    from router.session import Session

ARGUMENTS_MAX = 32
"""Arguments that an entry keeps, Redis's limit; the last then says how many more there were."""
ARGUMENT_BYTES_MAX = 128
"""Bytes that an entry keeps of an argument, Redis's limit."""
OFF = -1
"""The threshold of a log that takes nothing."""
NEVER = 1 << 63
"""More than any request or reply can have."""


@dataclass(slots=True)
class SlowCommand:
    """One entry. `at_s` is unix time, `amount` µs or bytes."""

    id: int
    at_s: int
    amount: int
    argv: list[bytes]
    address: str
    name: bytes


class CommandLog:
    """The newest `length_max` commands whose amount reached `threshold`, newest first."""

    def __init__(self) -> None:
        self.entries: deque[SlowCommand] = deque()
        self.threshold = OFF
        self.length_max = 128
        self._next_id = 0

    def wants(self, amount: int) -> bool:
        """Whether a command of that amount belongs here."""
        return amount >= self.threshold > OFF and self.length_max > 0

    def add(self, argv: list[bytes], amount: int, at_s: int, address: str, name: bytes) -> SlowCommand:
        """Keeps one more, and forgets the oldest if there are too many."""
        entry = SlowCommand(self._next_id, at_s, amount, shortened(argv), address, name)
        self._next_id += 1
        self.entries.appendleft(entry)
        self.trim()
        return entry

    def trim(self) -> None:
        while len(self.entries) > self.length_max:
            self.entries.pop()


class CommandLogs:
    """The three logs, with the thresholds and lengths that the directives give them."""

    def __init__(self) -> None:
        self.slow = CommandLog()
        self.large_request = CommandLog()
        self.large_reply = CommandLog()
        self.request_bytes_min = self.reply_bytes_min = NEVER
        """From how many bytes on a read, or a batch of replies, has to be looked at."""

    def configure(self, values: dict[str, Any]) -> None:
        """Follows the directives. What is too much now is forgotten."""
        for log, threshold, length in (
            (self.slow, "slowlog-log-slower-than", "slowlog-max-len"),
            (self.large_request, "commandlog-request-larger-than", "commandlog-large-request-max-len"),
            (self.large_reply, "commandlog-reply-larger-than", "commandlog-large-reply-max-len"),
        ):
            log.threshold, log.length_max = values[threshold], values[length]
            log.trim()
        self.request_bytes_min = self.large_request.threshold if self.large_request.wants(NEVER) else NEVER
        self.reply_bytes_min = self.large_reply.threshold if self.large_reply.wants(NEVER) else NEVER

    def note(
        self, log: CommandLog, session: "Session", command: Command, argv: list[bytes], amount: int
    ) -> SlowCommand:
        """Keeps a call of `command` in one of the logs."""
        at_s = session.router.now_ms() // 1000
        return log.add(redacted(command, argv), amount, at_s, session.address, session.name)

    def note_requests(self, session: "Session", commands: list[list[bytes]]) -> None:
        """Keeps those of the commands that came with many bytes; what is refused does not count as a command."""
        for argv in commands:
            command = session.router.table.resolve(argv)
            size_bytes = request_size_bytes(argv)
            if self.large_request.wants(size_bytes) and command is not None and is_logged(command, argv):
                self.note(self.large_request, session, command, argv, size_bytes)

    def note_replies(self, session: "Session", batch: Batch, replies: bytes) -> None:
        """Keeps those of a batch's commands that shards answered with many bytes. O(N) in their replies."""
        at = 0
        for argv, size_bytes in answered(batch):
            if size_bytes < 0:
                size_bytes = reply_end(replies, at) - at if at < len(replies) else 0
            at += size_bytes
            command = session.router.table.resolve(argv) if argv else None
            if self.large_reply.wants(size_bytes) and command is not None and is_logged(command, argv):
                self.note(self.large_reply, session, command, argv, size_bytes)


def is_logged(command: Command, argv: list[bytes]) -> bool:
    """Whether the call was one that ran, of a command that may be shown."""
    fits = command.shortest <= len(argv) <= command.longest
    return fits and not command.flags & Flag.SKIP_COMMANDLOG


# One call, several shards


class Call:
    """A client's call that several shards have a part in.

    How long it took is how long its slowest part did: they run side by side, and that is what others had to wait for,
    which is what the log is read for. INFO commandstats has the sum: what the call has cost.
    """

    __slots__ = ("argv", "duration_us", "entry")

    def __init__(self, argv: list[bytes]) -> None:
        self.argv = argv
        self.duration_us = -1
        """Of the part that took longest, of those that were reported."""
        self.entry: SlowCommand | None = None


class Part(list[Any]):
    """What one shard gets of a call."""

    __slots__ = ("call",)

    def __init__(self, words: list[Any], call: Call) -> None:
        super().__init__(words)
        self.call = call


def answered(batch: Batch) -> Iterator[tuple[list[bytes], int]]:
    """For the replies of a batch, in their order, the call that is answered, and the size of what answers it, -1 where
    that has to be looked at; an empty call where no shard had a part in it. EXEC is none: its reply may be a million.
    """
    requests: dict[int, list[Any]] = {}
    for run in batch.runs:
        requests.setdefault(run.shard, []).extend(run.requests)
    following = {shard: iter(argvs) for shard, argvs in requests.items()}
    for step in batch.steps:
        muted = type(step) is Muted
        step = step.step if isinstance(step, Muted) else step
        call: list[bytes] = []
        if isinstance(step, int):
            call = next(following[step])
        elif isinstance(step, Join):
            for shard in step.shards:
                next(following[shard])
            call = step.argv if step.shards else []
        elif isinstance(step, bytes) and not muted:
            yield call, len(step)
            continue
        elif isinstance(step, Later) and not muted:
            yield call, len(step.text or b"")
            continue
        if not muted:
            yield call, -1


# Sizes on the wire

WORDS_FEW = 100
"""So many words are seen to one by one."""


def request_size_bytes(argv: list[bytes]) -> int:
    """What a call takes on the wire."""
    sizes = map(len, argv)
    # Of a million words most have one of a few sizes: 0.09 s instead of 0.3.
    counts = Counter(sizes).items() if len(argv) > WORDS_FEW else zip(sizes, repeat(1))
    return len(b"*%d\r\n" % len(argv)) + sum((len(b"$%d\r\n\r\n" % size) + size) * count for size, count in counts)


# What an entry shows of a call


def shortened(argv: list[bytes]) -> list[bytes]:
    """`argv` within the limits of an entry, in Redis's words for what is left out."""
    kept = argv if len(argv) <= ARGUMENTS_MAX else argv[: ARGUMENTS_MAX - 1]
    words = [_shortened(argument) for argument in kept]
    if len(kept) < len(argv):
        words.append(b"... (%d more arguments)" % (len(argv) - len(kept)))
    return words


def _shortened(argument: bytes) -> bytes:
    more = len(argument) - ARGUMENT_BYTES_MAX
    return argument if more <= 0 else argument[:ARGUMENT_BYTES_MAX] + b"... (%d more bytes)" % more


REDACTED = b"(redacted)"


def redacted(command: Command, argv: list[bytes]) -> list[bytes]:
    """`argv` without passwords, as the reference has it."""
    hidden = SECRETS.get(command.name)
    if hidden is None:
        return argv
    places = hidden(argv)
    return [REDACTED if place in places else word for place, word in enumerate(argv)]


def _after_auth(argv: list[bytes]) -> set[int]:
    return {at + more for at, word in enumerate(argv) for more in (1, 2) if word.upper() == b"AUTH"}


def _secret_directives(argv: list[bytes]) -> set[int]:
    names = [word.decode("utf-8", "surrogateescape").lower() for word in argv[2::2]]
    return {2 * place + 3 for place, name in enumerate(names) if name in BY_NAME and BY_NAME[name].secret}


SECRETS: dict[str, Callable[[list[bytes]], set[int]]] = {
    "auth": lambda argv: set(range(1, len(argv))),
    "hello": _after_auth,
    "config|set": _secret_directives,
    "acl|setuser": lambda argv: set(range(2, len(argv))),
}
"""By command, the places of the words that nobody may read."""
