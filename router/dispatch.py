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
from common.resp import OK, encode, error_reply
from router.acl import WrongPassword
from router.batch import OK_LINE, Batch, Later
from router.blocking import Blocking, BlockingOverShards
from router.borrow import Borrow
from router.link import LinkState
from router.merge import MERGES, Merge
from router.monitor import check, show
from router.pubsub import check_allowed
from router.reach import reaches
from router.staging import delays
from router.transaction import refused

if TYPE_CHECKING:
    from router.session import Session


logger = logging.getLogger("shardis")

HTTP = frozenset({b"post", b"host:"})
"""Whoever sends these is a browser that was made to talk to us: nothing more of what it sends must be run."""


class Deferred:
    """What a router's handler returns when its reply is not made here and now.

    It is no abstract class: asking whether something is one of those took a seventh of what an EXEC costs here.
    """

    __slots__ = ()

    counted = True
    """Whether the call counts when the handler has returned, and not when it is answered."""

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        """Adds to the batch what will make the reply.  Raises RedisError."""
        raise NotImplementedError


class AskShards(Deferred):
    """When the reply is made of what all shards say to a message of the router."""

    __slots__ = ("message", "merge", "shards")

    counted = False  # So that INFO does not count itself.

    def __init__(self, message: list[Any], merge: Merge, shards: list[int] | None = None) -> None:
        """Asks these shards only, which the handler has found to be up; without them all, or nobody if one is down."""
        self.message = message
        self.merge = merge
        self.shards = shards

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        session = batch.session
        if self.shards is None:
            check_shards(session, command)
        shards = range(session.router.shards) if self.shards is None else self.shards
        batch.add_join(argv, shards, [self.message] * len(shards), self.merge, command, CONTROL)


class AskEach(Deferred):
    """When some shards are each asked something else."""

    __slots__ = ("messages", "merge")

    counted = False

    def __init__(self, messages: dict[int, list[Any]], merge: Merge) -> None:
        """`messages` are by shard."""
        self.messages = messages
        self.merge = merge

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        check_shards(batch.session, command, list(self.messages))
        messages = self.messages
        batch.add_join(argv, list(messages), list(messages.values()), self.merge, command, CONTROL)


class Forward(Deferred):
    """When one shard answers `argv` in its place."""

    __slots__ = ("shard", "argv")

    counted = False  # The shard counts it.

    def __init__(self, shard: int, argv: list[bytes]) -> None:
        self.shard = shard
        self.argv = argv

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        batch.add(self.shard, self.argv)


class Wait(Deferred):
    """When the reply comes later: `begin` is given the step to finish."""

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[Later], None]) -> None:
        self.begin = begin

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        later = Later(batch)
        batch.add_step(later)
        self.begin(later)


def dispatch(session: "Session", batch: Batch, argv: list[bytes]) -> bool:
    """Adds one command to the batch of its client, whatever command and state it is; False if it has to wait."""
    router = session.router
    command = None
    if session.tracking is not None:
        session.tracking.begin()
    try:
        unknown = None
        if router.renames is not None:
            argv, unknown = router.renames.meant(argv)
        session.check(argv)
        if unknown is not None:
            raise unknown
        command = router.table.find(argv) if session.transaction is None else router.table.find_to_queue(argv)
        if command.opaque:
            check_protected(session, command.name)
        if session.user.restricted:
            router.users.check(session, command, argv)
        if session.subscriptions is not None:
            check_allowed(session, command)
        session.last_command = command.name
        if session.monitoring:
            check(command)
        if router.budget.gated and router.budget.stops(session, command):
            return False
        if router.saving.refusal is not None:
            router.saving.check(session, command)
        if router.pause.stops(command, session):
            return False
        if session.transaction is not None and not command.at_once:
            session.transaction.queue(batch, command, argv)
            return True
        if (session.laden or session.transaction is not None) and delays(session, command, argv):
            return False
        if command.blocking and command.may_block(argv):
            if not _blocking(session, batch, command, argv):
                return False
        else:
            plan(session, batch, command, argv)
        if router.monitors and not session.transacting:  # An EXEC in stages is shown behind its commands.
            show(session, command, argv)
    except RedisError as error:
        _refuse(session, batch, argv, error, breaks=True)
        if argv[0].lower() in HTTP:
            session.kill()
    except Exception:
        logger.exception("internal error in %s", session.last_command)
        _refuse(session, batch, argv, RedisError("ERR internal error"), breaks=True)
    if session.tracking is not None:
        session.tracking.begun(command)
    return True


def run_queued(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    """Adds one command of a transaction that is executed."""
    try:
        if command.opaque:
            command = session.router.table.find(argv)
        if session.user.restricted:
            session.router.users.check_queued(session, command, argv)
        plan(session, batch, command, argv)
        if session.router.monitors:
            show(session, command, argv)
    except RedisError as error:
        _refuse(session, batch, argv, error)
    except Exception:
        logger.exception("internal error in %s", command.name)
        _refuse(session, batch, argv, RedisError("ERR internal error"))


def plan(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    """Adds a command to a batch by its plan.  Raises RedisError."""
    first = len(batch.runs)
    PLANS[command.plan](session, batch, command, argv)
    if session.tracking is not None:
        session.tracking.planned(batch, first, command, argv)


def _blocking(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> bool:
    """Adds a call that may block, which must be alone in its batch."""
    if batch.steps:
        return False
    plan(session, batch, command, argv)
    if session.blocking is None:
        session.blocking = Blocking(batch)
    if command.has_keys:
        session.blocking.called = (command, argv)
    return True


def _refuse(session: "Session", batch: Batch, argv: list[bytes], error: RedisError, *, breaks: bool = False) -> None:
    """Answers a call that does not run with an error; if that `breaks` a transaction, its EXEC is refused too."""
    router = session.router
    session.commands -= 1  # What is refused does not count as a command.
    container = router.table.resolve(argv[:1])
    found = router.table.resolve(argv)
    command = found or container
    if breaks:
        session.last_command = found.name if found is not None else "NULL"
    if command is not None:
        command.rejected_calls += 1
    if container is not None and container.opaque and len(argv) > 1 and session.authenticated:
        # Who may not use DEBUG is not told what it has.
        try:
            check_protected(session, container.name)
            if breaks and session.user.restricted and found is None:
                router.users.check(session, container, argv)
        except RedisError as refusal:
            error = refusal
    if breaks:
        error = refused(session, command, error)
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
        if isinstance(error, WrongPassword):
            router.users.note_wrong(session, error, argv)
    duration = router.clock_ns() - started
    deferred = isinstance(reply, Deferred)
    if not deferred or reply.counted:
        command.count(duration)
    if duration >= router.slow_us * 1000:
        router.note_slow(session, argv, duration // 1000)
    if deferred:
        reply.add(batch, command, argv)
    else:
        # The handler may just have changed protocol or db: the commands behind it go under the new header.
        batch.header = session.header
        text = OK_LINE if reply is OK else encode(reply, session.protocol)
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
    far = reaches(command, argv, shards, owners)
    if len(shards) <= 1 and not far:
        batch.add(shards[0] if shards else 0, argv)
        return
    check_shards(session, command, None if far else shards)
    if command.blocking and command.may_block(argv):
        session.blocking = BlockingOverShards(session, batch, command, argv)
    else:
        Borrow(session, batch, command, argv)


def _split(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    router = session.router
    start, step = command.cut
    if (len(argv) - start) % step:
        # A call that is cut short answers the same error on any shard.
        batch.add(router.shard_of(argv[start]), argv)
        return
    if not router.steady:
        shards = list(dict.fromkeys(map(router.shard_of, argv[start::step])))
        if len(shards) > 1:
            check_shards(session, command, shards)
    batch.split(argv, command)


def _every(session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
    check_shards(session, command)
    shards = range(session.router.shards)
    batch.add_join(argv, shards, [argv] * len(shards), MERGES[command.merge], command)


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
    if session.router.steady:
        return
    links = session.router.links
    for link in links if shards is None else [links[shard] for shard in shards]:
        if link.state is LinkState.DOWN:
            raise link.down()
        if link.state is not LinkState.READY and not command.flags & Flag.LOADING:
            raise Loading()
        if link.refusal and command.flags & Flag.WRITE:
            raise RedisError(link.refusal)
