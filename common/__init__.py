"""What router and shard both mean: errors, numbers, requests, replies, frames, commands, directives. No I/O.

Some modules exist twice, as a .py and compiled from that very file. With `SHARDIS_PLAIN=1` in the environment each
is loaded from its .py: to debug, to measure, or to doubt the compiler. So they all are where one could not be compiled,
and in a checkout where one was edited since. It holds for whatever is imported after this package; `speed` tells which
runs.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from itertools import chain
from types import ModuleType

HOUSE = ("common", "router", "shard", "deploy")
"""The packages whose modules may exist compiled."""


class PlainFinder:
    """Finds modules of the house by their source alone, before the import system looks for a compiled one."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None or name.partition(".")[0] not in HOUSE:
            return None
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def is_compiled(root: str) -> bool:
    """Whether every module below `root` that has a .pxd is there compiled, and in a checkout from what it is now.

    Compiled modules know each other's C fields: one that is plain, or older than its source, breaks the others. So it
    is all of them or none.
    """
    checkout = os.path.exists(f"{root}/setup.py")
    for folder, _, names in chain.from_iterable(os.walk(f"{root}/{package}") for package in HOUSE):
        for name in names:
            if name.endswith(".pxd"):
                module = f"{folder}/{name[:-4]}"
                try:
                    compiled_s = os.stat(module + EXTENSION_SUFFIXES[0]).st_mtime
                except FileNotFoundError:
                    return False
                if checkout and any(os.stat(module + suffix).st_mtime > compiled_s for suffix in (".py", ".pxd")):
                    return False
    return True


def speed() -> str:
    """ "compiled" or "plain": how the loops that run per command were loaded."""
    from common import requests  # Not at the top: whoever wants only an error class need not load the parser.

    return "compiled" if requests.COMPILED else "plain"


if os.environ.get("SHARDIS_PLAIN", "") not in ("", "0") or not is_compiled(os.path.dirname(os.path.dirname(__file__))):
    sys.meta_path.insert(0, PlainFinder)
