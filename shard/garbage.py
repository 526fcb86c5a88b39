"""Values that were given up: freed a slice at a time, between turns, because freeing millions of objects takes long.

The garbage of a shard is a list; whoever gives up a value appends it. A value of ours is asked for what it is made of.
"""

from typing import Any

FREED_MAX = 64
"""How many values, or empty slots, are freed at once: some tens of microseconds' worth."""

CHEAP_TO_FREE = (bytes, bytearray, int, float, tuple, type(None))
"""What need not be taken apart."""


def free_some(garbage: list[Any]) -> bool:
    """Frees a slice of what was given up, some tens of microseconds' worth; whether there is more."""
    if not garbage:
        return False
    last = garbage[-1]
    kind = type(last)
    if kind is list and last:
        given_up = last[-FREED_MAX:]
        del last[-FREED_MAX:]
        garbage += [one for one in given_up if type(one) not in CHEAP_TO_FREE and len(one)]
    elif kind is dict and last:
        given_up = [last.popitem()[1] for _ in range(min(FREED_MAX, len(last)))]
        garbage += [value for value in given_up if type(value) not in CHEAP_TO_FREE]
    elif kind is set and last:
        for _ in range(min(FREED_MAX, len(last))):
            last.pop()
    else:
        garbage.pop()
        if hasattr(kind, "containers"):
            garbage += last.containers()
    return bool(garbage)
