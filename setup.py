"""What pyproject.toml can't say: which modules are compiled. Those that have a .pxd beside them, and no others.

Each is optional: where there is no C compiler the install succeeds all the same, and the files run as plain Python.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
PACKAGES = ("common", "router", "shard", "deploy", "metrics", "transfer")
COMPILED = sorted(
    path.with_suffix(".py").relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.pxd")
)


ARGUMENTS = ["-g0", "-O2"] if os.name == "posix" else []
"""Python's own are -g -O3: with them compiling takes 1.6 times as long, for nothing that was measured."""
PROCESSES = os.cpu_count() or 1


def extensions() -> list[Extension]:
    """What is to be compiled, as C."""
    found: list[Extension] = cythonize(
        [
            Extension(".".join(source.with_suffix("").parts), [str(source)], extra_compile_args=ARGUMENTS)
            for source in COMPILED
        ],
        build_dir="build/cython",
        nthreads=PROCESSES,
        compiler_directives={"language_level": "3", "annotation_typing": False},
        quiet=True,
    )
    for extension in found:
        extension.optional = True  # Said here, because cythonize does not pass it on.
    return found


def remove_stale(source: Path) -> None:
    """A checkout's binary that is older than its source must not be what runs if compiling it again should fail."""
    changed_s = max(path.stat().st_mtime for path in (source, source.with_suffix(".pxd")))
    for binary in source.parent.glob(f"{source.stem}.*.so"):
        if binary.stat().st_mtime < changed_s:
            binary.unlink()


for module in COMPILED:
    remove_stale(module)

setup(ext_modules=extensions(), options={"build_ext": {"parallel": PROCESSES}})
