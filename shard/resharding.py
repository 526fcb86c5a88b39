"""`python -m shard.resharding [FILE] [--name value ...]`: re-hashes the data for another number of shards.

It is run before the shards, which find the data as they want it: by the supervisor by itself, elsewhere by hand. Where
there is nothing to do it ends at once. What it makes is the next generation of the data, see layout.py:

    <dir>/generation-2/parts/0-1                  what the old shard 0 has for the new shard 1
    <dir>/generation-2/shard-1/appendonlydir/     the log of the new shard 1, as after a rewrite

Rule 1: the old set stays as it is until layout.json, which says what counts, was replaced and synced. So whatever
        crashes when, there is one whole set; and until then a stop harms nothing.
Rule 2: what is not of the set that counts is removed at the next start, here, under the lock of the set that counts.
        Of an old set that is what its manifests name, and nothing else that lies there.
"""

import errno
import fcntl
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from setproctitle import setproctitle

from common import collector
from common.config import Config, ConfigError
from common.log import last_words, set_up
from common.record import lacking
from shard import first_logs
from shard import layout as layouts
from shard.layout import Layout
from shard.log_files import TEMPORARY, make_folder, read_layout, sync_folder, write_layout
from shard.log_reader import LogDamaged
from shard.log_reading import advice, read_manifest
from shard.redo import Book
from shard.resharding_tasks import Part, Progress, join, spread, survey
from shard.task_pool import Stopped, TaskDied, run

logger = logging.getLogger("shardis")

PARTS = "parts"
SPREAD_SHARE = 0.95
"""Of the whole time, until only the parts have to be joined."""
MB = 1 << 20


def main(argv: list[str]) -> int:
    """Does what is to be done; the exit status. What keeps it from that is one line on standard error."""
    try:
        config = Config.from_arguments(argv, environ=os.environ)
        set_up(config, "re-hashing")
        if config["set-proc-title"]:
            setproctitle("shardis: re-hashing")
        collector.settle()  # As in a shard; the processes of the tasks are forks.
        with stop_signals() as heard:
            fd = config["supervisor-fd"]
            settle(config, [heard, fd] if fd >= 0 else [heard])
    except Stopped:
        logger.warning("the re-hash was stopped; the data is as it was")
        return 1
    except (ConfigError, LogDamaged, TaskDied, OSError) as error:
        last_words(f"{error}{advice(error)}")
        return 1
    return 0


@contextmanager
def stop_signals() -> Iterator[int]:
    """A descriptor that is readable from SIGTERM or SIGINT on."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    before = signal.set_wakeup_fd(writable)
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield readable
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(readable)
        os.close(writable)


def settle(config: Config, stops: Sequence[int] = (), noticed: Callable[[str], None] = lambda step: None) -> None:
    """Sees to it that the data is spread as `config` says, and that there is no other.

    `noticed` hears of each step that was done.  Raises LogDamaged, OSError, TaskDied, and Stopped when one of the
    descriptors `stops` is readable: then the data is as it was.
    """
    folder = Path(config["dir"])
    old = read_layout(folder)
    if old is None:
        return
    with locked([folder, *filter(Path.is_dir, logs_of(config, old))]):
        if read_layout(folder) != old:
            raise OSError(errno.EBUSY, "another process has re-hashed the data", str(folder))
        refuse_other_generations(config, old)
        remove_left_overs(config, old)
        noticed("tidied")
        new = Layout(config["shards"], config["hash-tags"], old.generation + 1)
        if not old.serves(new):
            Rehash(config, old, new, stops, noticed).run()


@contextmanager
def locked(folders: Sequence[Path]) -> Iterator[None]:
    """Nobody else works in these folders meanwhile.  Raises OSError."""
    with ExitStack() as stack:
        for folder in folders:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(errno.EBUSY, "another process uses this log", str(folder)) from None
        yield


def logs_of(config: Config, layout: Layout) -> list[Path]:
    """The folders of the logs of all shards, by shard."""
    folder = Path(config["dir"])
    return [folder / layout.folder_of(index) / config["appenddirname"] for index in range(layout.shards)]


class Rehash:
    """One change from an old set to a new one. `run` it once."""

    def __init__(
        self, config: Config, old: Layout, new: Layout, stops: Sequence[int], noticed: Callable[[str], None]
    ) -> None:
        self.config = config
        self.folder = Path(config["dir"])
        self.old, self.new = old, new
        self.old_logs, self.new_logs = logs_of(config, old), logs_of(config, new)
        self.new_folder = self.folder / new.folder()
        self.stops = stops
        self.noticed = noticed
        self.cores = len(os.sched_getaffinity(0))
        self.started_s = time.monotonic()
        self.sizes = [log_size_bytes(log, config["appendfilename"]) for log in self.old_logs]
        self.progress = [Progress(0.0, 0)] * old.shards
        self.joined = [0.0] * new.shards

    def run(self) -> None:
        """All of it.  Raises as `settle` does."""
        self._refuse_other_logs()
        if first_logs.are_unfinished(self.folder):
            _remove_set(self.config, self.folder / self.old.folder())  # It does not count: the keys are in a file.
            self.sizes = []
        if not any(self.sizes):
            write_layout(self.folder, Layout(self.new.shards, self.new.hash_tags, self.old.generation))
            return
        self._warn_if_there_is_no_room()
        logger.info("the data is spread with %s: re-hashing it to %s", self.old, self.new)
        try:
            self._make_new_set()
            write_layout(self.folder, self.new)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                reason = "there is no room to re-hash the data, which is as it was"
                raise OSError(error.errno, f"{reason}: {error.strerror}", str(self.folder)) from error
            raise
        finally:
            # If a sync failed behind the rename, the new set may be the one that counts.
            if read_layout(self.folder) == self.old:
                shutil.rmtree(self.new_folder, ignore_errors=True)
        self.noticed("swapped")
        keys, seconds = sum(progress.keys for progress in self.progress), time.monotonic() - self.started_s
        logger.info("re-hashed %s: %s keys in %.1f s", self._what(), f"{keys:,}", seconds)
        remove_left_overs(self.config, self.new)
        self.noticed("removed the old set")

    def _make_new_set(self) -> None:
        parts = self.new_folder / PARTS
        make_folder(parts)
        self.noticed("begun")
        made = self._spread(parts, self._reconcile())
        self.noticed("spread")
        self._join(made)
        parts.rmdir()
        sync_folder(self.new_folder)
        self.noticed("joined")

    def _reconcile(self) -> list[list[bytes]]:
        """What each old shard lacks of writes over several shards that another has, in the order in which it is to be
        done: what the router does at a start, see redo.py."""
        lacked: list[list[bytes]] = [[] for _ in self.old_logs]
        if self.old.shards > 1:
            tasks = [partial(survey, self.config, log) for log in self.old_logs]
            books: list[Book] = run(tasks, self.cores, self.stops, lambda number, progress: None)
            for id_, shard, holder in lacking([{"settled": one.settled, "has": one.participants()} for one in books]):
                lacked[shard].append(books[holder].records[id_])
        return lacked

    def _spread(self, folder: Path, lacked: list[list[bytes]]) -> list[dict[int, Part]]:
        """The parts that each old shard has for the new ones."""
        tasks = [
            partial(spread, self.config, index, log, self.old, self.new, lacked[index], folder)
            for index, log in enumerate(self.old_logs)
        ]
        made: list[dict[int, Part]] = run(tasks, self.cores, self.stops, self._hear_spread)
        self.progress = [Progress(1.0, sum(part.keys for part in parts.values())) for parts in made]
        return made

    def _join(self, made: list[dict[int, Part]]) -> None:
        by_shard = [[parts[shard] for parts in made if shard in parts] for shard in range(self.new.shards)]
        tasks = [partial(join, self.config, log, parts) for log, parts in zip(self.new_logs, by_shard, strict=True)]
        run(tasks, self.cores, self.stops, self._hear_join)

    # What is told of it

    def _hear_spread(self, number: int, progress: Progress | None) -> None:
        if progress is None:
            self._tell()
        else:
            self.progress[number] = progress
            self.noticed("spreading")

    def _hear_join(self, number: int, progress: Progress | None) -> None:
        if progress is None:
            self._tell()
        else:
            self.joined[number] = progress.share
            self.noticed("joining")

    def _tell(self) -> None:
        weighed = zip(self.sizes, self.progress, strict=True)
        done = SPREAD_SHARE * sum(size * progress.share for size, progress in weighed) / sum(self.sizes)
        done += (1 - SPREAD_SHARE) * sum(self.joined) / self.new.shards
        keys, seconds = sum(progress.keys for progress in self.progress), time.monotonic() - self.started_s
        line = f"re-hashing {self._what()}: {done * 100:.0f} %, {keys:,} keys, {seconds:.0f} s"
        logger.info("%s", line)
        if self.config["logfile"] and sys.stderr.isatty():
            sys.stderr.write(f"shardis: {line}\n")

    def _what(self) -> str:
        shards = "1 shard" if self.old.shards == 1 else f"{self.old.shards} shards"
        return f"{shards} into {self.new.shards}"

    # Before it begins

    def _refuse_other_logs(self) -> None:
        """Raises LogDamaged where there are logs of another name, which would be left without the others."""
        mine = {log / f"{self.config['appendfilename']}.manifest" for log in self.old_logs}
        for log in self.old_logs:
            for path in log.parent.glob("*/*.manifest"):
                if path not in mine:
                    raise LogDamaged(0, "appenddirname or appendfilename are not those of this log", str(path))

    def _warn_if_there_is_no_room(self) -> None:
        """Only said, for what is written may be much less than what is read: a log says what a key was before, too."""
        room = os.statvfs(self.folder)
        free_bytes, wanted_bytes = room.f_bavail * room.f_frsize, sum(self.sizes)
        if free_bytes < wanted_bytes:
            logger.warning(
                "the old data and the new need room at the same time: up to %d MB more in %s, and %d MB are free",
                -(-wanted_bytes // MB),
                self.folder,
                free_bytes // MB,
            )


def log_size_bytes(log: Path, name: str) -> int:
    """Of all files that count; 0 if there is no log.  Raises LogDamaged."""
    files = [log / file.name for file in read_manifest(log, name).files]
    return sum(path.stat().st_size for path in files if path.exists()) or len(files)


# What does not count


def refuse_other_generations(config: Config, layout: Layout) -> None:
    """Raises LogDamaged where the set that counts has no logs and another has: a layout.json that is not of this data
    would have the data removed."""
    if any(map(Path.is_dir, logs_of(config, layout))):
        return
    folder = Path(config["dir"])
    logs = f"shard-*/{config['appenddirname']}/{config['appendfilename']}.manifest"
    for manifest in (*folder.glob(logs), *folder.glob(f"{layouts.GENERATION}-*/{logs}")):
        reason = f"it says that generation {layout.generation} counts, which is not there, but there is {manifest}"
        raise LogDamaged(0, reason, str(folder / layouts.FILE_NAME))


def remove_left_overs(config: Config, layout: Layout) -> None:
    """Removes what a re-hash left that was stopped half way, or an old set that was not removed yet."""
    folder = Path(config["dir"])
    for path in folder.glob(f"{TEMPORARY}*-{layouts.FILE_NAME}"):
        path.unlink()
    for path in folder.glob(f"{layouts.GENERATION}-*"):
        generation = layouts.generation_of(path.name)
        if generation > layout.generation:
            shutil.rmtree(path)
        elif 0 < generation < layout.generation:
            _remove_set(config, path)
            _remove_if_empty(path)
    if layout.generation > 1:
        _remove_set(config, folder)


def _remove_set(config: Config, folder: Path) -> None:
    """Removes the logs of the shards in `folder`; what somebody else put there stays."""
    for path in folder.glob("shard-*"):
        log = path / config["appenddirname"]
        try:
            _remove_log(log, config["appendfilename"])
        except (LogDamaged, OSError) as error:
            logger.warning("what is left of the data before it was re-hashed can't be removed: %s", error)
        _remove_if_empty(log)
        _remove_if_empty(path)


def _remove_log(log: Path, name: str) -> None:
    """Removes the files that a manifest names, and then that: as long as there are some, it says which."""
    manifest = read_manifest(log, name)
    for file in (*manifest.files, *manifest.history):
        (log / file.name).unlink(missing_ok=True)
    for path in log.glob(f"{TEMPORARY}*"):
        path.unlink()
    (log / f"{name}.manifest").unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:  # It is not empty, or a disk is mounted there.
        logger.warning("%s is left of the data before it was re-hashed: %s", folder, error.strerror)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
