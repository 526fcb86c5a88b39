"""Blocked calls: what a command that finds nothing answers with, and who waits for which key.

A command with the flag BLOCKING looks for what it wants, and where there is nothing returns `Blocked` in the place of a
reply:

    @command("BLPOP key [key ...] timeout", WRITE | BLOCKING, ...)
    def blpop(db: Keyspace, *words: bytes) -> Any:
        *keys, timeout = words
        until_ms = deadline_ms(timeout, db.store.now_ms)
        ... the first key with an element: pop it, log the effect, return the reply ...
        return Blocked(keys, List, until_ms)

That is all: the handler does not know whether the call will wait. If it may, it is run again, from its first word, when
one of the keys has a value of that kind; what it then answers is the client's reply, and what it then logs is its
effect, as if it had come only now. If it returns Blocked once more it waits on, until the deadline that it had first.
Where nothing may wait (in a transaction, a script, a replay) the reply is `Blocked.nothing`. A call with keys on
several shards waits at its router.

A command may wait with an option only (XREAD's BLOCK): then it returns Blocked only with that, and the router lets a
call without it pass as any other. Who waits, and how they are served, is in waiters.py.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.numbers import LongDouble, add, long_double
from common.resp import NULL_ARRAY
from common.timeouts import checked_ms, duration_ms

if TYPE_CHECKING:
    from shard.value import Value

FOREVER = 0
"""The deadline of a call that waits however long it takes."""
MS_PER_S = 1000


class Blocked:
    """What a handler returns when its call finds nothing and may wait."""

    __slots__ = ("keys", "kind", "until_ms", "nothing", "argv", "lasting", "spent_ns")

    def __init__(
        self,
        keys: Iterable[bytes],
        kind: type,
        until_ms: int,
        nothing: Any = NULL_ARRAY,
        argv: Sequence[bytes] | None = None,
        *,
        lasting: bool = False,
    ) -> None:
        """Waits until `until_ms` (absolute, FOREVER for ever) for a value of `kind` at one of the keys; at the deadline
        `nothing` is the reply.

        `argv` is the whole call, name included, that is run then, where it isn't the one that came: XREAD makes an ID
        of its `$`. A `lasting` call is also run again when a key went or became something else, as XREADGROUP, whose
        group went along with it.
        """
        self.keys = tuple(dict.fromkeys(keys))
        self.kind = kind
        self.until_ms = until_ms
        self.nothing = nothing
        self.argv = None if argv is None else list(argv)
        self.lasting = lasting
        self.spent_ns = 0
        """How long it took to find out; set by whoever ran the call."""

    def wants(self, value: "Value | None") -> bool:
        """Whether this is what it waits for; None for no key."""
        return type(value) is self.kind or self.lasting


# --- Deadlines -------------------------------------------------------------------------------------------------------


def deadline_ms(timeout_s: bytes, now_ms: int) -> int:
    """When a call ends that waits for this many seconds, FOREVER for 0.  Raises RedisError."""
    try:
        timeout = long_double(timeout_s)
    except RedisError:
        raise RedisError("ERR timeout is not a float or out of range") from None
    return _deadline_ms(_milliseconds(timeout), now_ms)


def deadline_of_ms(timeout_ms: bytes, now_ms: int) -> int:
    """When a call ends that waits for this many milliseconds, FOREVER for 0 (XREAD BLOCK).  Raises RedisError."""
    return _deadline_ms(duration_ms(timeout_ms, now_ms), now_ms)


def _deadline_ms(duration_ms: int, now_ms: int) -> int:
    return now_ms + checked_ms(duration_ms, now_ms) if duration_ms else FOREVER


INTEGER_BITS = 64


def _milliseconds(timeout: LongDouble) -> int:
    """A number of seconds, rounded up as the processor does; more than 64 bits can hold if it is as much as that."""
    mantissa, exponent = timeout
    if exponent >= INTEGER_BITS:
        return ((mantissa > 0) - (mantissa < 0)) << INTEGER_BITS
    mantissa, exponent = add(LongDouble(mantissa * MS_PER_S, exponent), LongDouble(0, 0))
    return mantissa << exponent if exponent >= 0 else -(-mantissa >> -exponent)
