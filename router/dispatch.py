"""From a command to its plan: where each part goes and how the replies come back.

ONE: to the shard of its key, the reply passed through unread. SPLIT: cut at the usage line's repeat. EVERY: to all
shards. BORROW: several keys that cannot be cut. ROUTER: answered here. The declaration decides which; nothing here asks
for a command's name. A session's usual commands do not even come here: see Session.begin.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag, Plan
from common.errors import CrossShard, Loading, RedisError
from common.frame import CONTROL
from common.resp import encode, error_reply
from router.batch import Batch, Later, Merge
from router.link import LinkState
from router.merge import MERGES, in_order

if TYPE_CHECKING:
    from router.session import Session


class AskShards:
    """What a router's handler returns when its reply is made of what all shards say to a message of the router."""

    __slots__ = ("message", "merge")

    def __init__(self, message: list[Any], merge: Merge) -> None:
        self.message = message
        self.merge = merge


class Forward:
    """What a router's handler returns when one shard answers `argv` in its place."""

    __slots__ = ("shard", "argv")

    def __init__(self, shard: int, argv: list[bytes]) -> None:
        self.shard = shard
        self.argv = argv


class Wait:
    """What a router's handler returns when the reply comes later: `begin` is given the step to finish."""

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[Later], None]) -> None:
        self.begin = begin


def dispatch(session: "Session", batch: Batch, argv: list[bytes]) -> bool:
    """Adds one command to the batch of its client, whatever command and state it is; False if it has to wait."""
    router = session.router
    try:
        session.check(argv)
        command = router.table.find(argv)
        session.last_command = command.name
        if router.pause.stops(command, session):
            return False
        PLANS[command.plan](session, batch, command, argv)
    except RedisError as error:
        router.count_error(error)
        batch.add_step(error_reply(error))
    return True


def _router(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    router = session.router
    assert command.handler is not None
    started = router.clock_ns()
    try:
        reply = command.handler(session, *argv[command.words :])
    finally:
        command.count(router.clock_ns() - started)
    if type(reply) is AskShards:
        check_shards(session, command)
        parts = [(shard, reply.message) for shard in range(router.shards)]
        batch.add_join(parts, reply.merge, session.protocol, CONTROL)
    elif type(reply) is Forward:
        batch.add(reply.shard, reply.argv)
    elif type(reply) is Wait:
        later = Later(batch)
        batch.add_step(later)
        reply.begin(later)
    else:
        # The handler may just have changed protocol or db: the commands behind it go under the new header.
        batch.header = session.header
        batch.add_step(encode(reply, session.protocol))


def _one(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    if command.first_key > 0:
        key = argv[command.first_key]
    else:
        keys = keys_or_none(command, argv)
        if not keys:
            batch.add(0, argv)
            return
        key = argv[keys[0]]
    batch.add(session.router.shard_of(key), argv)


def _borrow(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    shard_of = session.router.shard_of
    shards = {shard_of(argv[index]) for index in keys_or_none(command, argv)}
    if len(shards) > 1:
        raise CrossShard()
    batch.add(shards.pop() if shards else 0, argv)


def _split(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    router = session.router
    start, step = command.cut
    owners = [router.shard_of(key) for key in argv[start::step]]
    shards = list(dict.fromkeys(owners))
    if len(shards) == 1 or (len(argv) - start) % step:
        # A call that is cut short answers the same error on any shard.
        batch.add(owners[0], argv)
        return
    check_shards(session, command)
    parts = {shard: argv[:start] for shard in shards}
    for place, owner in enumerate(owners):
        at = start + place * step
        parts[owner] += argv[at : at + step]
    if command.merge:
        merge = MERGES[command.merge]
    else:
        places = {shard: place for place, shard in enumerate(shards)}
        merge = in_order([places[owner] for owner in owners])
    command.calls += 1
    batch.add_join(list(parts.items()), merge, session.protocol)


def _every(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    check_shards(session, command)
    command.calls += 1
    parts = [(shard, argv) for shard in range(session.router.shards)]
    batch.add_join(parts, MERGES[command.merge], session.protocol)


PLANS = {Plan.ROUTER: _router, Plan.ONE: _one, Plan.SPLIT: _split, Plan.EVERY: _every, Plan.BORROW: _borrow}


def keys_or_none(command: Command, argv: list[bytes]) -> list[int]:
    """The places of the keys; none where the call is wrong, which any shard can tell the client."""
    try:
        return command.keys_of(argv)
    except RedisError:
        return []


def check_shards(session: "Session", command: Command) -> None:
    """Refuses a command on several shards before any part is sent, if one of them would not do its part."""
    for link in session.router.links:
        if link.state is LinkState.DOWN:
            raise link.down()
        if link.state is LinkState.LOADING and not command.flags & Flag.LOADING:
            raise Loading()
