"""Whether calls of concurrent clients could have run one by one: a checker of histories.

A history is linearizable if each call can be given one moment between its invocation and its response so that a model,
run in the order of those moments, answers every call as it was answered. The search is Wing and Gong's, with Lowe's
memory of what was tried: calls are placed one after the other, always one of those that had been invoked before any
call not yet placed had been answered; where none fits, the last one placed is taken back. The worst case is
exponential, so the number of steps has a limit, and beyond it the verdict is `Undecided`, never "right".
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

STEPS_MAX = 2_000_000
"""Calls of the model for one history, some seconds' worth."""

Step = Callable[[Any, Any], tuple[Hashable, Any]]
"""The model: from a state (hashable) and a call to the next state and the reply."""


@dataclass(slots=True)
class Operation:
    """A call of a client and its reply."""

    call: tuple[Any, ...]
    reply: Any
    invoked_s: float
    responded_s: float = inf
    """`inf` if no reply came."""
    known: bool = True
    """False if the call may have happened or not, in its time; its reply is of no interest then."""
    client: int = 0


class NotLinearizable(Exception):
    """The text names the call that nothing explains, and those that were open at that time."""


class Undecided(Exception):
    """The search took too long."""


def check(history: Sequence[Operation], step: Step, initial: Hashable, steps_max: int = STEPS_MAX) -> None:
    """Returns if the history is linearizable.  Raises NotLinearizable and Undecided."""
    marks = _Marks(history)
    state, placed = initial, 0  # `placed` has a bit for each call that was placed, or dropped.
    seen: set[tuple[int, Hashable]] = set()
    stack: list[tuple[int, Hashable, int]] = []
    deepest, stuck_at = -1, 0
    mark = marks.after[marks.head]
    while marks.after[marks.head] != marks.head:
        number = mark % marks.count
        operation = history[number]
        is_response = mark >= marks.count
        next_state, fits = state, not operation.known
        if not is_response:
            next_state, reply = step(state, operation.call)
            fits = fits or reply == operation.reply
        after = (placed | 1 << number, next_state)
        # A call of unknown outcome is dropped where its time ends: it did not happen.
        if fits and after not in seen:
            seen.add(after)
            stack.append((mark, state, placed))
            placed, state = after
            marks.lift(number)
            mark = marks.after[marks.head]
        elif not is_response:
            mark = marks.after[mark]
        else:
            if len(stack) > deepest:
                deepest, stuck_at = len(stack), number
            if not stack:
                raise NotLinearizable(_explanation(history, stuck_at))
            mark, state, placed = stack.pop()
            marks.put_back(mark % marks.count)
            if mark < marks.count:
                mark = marks.after[mark]
        steps_max -= 1
        if not steps_max:
            raise Undecided(f"{len(history)} calls, {len(seen)} states seen")


class _Marks:
    """Invocations and responses in the order of time: a doubly linked list, from which calls are lifted.

    The mark of call n's invocation is n, that of its response is count + n; `head` is the list's both ends.
    """

    __slots__ = ("after", "before", "count", "head")

    def __init__(self, history: Sequence[Operation]) -> None:
        self.count = count = len(history)
        self.head = 2 * count
        # At one and the same time invocations come first: then the calls overlap, which never refuses a right history.
        times = [(operation.invoked_s, 0, number) for number, operation in enumerate(history)]
        times += [(operation.responded_s, 1, count + number) for number, operation in enumerate(history)]
        order = [self.head, *(mark for _, _, mark in sorted(times)), self.head]
        self.after = [0] * (2 * count + 1)
        self.before = [0] * (2 * count + 1)
        for one, other in zip(order, order[1:], strict=False):
            self.after[one], self.before[other] = other, one

    def lift(self, number: int) -> None:
        for mark in (number, self.count + number):
            one, other = self.before[mark], self.after[mark]
            self.after[one], self.before[other] = other, one

    def put_back(self, number: int) -> None:
        """Takes back the last `lift`."""
        for mark in (self.count + number, number):
            self.after[self.before[mark]] = self.before[self.after[mark]] = mark


def _explanation(history: Sequence[Operation], number: int) -> str:
    stuck = history[number]
    near = [
        operation
        for operation in sorted(history, key=lambda operation: operation.invoked_s)
        if operation.responded_s >= stuck.invoked_s and operation.invoked_s <= stuck.responded_s
    ]
    return f"nothing explains {shown(stuck)}\nat that time:\n" + "\n".join(f"  {shown(each)}" for each in near)


def shown(operation: Operation) -> str:
    reply = repr(operation.reply) if operation.known else "(unknown)"
    times = f"{operation.invoked_s:.6f}-{operation.responded_s:.6f}"
    return f"{times} client {operation.client}: {operation.call!r} -> {reply}"


def by_first_key(history: Iterable[Operation]) -> dict[Any, list[Operation]]:
    """The histories of single keys, where each call has but one and names it first."""
    found: dict[Any, list[Operation]] = {}
    for operation in history:
        found.setdefault(operation.call[1], []).append(operation)
    return found
