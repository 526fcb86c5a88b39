"""Sets: members in and out, is it there, all of them, some of them by chance.

What the log gets of SPOP is which members it chose. Of several sets at once: see set_algebra.py.
"""

from collections.abc import Iterator, Sequence

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.cursor import parse_cursor
from common.errors import SyntaxFault
from common.resp import Members
from shard.commands.counts import pop_count, symmetric
from shard.commands.draws import check_draws
from shard.commands.scan import matching, parse_options
from shard.commands.table import TABLE
from shard.events import call, tell
from shard.keyspace import Keyspace
from shard.values.set import Set

command = TABLE.family("set")

NONE = Members()
"""The reply where there is no key."""

LOGGED_MAX = 1024
"""Members in one of the commands by which the log tells of SPOP, as in the reference."""
SHRINK_FACTOR = 5
"""An SPOP that leaves less than one in so many of what it takes makes the set anew, as in the reference: so a hashtable
becomes a listpack again."""


# --- In and out ------------------------------------------------------------------------------------------------------


@command(
    "SADD key member [member ...]",
    WRITE | DENYOOM | FAST,
    since="1.0.0",
    complexity="O(1) for each element added, so O(N) to add N elements when the command is called with multiple"
    " arguments.",
    keys="RW insert",
)
def sadd(db: Keyspace, key: bytes, *members: bytes) -> int:
    """Adds one or more members to a set. Creates the key if it doesn't exist."""
    return _add(db, key, members)


def _add(db: Keyspace, key: bytes, members: tuple[bytes, ...]) -> int:
    value: Set | None = db.to_write(key, Set)
    if value is None:
        value = Set()
        added = value.add(members, db.store.config)
        db.set(key, value)
        return added
    # A call that adds nothing may change the encoding all the same, which is no change that a client or a log sees.
    added = value.add(members, db.store.config)
    if added:
        db.changed(key)
    return added


@command(
    "SREM key member [member ...]",
    WRITE | FAST,
    since="1.0.0",
    complexity="O(N) where N is the number of members to be removed.",
    keys="RW delete",
)
def srem(db: Keyspace, key: bytes, *members: bytes) -> int:
    """Removes one or more members from a set. Deletes the set if the last member was removed."""
    return _remove(db, key, members)


def _remove(db: Keyspace, key: bytes, members: tuple[bytes, ...]) -> int:
    value = db.to_write(key, Set)
    if value is None:
        return 0
    removed = 0
    for member in members:
        if value.remove(member):
            removed += 1
    if removed:
        db.shrunk(key, value)
    return removed


@command(
    "SMOVE source destination member",
    WRITE | FAST,
    since="1.0.0",
    complexity="O(1)",
    keys="RW access delete; RW insert",
)
def smove(db: Keyspace, source: bytes, destination: bytes, member: bytes) -> int:
    """Moves a member from one set to another."""
    value = db.to_write(source, Set)
    if value is None:
        return 0
    db.to_write(destination, Set)
    if source == destination:
        return int(member in value)
    if not value.remove(member):
        return 0
    if db.heard:
        call(db, b"srem")
    db.shrunk(source, value)
    if db.heard:
        call(db, b"sadd")
    added = _add(db, destination, (member,))
    if db.store.apart:
        db.log(b"SREM", source, member)
        if added:
            db.log(b"SADD", destination, member)
    return 1


# --- What is there ---------------------------------------------------------------------------------------------------


@command("SCARD key", READONLY | FAST, since="1.0.0", complexity="O(1)", keys="RO")
def scard(db: Keyspace, key: bytes) -> int:
    """Returns the number of members in a set."""
    value = db.get(key, Set)
    return 0 if value is None else len(value)


@command("SISMEMBER key member", READONLY | FAST, since="1.0.0", complexity="O(1)", keys="RO")
def sismember(db: Keyspace, key: bytes, member: bytes) -> int:
    """Determines whether a member belongs to a set."""
    value = db.get(key, Set)
    return 1 if value is not None and member in value else 0


@command(
    "SMISMEMBER key member [member ...]",
    READONLY | FAST,
    since="6.2.0",
    complexity="O(N) where N is the number of elements being checked for membership",
)
def smismember(db: Keyspace, key: bytes, *members: bytes) -> list[int]:
    """Determines whether multiple members belong to a set."""
    value = db.get(key, Set)
    return [0] * len(members) if value is None else [int(member in value) for member in members]


@command(
    "SMEMBERS key",
    READONLY,
    since="1.0.0",
    complexity="O(N) where N is the set cardinality.",
    tips="nondeterministic_output_order",
)
def smembers(db: Keyspace, key: bytes) -> Members:
    """Returns all members of a set."""
    value = db.get(key, Set)
    return NONE if value is None else Members(value.to_list())


@command(
    "SSCAN key cursor [MATCH pattern] [COUNT count]",
    READONLY,
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
    " return back to 0. N is the number of elements inside the collection.",
    tips="nondeterministic_output",
)
def sscan(db: Keyspace, key: bytes, cursor: bytes, *options: bytes) -> list[bytes | list[bytes]]:
    """Iterates over members of a set."""
    place = parse_cursor(cursor)
    value = db.get(key, Set)
    if value is None:
        return [b"0", []]
    how = parse_options(options, "SSCAN")
    following, members = value.scan(place, how.count)
    return [b"%d" % following, matching(members, how.pattern)]


# --- By chance -------------------------------------------------------------------------------------------------------


@command(
    "SRANDMEMBER key [count]",
    READONLY,
    since="1.0.0",
    complexity="Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
    tips="nondeterministic_output",
)
def srandmember(db: Keyspace, key: bytes, *options: bytes) -> bytes | None | list[bytes]:
    """Gets one or multiple random members from a set."""
    if not options:
        any_of: Set | None = db.get(key, Set)
        return None if any_of is None else any_of.random_member(db.store.random)
    count = symmetric(_one_count(options))
    value: Set | None = db.get(key, Set)
    if value is None or not count:
        return []
    if count > 0:
        return value.sample(db.store.random, count)
    check_draws(count)
    return value.draws(db.store.random, -count)


@command(
    "SPOP key [count]",
    WRITE | FAST,
    since="1.0.0",
    complexity="Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
    keys="RW access delete",
    tips="nondeterministic_output",
)
def spop(db: Keyspace, key: bytes, *options: bytes) -> bytes | None | Members:
    """Returns one or more random members from a set after removing them. Deletes the set if the last member was \
popped."""
    if options:
        return _pop_many(db, key, _one_count(options))
    value = db.to_write(key, Set)
    if value is None:
        return None
    member: bytes = value.random_member(db.store.random)
    value.remove(member)
    db.shrunk(key, value)
    db.log(b"SREM", key, member)
    return member


def _pop_many(db: Keyspace, key: bytes, word: bytes) -> Members:
    count = pop_count(word)
    value = db.to_write(key, Set)
    if value is None or not count:
        return NONE
    if count >= len(value):
        members = value.to_list()
        if db.heard:
            tell(db, key)
        db.delete(key)
        db.log(b"DEL", key)
        return Members(members)
    chosen = value.sample(db.store.random, count)
    value.remove_all(chosen)
    if len(value) * SHRINK_FACTOR <= count:
        value.shrink(db.store.config)
    db.shrunk(key, value)
    for part in _chunks(chosen):
        db.log(b"SREM", key, *part)
    return Members(chosen)


def _one_count(options: tuple[bytes, ...]) -> bytes:
    if len(options) > 1:
        raise SyntaxFault()
    return options[0]


def _chunks(members: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (members[at : at + LOGGED_MAX] for at in range(0, len(members), LOGGED_MAX))
