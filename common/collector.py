"""CPython's cyclic collector, kept off the hot path.

It runs after so and so many more containers were made than freed, and then walks them all: a router with a few thousand
commands under way spent 9 % of its time there. A command makes no reference cycles; what does (an error's traceback, a
connection's end) is rare. So what start-up made is frozen, and the collector looks at the young only now and then.
"""

import gc

YOUNG_MAX = 100_000
"""Containers made, and not freed, before the young ones are looked at: some MB of commands under way stay below."""


def settle() -> None:
    """To be called once, when a process is ready to serve."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 50, 100)
