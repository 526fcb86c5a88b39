"""CPython's cyclic collector, kept off the hot path.

It runs after so and so many more containers were made than freed, and then walks them all: a router with a few thousand
commands under way spent 9 % of its time there. A command makes no reference cycles; what does (an error's traceback, a
connection's end) is rare. So what start-up made is frozen, and the collector looks at the young only now and then.
"""

import gc

YOUNG_MAX = 100_000
"""Containers made, and not freed, before the young ones are looked at: some MB of commands under way stay below."""


def settle() -> None:
    """To be called once, when a process is ready to serve. It collects nothing first: imports leave no cycles behind,
    and looking for some took 5 to 11 ms of each start.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 50, 100)


def release() -> None:
    """Has the interpreter free what it keeps of objects that are gone: up to 2,000 tuples of each size and some others,
    which lie anywhere, and each keeps an arena of 1 MB from the system. A full collection does that; this one looks at
    nothing, for all that is alive is frozen meanwhile. Takes 1 ms, whatever there is.

    What start-up made is frozen no longer; there are 100 x 50 x YOUNG_MAX containers from one look at that to the next.
    """
    gc.freeze()
    gc.collect()
    gc.unfreeze()
