"""Large arguments of a client's commands: they are brought to their shards before the command is begun.

Meanwhile it is as if the command had not come yet: what is behind it waits, and other clients go on. So it has its
place in the one order when it is begun, as any command; see freight.py for how it travels.

Rule 1: nothing is brought for what is refused anyway: `dispatch` asks here when it has found nothing wrong, and looks
        at all of it once more when it is begun.
Rule 2: where the words go is a guess, which may be wrong where a shard has died or a directive was changed: what is not
        there then goes with the frame.
Rule 3: what was brought and not used is dropped when the command is answered, or its client is gone.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.command import Command, Flag, Plan
from common.errors import RedisError
from common.frame import LARGE_SIZE_BYTES
from router.borrow import home_of
from router.link import LinkState
from router.plan import cut
from router.transaction import EXEC, Transaction

if TYPE_CHECKING:
    from router.batch import Batch
    from router.freight import Cargo
    from router.session import Session


class Staging:
    """What is brought for one command."""

    def __init__(self, session: "Session", goods: list[tuple[int, bytes]]) -> None:
        """`goods` are large words, each with the shard that it is brought to."""
        self.session = session
        self.missing = len(goods)
        """How many are on their way."""
        self.used = False
        """Whether the command was begun."""
        self.dropped = False
        links = session.router.links
        self.cargos: list[Cargo] = [links[shard].freight.send(word, self._arrived) for shard, word in goods]

    def _arrived(self) -> None:
        self.missing -= 1
        if not self.missing and not self.dropped:
            self.session.pump()

    def drop(self) -> None:
        """What is not used by now will not be."""
        if not self.dropped:
            self.dropped = True
            cargos, self.cargos = self.cargos, []  # They lead back here: the words would stay until a collection.
            for cargo in cargos:
                cargo.drop()


def delays(session: "Session", command: Command, argv: list[bytes]) -> bool:
    """Whether a call has to wait until its large arguments are at their shards. If nobody has, begins to bring them."""
    staging = session.staging
    if staging is not None:
        # Another one of the same batch has to wait for the next, which brings its own.
        delayed = bool(staging.missing) or staging.used
        staging.used = True
        return delayed
    transaction = session.transaction
    if transaction is None:
        goods = destinations(session, [(command, argv)])
    elif brings(command, transaction):
        calls = zip(transaction.commands(session.router.table.find), transaction.queued, strict=True)
        goods = destinations(session, list(calls))
    else:
        return False
    links = session.router.links
    goods = [(shard, word) for shard, word in goods if links[shard].state is LinkState.READY]
    if not goods:
        return False
    session.laden = True
    session.changed()
    session.staging = Staging(session, goods)
    return True


def brings(command: Command, transaction: Transaction) -> bool:
    """Whether this is an EXEC of which something may be brought. Not of one that is long: it is sent in slices."""
    enough = transaction.size_bytes >= LARGE_SIZE_BYTES
    return command.name == EXEC and enough and not transaction.broken and not transaction.is_long


def settle(session: "Session", batch: "Batch") -> None:
    """Looks at a batch that is about to be sent, of a client whose commands may have large arguments."""
    for link in session.router.links:
        link.large = True  # What was not brought is not copied, either.
    staging = session.staging
    if staging is not None and not staging.missing:  # It was begun, or refused at last.
        batch.pushes.append(staging.drop)
        staging = session.staging = None
    if staging is None and not session.backlog:
        session.laden = False
        session.changed()


def destinations(session: "Session", calls: list[tuple[Command, list[bytes]]]) -> list[tuple[int, bytes]]:
    """The large words of calls that are done as one, each with the shard that will get it.

    None where several shards write and that is recorded: then each of them gets the record of the whole, which has all
    words in it and is made when the calls are sent.
    """
    recording = session.router.recording
    goods: list[tuple[int, bytes]] = []
    writing: set[int] = set()
    for command, argv in calls:
        shards = shards_of(session, command, argv)
        if recording and command.flags & Flag.WRITE:
            writing.update(shards)
        if any(len(word) >= LARGE_SIZE_BYTES for word in argv):
            goods += parts_of(session, command, argv, shards)
    return [] if len(writing) > 1 and (len(calls) > 1 or calls[0][0].plan is Plan.SPLIT) else goods


def shards_of(session: "Session", command: Command, argv: list[bytes]) -> list[int]:
    """The shards of the keys of a call; none where it is wrong."""
    try:
        keys = command.keys_of(argv) if command.has_keys else []
    except RedisError:
        return []
    return list(dict.fromkeys(session.router.shard_of(argv[index]) for index in keys))


def parts_of(session: "Session", command: Command, argv: list[bytes], shards: list[int]) -> Iterator[tuple[int, bytes]]:
    """The large words of one call whose keys are on these shards, each with the shard that will get it."""
    if len(shards) > 1 and command.plan is Plan.SPLIT:
        start, step = command.cut
        parts = list(zip(*cut(argv, start, step, session.router.owners)[:2], strict=True))
    elif len(shards) > 1:
        parts = [(home_of(command, argv, session.router.shard_of), argv)]
    else:
        parts = [(shard, argv) for shard in shards]
    for shard, words in parts:
        for word in words:
            if len(word) >= LARGE_SIZE_BYTES:
                yield shard, word
