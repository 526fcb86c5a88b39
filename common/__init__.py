"""What router and shard both mean: errors, numbers, requests, replies, frames, commands, directives. No I/O.

Some modules exist twice, as a .py and compiled from that very file. With `SHARDIS_PLAIN=1` in the environment each
is loaded from its .py: to debug, to measure, or to doubt the compiler. In a checkout so is each whose source was edited
since it was compiled. It holds for whatever is imported after this package; `speed` tells which runs.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

HOUSE = ("common", "router", "shard", "deploy")
"""The packages whose modules may exist compiled."""


class PlainFinder:
    """Finds modules of the house by their source alone, before the import system looks for a compiled one."""

    def __init__(self, *, always: bool) -> None:
        """`always`, or only where the compiled module is older than its source: somebody edited the checkout."""
        self.always = always

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None or name.partition(".")[0] not in HOUSE:
            return None
        for folder in path:
            if self.always or is_stale(f"{folder}/{name.rpartition('.')[2]}"):
                spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)
                if spec is not None and spec.loader is not None:
                    return spec
        return None


def is_stale(module: str) -> bool:
    """Whether the module at this path, without suffix, is compiled from an older source than the one beside it."""
    try:
        compiled_s = os.stat(module + EXTENSION_SUFFIXES[0]).st_mtime
    except FileNotFoundError:
        return False
    return any(os.stat(module + suffix).st_mtime > compiled_s for suffix in (".py", ".pxd"))


def speed() -> str:
    """ "compiled" or "plain": how the loops that run per command were loaded."""
    from common import requests  # Not at the top: whoever wants only an error class need not load the parser.

    return "compiled" if requests.COMPILED else "plain"


if os.environ.get("SHARDIS_PLAIN", "") not in ("", "0"):
    sys.meta_path.insert(0, PlainFinder(always=True))
elif os.path.exists(f"{os.path.dirname(os.path.dirname(__file__))}/setup.py"):
    sys.meta_path.insert(0, PlainFinder(always=False))
