"""The replies of a turn whose log could not be written: no write may be told that it was done.

What the turn wrote is in memory, and in the log's buffer until there is room for it. Whether it stays is open until
then, so each write is answered with the error that those after it get. Reads keep their replies. None of this costs
anything while the log can be written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from common.command import Flag, Table
from common.errors import RedisError
from common.frame import CONTROL, JOINED, VALUES
from common.resp import Chunks, error_reply, reply_end

if TYPE_CHECKING:
    from shard.execute import Executor


def refuse_writes(frames: list[list[Any]], replies: list[Any], table: Table, error: RedisError) -> None:
    """Puts `error` in the place of the replies to all writes of these request frames. `replies` has an entry a run."""
    number = 0
    for frame in frames:
        for place in range(1, len(frame), 2):
            header, requests, entry = frame[place], frame[place + 1], replies[number]
            if entry is not None and not header & CONTROL:
                replies[number] = refused(entry, header, requests, table, error)
            number += 1


def refused(entry: Any, header: int, requests: list[list[bytes]], table: Table, error: RedisError) -> Any:
    """The replies of one run, with `error` in the place of those to writes."""
    given = split_replies(_whole(entry)) if header & JOINED else map(_whole, entry)
    refusal = error if header & VALUES else error_reply(error)
    replies: list[Any] = [
        refusal if is_write(table, argv) and not is_error(reply, header) else reply
        for argv, reply in zip(requests, given, strict=True)
    ]
    return b"".join(replies) if header & JOINED else replies


def _whole(reply: Any) -> Any:
    return b"".join(reply) if type(reply) is Chunks else reply


def is_write(table: Table, argv: list[bytes]) -> bool:
    """Whether this command is one that may write."""
    command = table.resolve(argv)
    return command is not None and bool(command.flags & Flag.WRITE)


def is_error(reply: Any, header: int) -> bool:
    """Whether a reply says already that nothing was done."""
    return isinstance(reply, RedisError) if header & VALUES else reply[:1] == b"-"


@contextmanager
def lifted(executor: "Executor") -> Iterator[None]:
    """What is done inside is done although it would be refused, for other shards do their parts of it: it waits for the
    log to be written again, and its client is told."""
    loading, refusal = executor.loading, executor.refusal
    executor.state(loading=False, refusal=None)
    try:
        yield
    finally:
        executor.state(loading=loading, refusal=refusal)


def split_replies(data: bytes) -> list[bytes]:
    """The encoded replies that follow one another in `data`.

    >>> split_replies(b"+OK\\r\\n$-1\\r\\n*2\\r\\n:1\\r\\n$1\\r\\na\\r\\n")
    [b'+OK\\r\\n', b'$-1\\r\\n', b'*2\\r\\n:1\\r\\n$1\\r\\na\\r\\n']
    """
    replies = []
    start = 0
    while start < len(data):
        end = reply_end(data, start)
        replies.append(data[start:end])
        start = end
    return replies
