"""The options by which XADD and XTRIM delete old entries.

What the log gets is how long the stream was in the end: `~` and LIMIT depend on the configuration.
"""

from dataclasses import dataclass

from common.errors import RedisError, SyntaxFault
from common.numbers import integer
from shard.commands.stream_ids import id_text, parse_id, parse_incomplete
from shard.keyspace import Keyspace
from shard.values.stream import Stream

AUTO = -1
"""Instead of an ID: the next one, of now."""
AUTO_SEQUENCE = -2
"""The next one of given milliseconds."""

LIMIT_NODES = 100
"""How many nodes are removed at once if nothing else is said."""
LIMIT_MIN, LIMIT_MAX = 10_000, 1_000_000
"""Entries instead, where a node may have any number, and the most where it is large."""

ONE_STRATEGY = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"


@dataclass(slots=True)
class Options:
    """What a call says before the entry."""

    strategy: bytes = b""
    """MAXLEN or MINID."""
    length_max: int = -1
    id_min: int = 0
    approximately: bool = False
    limit: int = -1
    """-1 if not said."""
    makes: bool = True
    """No NOMKSTREAM."""
    at: int = 0
    """How many words it are, up to the ID."""
    id: int = AUTO
    ms: int = 0
    """Of an ID without a sequence."""

    def trim(self, db: Keyspace, stream: Stream) -> int:
        """Deletes what is too much, and gives how many entries that is."""
        if not self.strategy:
            return 0
        limit = self.limit
        if not db.store.expiring:
            limit = 0  # A log says what there was in the end, and other servers' logs may have both.
        elif limit < 0:
            limit = _limit_of(db) if self.approximately else 0
        return stream.trim(self.length_max, self.id_min, approximately=self.approximately, limit=limit)

    def logged(self, stream: Stream) -> tuple[bytes, ...]:
        """The words that do the same in a replay, after it was done."""
        if not self.strategy:
            return ()
        if self.approximately:
            return (b"MAXLEN", b"=", b"%d" % stream.length)
        threshold = b"%d" % self.length_max if self.strategy == b"MAXLEN" else id_text(self.id_min)
        return (self.strategy, b"=", threshold)


def parse_options(db: Keyspace, words: tuple[bytes, ...], *, adds: bool) -> Options:
    """The options in `words`, for XADD up to the ID.  Raises RedisError."""
    options = Options()
    at = 0
    while at < len(words):
        name = words[at].upper()
        more = at + 1 < len(words)
        if adds and name == b"*":
            break
        if name in (b"MAXLEN", b"MINID") and more:
            at = _parse_threshold(options, name, words, at + 1)
        elif name == b"LIMIT" and more:
            at += 1
            options.limit = integer(words[at])
            if options.limit < 0:
                raise RedisError("ERR The LIMIT argument must be >= 0.")
        elif adds and name == b"NOMKSTREAM":
            options.makes = False
        elif adds:
            options.ms = parse_incomplete(words[at])
            options.id = AUTO_SEQUENCE if options.ms >= 0 else parse_id(words[at])
            break
        else:
            raise SyntaxFault()
        at += 1
    options.at = at
    _check_limit(db, options, adds=adds)
    return options


def _parse_threshold(options: Options, name: bytes, words: tuple[bytes, ...], at: int) -> int:
    """Reads [= | ~] threshold at `at`, and gives the place of its last word."""
    if options.strategy:
        raise RedisError(ONE_STRATEGY)
    options.strategy = name
    if words[at] in (b"=", b"~") and at + 1 < len(words):
        options.approximately = words[at] == b"~"
        at += 1
    if name == b"MINID":
        options.id_min = parse_id(words[at])
    else:
        options.length_max = integer(words[at])
        if options.length_max < 0:
            raise RedisError("ERR The MAXLEN argument must be >= 0.")
    return at


def _check_limit(db: Keyspace, options: Options, *, adds: bool) -> None:
    if options.limit > 0 and not options.strategy:
        raise RedisError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if not adds and not options.strategy:
        raise RedisError("ERR syntax error, XTRIM must be called with a trimming strategy")
    if options.limit >= 0 and not options.approximately and db.store.expiring:
        raise RedisError("ERR syntax error, LIMIT cannot be used without the special ~ option")


def _limit_of(db: Keyspace) -> int:
    """Of what is deleted `~`, so that it does not take long."""
    limit = LIMIT_NODES * db.store.config.get("stream-node-max-entries", 100)
    return min(limit, LIMIT_MAX) if limit > 0 else LIMIT_MIN
