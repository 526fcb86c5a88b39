"""The options that SET, GETEX and MSETEX share: a condition, GET, and an expiry."""

from dataclasses import dataclass

from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX, integer
from shard.keyspace import Keyspace

CONDITIONS = frozenset((b"NX", b"XX", b"IFEQ"))
TIMES = frozenset((b"EX", b"PX", b"EXAT", b"PXAT"))
VALUED = TIMES | {b"IFEQ"}
"""The options that a value follows."""

SET_OPTIONS = CONDITIONS | TIMES | {b"KEEPTTL", b"GET"}
GETEX_OPTIONS = TIMES | {b"PERSIST"}
MSETEX_OPTIONS = TIMES | {b"NX", b"XX", b"KEEPTTL"}

TIME_WORDS = {word: name for name in TIMES for word in (name, name.lower())}
"""As clients spell them: what one look-up finds."""

NO_EXPIRY = -1


@dataclass(slots=True)
class Options:
    """What a call says behind its values; empty where it says nothing."""

    condition: bytes = b""
    """NX, XX or IFEQ."""
    comparison: bytes = b""
    """The value behind IFEQ."""
    expiry: bytes = b""
    """EX, PX, EXAT, PXAT, KEEPTTL or PERSIST."""
    time: bytes = b""
    """The value behind the first four."""
    get: bool = False

    def expire_at_ms(self, now_ms: int, name: str) -> int:
        """When the key shall expire, absolute unix time in ms, NO_EXPIRY if nothing is said.  Raises RedisError."""
        return expire_at_ms(self.expiry, self.time, now_ms, name) if self.expiry in TIMES else NO_EXPIRY


def parse_options(words: tuple[bytes, ...], known: frozenset[bytes]) -> Options:
    """The options in `words`, of those that the command knows. An option may come twice, IFEQ may not; then the last
    value counts.  Raises SyntaxFault.
    """
    options = Options()
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name not in known:
            raise SyntaxFault()
        value = next(rest, None) if name in VALUED else b""
        if value is None:
            raise SyntaxFault()
        if name == b"GET":
            options.get = True
        elif name in CONDITIONS:
            if options.condition and (options.condition != name or name == b"IFEQ"):
                raise SyntaxFault()
            options.condition, options.comparison = name, value
        else:
            if options.expiry and options.expiry != name:
                raise SyntaxFault()
            options.expiry, options.time = name, value
    return options


def expire_at_ms(unit: bytes, time: bytes, now_ms: int, name: str) -> int:
    """The expiry that `time` means, absolute unix time in ms; `unit` is EX, PX, EXAT or PXAT.

    Raises RedisError, which tells the `name` of the command, unless it is positive and fits in 64 bits.
    """
    at_ms = integer(time)
    if at_ms > 0 and unit in (b"EX", b"EXAT"):
        at_ms *= 1000
    if 0 < at_ms <= INTEGER_MAX and unit in (b"EX", b"PX"):
        at_ms += now_ms
    if 0 < at_ms <= INTEGER_MAX:
        return at_ms
    raise RedisError(f"ERR invalid expire time in '{name}' command")


def has_passed(db: Keyspace, at_ms: int) -> bool:
    """Whether what has that time would be gone at once. Never in a replay, which only does what the log says."""
    return at_ms <= db.store.now_ms and db.store.expiring
