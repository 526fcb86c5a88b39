"""The step from one set of a log's files to the next: what a rewrite has made takes the place of all before it.

Rule 1: until the new manifest has its name the old set counts, and from then on the new one. All that the new one names
        is on disk before, under its name.
Rule 2: what is replaced is deleted only once the new manifest is sure to survive a power cut.
Rule 3: all of it waits for the disk, so the log's thread does it. Who needs its outcome earlier waits, see `join`.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shard.log_files import move, sync_folder, write_beside
from shard.manifest import Manifest


@dataclass(slots=True)
class Swap:
    """Moves files to their names, puts `manifest` in force, and deletes its history."""

    folder: Path
    manifest_name: str
    manifest: Manifest
    moves: list[tuple[Path, Path]]
    """Synced files, and the names by which the manifest knows them."""
    in_force: bool = False
    """Whether the new set counts. It can be so with an `error`: then the history is still there."""
    error: OSError | None = None
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, then: Callable[[], None] = lambda: None) -> None:
        """Does it, in any thread; `then` is called there at the end."""
        try:
            self._run()
        except OSError as error:
            self.error = error
            if not self.in_force:
                self._undo()
        finally:
            self._over.set()
        then()

    def join(self) -> None:
        """Returns when it is over."""
        self._over.wait()

    def _run(self) -> None:
        for path, name in self.moves:
            os.rename(path, name)
        sync_folder(self.folder)
        path = self.folder / self.manifest_name
        move(write_beside(path, self.manifest.encode()), path)
        self.in_force = True
        sync_folder(self.folder)
        for file in self.manifest.history:
            (self.folder / file.name).unlink(missing_ok=True)
        kept = self.manifest.without_history()
        move(write_beside(path, kept.encode()), path)
        self.manifest = kept

    def _undo(self) -> None:
        """Takes back the names that were given: what no manifest names must not lie there under them."""
        for path, name in self.moves:
            try:
                os.rename(name, path)
            except OSError:
                continue  # It has not got that far, or the disk is no more. Then the next start sets it aside.
