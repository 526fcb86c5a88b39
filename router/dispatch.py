"""From a command to its plan: where each part goes and how the replies come back.

ONE: to the shard of its key, the reply passed through unread. SPLIT: cut at the usage line's repeat. EVERY: to all
shards. BORROW: several keys that cannot be cut. ROUTER: answered here. The declaration decides which; nothing here asks
for a command's name. A session's usual commands do not even come here: see Session.begin.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag, Plan
from common.errors import Loading, RedisError
from common.frame import CONTROL
from common.resp import encode, error_reply
from router.batch import Batch, Later
from router.blocking import Blocking
from router.borrow import Borrow
from router.link import LinkState
from router.merge import MERGES, Merge
from router.plan import InOrder, cut
from router.reach import check_reach
from router.slowlog import Call, Part

if TYPE_CHECKING:
    from router.session import Session


logger = logging.getLogger("shardis")

HTTP = frozenset({b"post", b"host:"})
"""Whoever sends these is a browser that was made to talk to us: nothing more of what it sends must be run."""


class AskShards:
    """What a router's handler returns when its reply is made of what all shards say to a message of the router."""

    __slots__ = ("message", "merge", "shards")

    def __init__(self, message: list[Any], merge: Merge, shards: list[int] | None = None) -> None:
        """Asks these shards only, which the handler has found to be up; without them all, or nobody if one is down."""
        self.message = message
        self.merge = merge
        self.shards = shards


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
        if command.opaque:
            check_protected(session, command.name)
        session.last_command = command.name
        if router.pause.stops(command, session):
            return False
        if command.blocking and command.may_block(argv):
            return _blocking(session, batch, command, argv)
        PLANS[command.plan](session, batch, command, argv)
    except RedisError as error:
        _refuse(session, batch, argv, error)
        if argv[0].lower() in HTTP:
            session.kill()
    except Exception:
        logger.exception("internal error in %s", session.last_command)
        _refuse(session, batch, argv, RedisError("ERR internal error"))
    return True


def _blocking(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> bool:
    """Adds a call that may block, which must be alone in its batch."""
    if batch.steps:
        return False
    PLANS[command.plan](session, batch, command, argv)
    session.blocking = Blocking(batch)
    return True


def _refuse(session: "Session", batch: Batch, argv: list[bytes], error: RedisError) -> None:
    """Answers a call that does not run with an error."""
    router = session.router
    container = router.table.resolve(argv[:1])
    command = router.table.resolve(argv) or container
    if command is not None:
        command.rejected_calls += 1
    if container is not None and container.opaque and len(argv) > 1 and session.authenticated:
        # Who may not use DEBUG is not told what it has.
        try:
            check_protected(session, container.name)
        except RedisError as refusal:
            error = refusal
    router.count_error(error)
    batch.add_step(error_reply(error))


def check_protected(session: "Session", name: str) -> None:
    """Refuses a container that only some clients may use, as `enable-debug-command` says.  Raises RedisError."""
    name = name.partition("|")[0]
    allowed = session.router.config.values[f"enable-{name}-command"]
    if allowed == "no" or (allowed == "local" and not is_local(session)):
        raise RedisError(
            f'ERR {name.upper()} command not allowed. If the enable-{name}-command option is set to "local", you can'
            " run it from a local connection, otherwise you need to set this option in the configuration file, and then"
            " restart the server."
        )


def is_local(session: "Session") -> bool:
    """Whether the client is on this machine, by its address."""
    return session.unix_socket or session.address.startswith(LOCAL_ADDRESSES)


LOCAL_ADDRESSES = ("127.", "[::1]:", "[::ffff:127.")


def _router(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    router = session.router
    assert command.handler is not None
    started = router.clock_ns()
    try:
        reply = command.handler(session, *argv[command.words :])
    except RedisError as error:
        command.failed_calls += 1
        reply = error
    duration = router.clock_ns() - started
    if type(reply) is Forward:  # The shard counts it.
        batch.add(reply.shard, reply.argv)
        return
    if type(reply) is AskShards:  # The call itself counts when it is answered, so that INFO does not count itself.
        command.calls -= 1
    command.count(duration)
    if duration >= router.slow_us * 1000:
        router.note_slow(session, argv, duration // 1000)
    if type(reply) is AskShards:
        if reply.shards is None:
            check_shards(session, command)
        call = Call(argv)
        shards = range(router.shards) if reply.shards is None else reply.shards
        parts = [(shard, Part(reply.message, call)) for shard in shards]
        batch.add_join(parts, reply.merge, session.protocol, command, CONTROL)
    elif type(reply) is Wait:
        later = Later(batch)
        batch.add_step(later)
        reply.begin(later)
    else:
        # The handler may just have changed protocol or db: the commands behind it go under the new header.
        batch.header = session.header
        text = encode(reply, session.protocol)
        if isinstance(reply, RedisError):
            router.count_error(reply)
        if len(text) >= router.logs.reply_bytes_min:
            router.logs.note(router.logs.large_reply, session, command, argv, len(text))
        batch.add_step(text)


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
    owners = session.router.owners
    shards = list(dict.fromkeys(owners.of(argv[index]) for index in keys_or_none(command, argv)))
    if owners.shards > 1:
        check_reach(command, argv, shards, owners.hash_tags)
    if len(shards) > 1:
        check_shards(session, command, shards)
        Borrow(session, batch, command, argv)
    else:
        batch.add(shards[0] if shards else 0, argv)


def _split(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    router = session.router
    start, step = command.cut
    shards, parts, order = cut(argv, start, step, router.owners)
    if len(shards) == 1 or (len(argv) - start) % step:
        # A call that is cut short answers the same error on any shard.
        batch.add(shards[0], argv)
        return
    check_shards(session, command, shards)
    call = Call(argv)
    merge = MERGES[command.merge] if command.merge else InOrder(order)
    asked = [(shard, Part(part, call)) for shard, part in zip(shards, parts, strict=True)]
    batch.add_join(asked, merge, session.protocol, command)


def _every(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    check_shards(session, command)
    part = Part(argv, Call(argv))
    parts = [(shard, part) for shard in range(session.router.shards)]
    batch.add_join(parts, MERGES[command.merge], session.protocol, command)


PLANS = {Plan.ROUTER: _router, Plan.ONE: _one, Plan.SPLIT: _split, Plan.EVERY: _every, Plan.BORROW: _borrow}


def keys_or_none(command: Command, argv: list[bytes]) -> list[int]:
    """The places of the keys; at most the first one where the call is wrong, which any shard can tell the client.

    Or where it only looks so: PFMERGE with a destination and no source is right, though COMMAND GETKEYS finds no keys.
    """
    try:
        return command.keys_of(argv)
    except RedisError:
        return [command.first_key] if 0 < command.first_key < len(argv) else []


def check_shards(session: "Session", command: Command, shards: list[int] | None = None) -> None:
    """Refuses a command on several shards, by default all of them, before any part is sent, if one of them would not do
    its part."""
    links = session.router.links
    for link in links if shards is None else [links[shard] for shard in shards]:
        if link.state is LinkState.DOWN:
            raise link.down()
        if link.state is LinkState.LOADING and not command.flags & Flag.LOADING:
            raise Loading()
        if link.refusal and command.flags & Flag.WRITE:
            raise RedisError(link.refusal)
