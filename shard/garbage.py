"""Values that were given up: freed a slice at a time, between turns, because freeing millions of objects takes long.

The garbage of a shard is a list; whoever gives up a value appends it. A value of ours is asked for what it is made of.
"""

from typing import Any

from common.leftovers import Leftover, Leftovers, is_alone, is_large

FREED_MAX = 64
"""How many values, or empty slots, are freed at once: some tens of microseconds' worth."""

CHEAP_TO_FREE = (bytes, bytearray, int, float, tuple, type(None))
"""What need not be taken apart, but for a very large string."""


def is_costly(value: Any) -> bool:
    """Whether it takes long to free."""
    return (type(value) not in CHEAP_TO_FREE and len(value) > 0) or is_large(value)


def free_some(garbage: list[Any], leftovers: Leftovers | None = None) -> bool:
    """Frees a slice of what was given up, some tens of microseconds' worth; whether there is more. `leftovers` get the
    large strings that somebody else still has: a snapshot, or a reply on its way."""
    if not garbage:
        return False
    last = garbage[-1]
    kind = type(last)
    if kind is list and last:
        given_up = last[-FREED_MAX:]
        del last[-FREED_MAX:]
        garbage += [one for one in given_up if is_costly(one)]
    elif kind is dict and last:
        given_up = [last.popitem()[1] for _ in range(min(FREED_MAX, len(last)))]
        garbage += [value for value in given_up if is_costly(value)]
    elif kind is set and last:
        for _ in range(min(FREED_MAX, len(last))):
            last.pop()
    elif kind is Leftover:
        if not last.free_some():
            garbage.pop()
    elif kind is bytes or kind is bytearray:
        del last
        if is_large(garbage[-1]) and is_alone(garbage, -1):
            garbage[-1] = Leftover(garbage[-1])
        elif leftovers is not None:
            leftovers.add(garbage.pop())
        else:
            garbage.pop()
    else:
        garbage.pop()
        if hasattr(kind, "containers"):
            garbage += last.containers()
    return bool(garbage)
