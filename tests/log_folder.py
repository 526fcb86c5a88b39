"""The folder of a log, as tests make it, read it and open it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from shard.aof import Aof

Commands = list[tuple[int, list[bytes]]]

GROUP: Commands = [(0, [b"DEL", b"a"]), (2, [b"INCR", b"n"])]


def opening(folder: Path) -> Iterator[Callable[..., Aof]]:
    """Opens a log, having read what is there, and closes it in the end: the body of a fixture."""
    logs: list[Aof] = []

    def open_(**options: object) -> Aof:
        log = Aof(folder, **options)  # type: ignore[arg-type]
        logs.append(log)
        for _ in log.load(lambda db, argv: None):
            pass
        return log

    yield open_
    for log in logs:
        log.close()


def contents(folder: Path, **options: object) -> Commands:
    """What a start would do again."""
    commands: Commands = []
    log = Aof(folder, **options)  # type: ignore[arg-type]
    try:
        for _ in log.load(lambda db, argv: commands.append((db, argv))):
            pass
    finally:
        log.close()
    return commands


def write_log(folder: Path, *increments: bytes, base: bytes | None = None) -> list[Path]:
    """Files with a manifest, as a server leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"appendonly.aof.{number}.incr.aof" for number in range(1, len(increments) + 1)]
    lines = [f"file {path.name} seq {number} type i\n" for number, path in enumerate(paths, 1)]
    for path, data in zip(paths, increments, strict=True):
        path.write_bytes(data)
    if base is not None:
        (folder / "appendonly.aof.1.base.aof").write_bytes(base)
        lines.insert(0, "file appendonly.aof.1.base.aof seq 1 type b\n")
    (folder / "appendonly.aof.manifest").write_text("".join(lines))
    return paths


def contents_of_copy(folder: Path) -> Commands:
    """What a start would do again if the process had been killed now."""
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    try:
        return contents(copy)
    finally:
        shutil.rmtree(copy)
