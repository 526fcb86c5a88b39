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

How many wait is bounded by what the router lets be under way for each client.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable


class Ticket:
    """A place in the queues of some keys; in all of them, if `keys` is None."""

    __slots__ = ("keys", "order", "behind", "granted")

    def __init__(self, keys: Iterable[bytes] | None) -> None:
        self.keys = None if keys is None else tuple(dict.fromkeys(keys))
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

    def __init__(self, queues: dict[bytes, deque[Ticket]] | None = None) -> None:
        """`queues` is an empty dict that somebody else looks at too: it has exactly the blocked keys."""
        self.queues: dict[bytes, deque[Ticket]] = {} if queues is None else queues
        self.wholes: deque[Ticket] = deque()
        """The tickets for the whole keyspace, in their order."""
        self.line: OrderedDict[int, Ticket] = OrderedDict()
        """All tickets by their order."""
        self._next = 0

    def blocks(self, keys: Iterable[bytes] | None) -> bool:
        """Whether a ticket for these keys would have to wait. O(number of keys)."""
        if keys is None:
            return bool(self.line)
        queues = self.queues
        return bool(self.wholes) or any(key in queues for key in keys)

    def blocks_beside(self, ticket: Ticket, keys: Iterable[bytes] | None) -> bool:
        """Whether somebody else than `ticket`, which has its turn, has his at one of these keys, or waits there before
        it has: what belongs to that turn need not wait for those who came after it. O(number of keys).
        """
        if ticket.keys is None:
            return False
        if keys is None:
            return len(self.line) > 1
        queues = self.queues
        return any(key in queues and queues[key][0] is not ticket for key in keys)

    def enter(self, ticket: Ticket) -> bool:
        """Puts a new ticket into its queues; whether it has its turn at once. O(number of keys)."""
        ticket.order = self._next
        self._next += 1
        if ticket.keys is None:
            ticket.granted = not self.line
            self.wholes.append(ticket)
        else:
            for key in ticket.keys:
                queue = self.queues.get(key)
                if queue is None:
                    self.queues[key] = deque((ticket,))
                else:
                    queue.append(ticket)
                    ticket.behind += 1
            ticket.granted = not ticket.behind and not self.wholes
        self.line[ticket.order] = ticket
        return ticket.granted

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Takes a ticket out, also one that waits; those that have their turn now. They have no key in common.

        O(number of keys) for one that had its turn, O(number of tickets) for one that has the whole.
        """
        del self.line[ticket.order]
        if ticket.keys is None:
            candidates = self._leave_whole(ticket)
        else:
            candidates = [head for key in ticket.keys if (head := self._leave_queue(ticket, key)) is not None]
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
        keys = {key for ticket in line for key in ticket.keys or ()}
        assert self.queues.keys() == keys
        for key in keys:
            assert list(self.queues[key]) == [ticket for ticket in line if ticket.keys and key in ticket.keys]
        for place, ticket in enumerate(line):
            if ticket.keys is None:
                assert ticket.granted == (place == 0)
            else:
                assert ticket.behind == sum(self.queues[key][0] is not ticket for key in ticket.keys)
                before = line[:place]
                conflicts = [one for one in before if one.keys is None or set(one.keys) & set(ticket.keys)]
                assert ticket.granted == (not conflicts)
