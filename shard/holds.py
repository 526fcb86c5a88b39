"""Who may touch which key: holds, and a waiting room in which each key has its queue.

A ticket names the keys that something touches, or is for the whole keyspace. It enters all its queues at once, at their
ends, and has its turn when it is the first in each of them; until it leaves nobody else has a turn there. A ticket for
the whole has its turn when it is the first of all, and everybody that comes after it waits until it leaves.

Rule 1: tickets with a key in common have their turns in the order in which they came. So every key sees its commands in
        the router's order (DESIGN 2), also those that had to wait.
Rule 2: nobody waits for one that came later, so there are no deadlocks here; nor between shards, as the router enters
        all tickets of a command into all streams in one turn of its own.
Rule 3: a key is blocked in all dbs at once. A command may reach another db than its own (MOVE, COPY ... DB), and two
        dbs hardly ever use one name in the same moment: so nobody needs to know which dbs a command reaches.

A ticket of very many keys (ManyKeys) stands in the queue of a key only where somebody else does, too: so it comes and
goes in a moment. One can be in line at a time; another one has all its queues, and takes its time.

How many wait is bounded by what the router lets be under way for each client.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from shard.blocked_keys import BlockedKeys, ManyKeys


class Ticket:
    """A place in the queues of some keys; in all of them, if `keys` is None."""

    __slots__ = ("keys", "order", "behind", "granted")

    def __init__(self, keys: Iterable[bytes] | None) -> None:
        self.keys: ManyKeys | tuple[bytes, ...] | None
        if keys is None or isinstance(keys, ManyKeys):
            self.keys = keys
        else:
            self.keys = tuple(dict.fromkeys(keys))
        self.order = -1
        self.behind = 0
        """In how many queues somebody is before it."""
        self.granted = False
        """Whether it has its turn."""


class Holds:
    """The queues of all keys that somebody holds or waits for.

    >>> holds = Holds()
    >>> first, second, third = Ticket([b"a", b"b"]), Ticket([b"b", b"c"]), Ticket([b"c"])
    >>> holds.enter(first), holds.enter(second), holds.enter(third)
    (True, False, False)
    >>> holds.leave(first) == [second]  # `third` came after it, and still waits for c.
    True
    """

    def __init__(self, blocked: BlockedKeys | None = None) -> None:
        """Somebody else may look at `blocked`, too: it has exactly the blocked keys."""
        self.blocked = BlockedKeys() if blocked is None else blocked
        self.queues: dict[bytes, deque[Ticket]] = self.blocked.queues
        self.many: Ticket | None = None
        """The one of very many keys."""
        self.wholes: deque[Ticket] = deque()
        """The tickets for the whole keyspace, in their order."""
        self.line: OrderedDict[int, Ticket] = OrderedDict()
        """All tickets by their order."""
        self._next = 0

    def blocks(self, keys: Iterable[bytes] | None) -> bool:
        """Whether a ticket for these keys would have to wait. O(number of keys)."""
        if keys is None:
            return bool(self.line)
        blocked = self.queues if self.many is None else self.blocked
        return bool(self.wholes) or any(key in blocked for key in keys)

    def blocks_beside(self, ticket: Ticket, keys: Iterable[bytes] | None) -> bool:
        """Whether somebody else than `ticket`, which has its turn, has his at one of these keys, or waits there before
        it has: what belongs to that turn need not wait for those who came after it. O(number of keys).
        """
        if ticket.keys is None:
            return False
        if keys is None:
            return len(self.line) > 1
        queues, blocked = self.queues, self.blocked
        if self.many is None or self.many is ticket:
            return any(key in queues and queues[key][0] is not ticket for key in keys)
        return any(queues[key][0] is not ticket if key in queues else key in blocked for key in keys)

    def enter(self, ticket: Ticket) -> bool:
        """Puts a new ticket into its queues; whether it has its turn at once. O(number of keys), of queues for one of
        very many."""
        ticket.order = self._next
        self._next += 1
        if ticket.keys is None:
            ticket.granted = not self.line
            self.wholes.append(ticket)
        else:
            if isinstance(ticket.keys, ManyKeys) and self.many is None:
                self._enter_many(ticket, ticket.keys)
            else:
                self._enter_queues(ticket, ticket.keys)
            ticket.granted = not ticket.behind and not self.wholes
        self.line[ticket.order] = ticket
        return ticket.granted

    def _enter_queues(self, ticket: Ticket, keys: Iterable[bytes]) -> None:
        many, blocked = self.many, self.blocked
        for key in keys:
            queue = self.queues.get(key)
            if queue is not None:
                queue.append(ticket)
                ticket.behind += 1
            elif many is not None and key in blocked:
                self.queues[key] = deque((many, ticket))
                ticket.behind += 1
            else:
                self.queues[key] = deque((ticket,))

    def _enter_many(self, ticket: Ticket, keys: ManyKeys) -> None:
        for key, queue in self.queues.items():
            if key in keys:
                queue.append(ticket)
                ticket.behind += 1
        self.many = ticket
        self.blocked.many = keys

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Takes a ticket out, also one that waits; those that have their turn now. They have no key in common.

        O(number of keys) for one that had its turn, O(number of tickets) for one that has the whole, O(number of
        queues) for one of very many keys.
        """
        del self.line[ticket.order]
        if ticket.keys is None:
            candidates = self._leave_whole(ticket)
        else:
            keys: Iterable[bytes] = ticket.keys
            if ticket is self.many:
                self.many = self.blocked.many = None
                keys = [key for key in self.queues if key in ticket.keys]
            candidates = [head for key in keys if (head := self._leave_queue(ticket, key)) is not None]
        if self.wholes and next(iter(self.line.values())) is self.wholes[0]:
            candidates.append(self.wholes[0])
        ready = [one for one in candidates if not one.granted and self._has_turn(one)]
        for one in ready:
            one.granted = True
        return ready

    def _leave_queue(self, ticket: Ticket, key: bytes) -> Ticket | None:
        """Leaves the queue of one key; the ticket that is the first of its queues through that."""
        queue = self.queues[key]
        if queue[0] is not ticket:
            queue.remove(ticket)
            return None
        queue.popleft()
        if not queue:
            del self.queues[key]
            return None
        head = queue[0]
        head.behind -= 1
        return None if head.behind else head

    def _leave_whole(self, ticket: Ticket) -> list[Ticket]:
        """Those that came after it and before the next one for the whole."""
        if self.wholes[0] is not ticket:
            self.wholes.remove(ticket)
            return []
        self.wholes.popleft()
        until = self.wholes[0].order if self.wholes else self._next
        return [one for one in self.line.values() if one.order < until]

    def _has_turn(self, ticket: Ticket) -> bool:
        if ticket.keys is None:
            return True
        return not ticket.behind and (not self.wholes or ticket.order < self.wholes[0].order)

    def _check(self) -> None:
        """Asserts every invariant. O(n²)."""
        line = list(self.line.values())
        assert [ticket.order for ticket in line] == sorted(self.line)
        assert list(self.wholes) == [ticket for ticket in line if ticket.keys is None]
        alone = {key for key in self.blocked.many or () if key not in self.queues}
        assert (self.many is None) == (self.blocked.many is None) and (self.many is None or self.many in line)
        keys = {key for ticket in line for key in ticket.keys or ()} - alone
        assert self.queues.keys() == keys
        assert all(self.many is ticket for ticket in line if ticket.keys is not None and alone & set(ticket.keys))
        for key in keys:
            assert list(self.queues[key]) == [ticket for ticket in line if ticket.keys and key in ticket.keys]
        for place, ticket in enumerate(line):
            if ticket.keys is None:
                assert ticket.granted == (place == 0)
            else:
                assert ticket.behind == sum(self.queues[key][0] is not ticket for key in set(ticket.keys) - alone)
                before = line[:place]
                conflicts = [one for one in before if one.keys is None or set(one.keys) & set(ticket.keys)]
                assert ticket.granted == (not conflicts)
