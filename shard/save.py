"""A shard's work for saves: its part of an RDB file, and the file that is made of all parts.

The router says in one turn, to all shards, that a save begins: so all parts are of one moment. Each shard writes its
keys to a temporary file in `dir`. That of shard 0 begins with the header; when all are written it takes in the others,
gets the end and its name.

    <dir>/temp-save-<id>-0.rdb      header, keys of shard 0; then those of all others, and the end; at last dump.rdb
          temp-save-<id>-1.rdb      keys of shard 1

Rule 1: the file has its name only when all of it is on disk: whatever crashes when, there is the old one or the new.
Rule 2: a shard removes its temporary files when a save did not come to its end, at the next one and at its next start.
"""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from common.errors import RedisError
from shard.control import control, whole
from shard.log_files import TEMPORARY
from shard.rdb.crc64 import crc64, crc64_combine
from shard.rdb.file import FileWriter, aux_fields
from shard.rdb_loading import Loading
from shard.save_join import Job, Join, Part
from shard.snapshot_file import SYNC_BYTES, Busy, SnapshotFile, Sync

if TYPE_CHECKING:
    from shard.link import Link
    from shard.server import Shard

logger = logging.getLogger("shardis")

JOINER = 0
"""The shard behind whose keys the others are put."""
BUSY = "busy"
"""What a shard answers that writes another snapshot just now."""
CHECKSUM_BYTES = 8

Written = list[int]
"""What a shard says of its part: bytes to be skipped, bytes behind them, and their CRC-64."""


class Saves:
    """The saves of one shard, one at a time."""

    def __init__(self, shard: "Shard") -> None:
        self.shard = shard
        self.id = ""
        """Of the save that is under way; empty if none is."""
        self.link: Link | None = None
        """Who began it."""
        self.file: SnapshotFile | None = None
        self.join: Join | None = None
        self.changes_cut = 0
        self.changes_saved = 0
        """How many changes there were at the last save that succeeded."""
        self.keys_loaded = 0
        self.keys_expired = 0
        """Of the RDB file that was loaded last."""

    @property
    def final(self) -> Path:
        """Where the file is."""
        return Path(self.shard.config["dir"], self.shard.config["dbfilename"])

    def path(self, index: int) -> Path:
        """Where the part of a shard is, of the save that is under way."""
        return Path(self.shard.config["dir"], f"{TEMPORARY}save-{self.id}-{index}.rdb")

    def info(self) -> dict[str, int]:
        """What INFO says of it."""
        file = self.file
        return {
            "keys_saved": file.keys if file is not None else 0,
            "keys_to_save": file.keys_total if file is not None else 0,
            "keys_loaded": self.keys_loaded,
            "keys_expired": self.keys_expired,
        }

    def count(self, loading: Loading) -> None:
        """Takes note of what was loaded."""
        self.keys_loaded = loading.keys_loaded
        self.keys_expired = len(loading.expired)

    # A part

    def open(self, id_: str) -> Path:
        """Makes ready for the save `id_`; where its part goes."""
        self.end()
        self.remove_left_overs()
        self.id, self.link = id_, cast("Link | None", self.shard.room.origin)
        self.changes_cut = self.shard.store.changes_total
        return self.path(self.shard.index)

    def begin(self, id_: str) -> str:
        """Takes the snapshot for a save. If that can't be, why: the event says so, too."""
        path = self.open(id_)
        try:
            self._begin(path)
        except (Busy, OSError) as error:
            reason = BUSY
            if isinstance(error, OSError):
                reason = str(error.strerror)
                logger.warning("%s can't be written: %s", path, reason)
            self.failed(reason)
            return reason
        return ""

    def _begin(self, path: Path) -> None:
        shard, config = self.shard, self.shard.config
        writer = FileWriter(config.values)
        joins = shard.index == JOINER
        sync = Sync(incremental=config["rdb-save-incremental-fsync"], at_end=joins, checksum=config["rdbchecksum"])
        head = self.header(writer) if joins else b""
        self.file = shard.snapshots.begin(path, writer, self._written, head=head, sync=sync)

    def failed(self, reason: str) -> None:
        """Says that this shard has no part of the save that was to begin."""
        self.written(reason, [])
        self.end()

    def header(self, writer: FileWriter) -> bytes:
        """The beginning of a file."""
        used_bytes = self.shard.process_info()["rss_bytes"]
        return writer.header(aux_fields(time.time_ns() // 1_000_000, used_bytes, aof_base=False))

    def _written(self, file: SnapshotFile, error: OSError | None) -> None:
        self.file = None
        if error is not None:
            logger.warning("%s can't be written: %s", file.path, error.strerror)
        self.written(str(error.strerror) if error else "", [0, file.size_bytes, file.checksum])

    def written(self, error: str, part: Written) -> None:
        """Says that this shard's part is there, or why not."""
        self._tell("part_saved", error, part)

    def _tell(self, kind: str, *words: Any) -> None:
        """Tells who began the save."""
        if self.link is not None:
            self.link.send({"events": [[kind, self.id, *words]]})

    # The whole

    def begin_join(self, id_: str, parts: list[Written]) -> None:
        """Makes the file of the parts of all shards.  Raises RedisError."""
        if id_ != self.id or self.shard.index != JOINER:
            raise RedisError("ERR that save is over")
        config = self.shard.config
        first, *others = [Part(self.path(index), *part[:2]) for index, part in enumerate(parts)]
        every_bytes = SYNC_BYTES if config["rdb-save-incremental-fsync"] else 0
        end = end_of([(size_bytes, crc) for _, size_bytes, crc in parts], config.values)
        join = self.join = Join(first, others, end, self.final, every_bytes)
        loop = self.shard.loop

        def do(job: Job) -> None:  # By way of the loop, for the log may be another one at each step.
            loop.call_soon_threadsafe(lambda: self.shard.aof.do(job))

        def over() -> None:
            loop.call_soon_threadsafe(self._joined, join)

        join.begin(do, over)

    def _joined(self, join: Join) -> None:
        if join.error is not None and not join.stopped:
            logger.warning("%s can't be written: %s", self.final, join.error)
        if self.join is join:
            self.join = None
            self._tell("joined", str(join.error.strerror) if join.error else "")

    # Its end

    def over(self, id_: str, *, done: bool) -> None:
        """The save came to its end."""
        if id_ == self.id:
            if done:
                self.changes_saved = self.changes_cut
            self.end()

    def forget(self, link: "Link") -> None:
        """A router is gone, and nobody waits any more for the save that it began."""
        if link is self.link:
            self.end()

    def end(self) -> None:
        """Gives up what is under way, if something is, and what was made for it."""
        if self.file is not None:
            self.file.stop()
        elif self.join is not None:
            self.join.stopped = True
        elif self.id:
            path = self.path(self.shard.index)
            self.shard.aof.do(lambda: path.unlink(missing_ok=True))
        self.id, self.link, self.file, self.join = "", None, None, None

    def remove_left_overs(self) -> None:
        """Removes what saves left that came to no end: of this shard, and of shards that are no more."""
        mine, shards = self.shard.index, self.shard.config["shards"]
        for path in Path(self.shard.config["dir"]).glob(f"{TEMPORARY}save-*.rdb"):
            index = path.stem.rpartition("-")[2]
            if index == str(mine) or (mine == JOINER and index.isdigit() and int(index) >= shards):
                path.unlink(missing_ok=True)


def end_of(parts: list[tuple[int, int]], config: dict[str, Any]) -> bytes:
    """The end of a file that is made of parts of such sizes and checksums."""
    footer = FileWriter(config).footer()
    checksum = 0
    if config["rdbchecksum"]:
        for size_bytes, crc in parts:
            checksum = crc64_combine(checksum, crc, size_bytes)
        checksum = crc64(footer, checksum)
    return footer + checksum.to_bytes(CHECKSUM_BYTES, "little")


# Messages


@control
@whole
def save_part(shard: "Shard", id_: str, last: bool) -> str:
    """Has this shard write its part, as it is now; why it can't, or nothing. That it is written is an event. If it is
    the `last` thing that is done, a rewrite of the log is given up for it: the log has all as it is."""
    if last and not shard.aof.provisional:
        shard.rewriter.stop()
    return shard.saves.begin(id_)


@control
def join_parts(shard: "Shard", id_: str, parts: list[Written]) -> None:
    """Has shard 0 make the file. That it is there is an event."""
    shard.saves.begin_join(id_, parts)


@control
def save_over(shard: "Shard", id_: str, done: bool) -> None:
    """Says that a save is done, or came to nothing."""
    shard.saves.over(id_, done=done)


@control
def changes(shard: "Shard") -> int:
    """How many changes there were since the last save."""
    return shard.store.changes_total - shard.saves.changes_saved
