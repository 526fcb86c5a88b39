"""What a disk could hold after a power cut, from the journal that forgetful_disk/sitecustomize.py writes.

    disk = Disk(folder)                  folder/data is the server's --dir, folder/state the journal and what was kept
    environment = disk.environment()     of the server's processes
    disk.begin()                         all that is there now counts as durable
    ...                                  the server runs, and all its processes are killed
    losses = disk.crash(random)          the data folder has what survived

Each file has what was synced and perhaps more: it is cut at a random length between its size when the last sync of it
that succeeded began and its size now, and of what is not synced the end may be zeros, as ext4 and XFS can leave it. A
truncation that was not synced may not have happened, nor what was written over something, each for itself. Each folder
has the names that it had when the last sync of it began, and those of the changes since that came first: some, all or
none. Files and folders are independent of each other, but a rename from one folder to another has happened in both or
in neither.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

LAYER = Path(__file__).resolve().parent / "forgetful_disk"

ALL_KEPT = 0.2
NOTHING_KEPT = 0.4
ZEROS = 0.3


@dataclass(slots=True)
class File:
    """What is known of the content of one inode."""

    synced_bytes: int = 0
    began_s: float = 0.0
    """When the last sync that succeeded began."""
    cut_at: int = -1
    """Where a truncation that was not synced cut it, -1 if there is none."""
    tail: str = ""
    """The file with what that truncation cut off."""
    overwrites: list[dict[str, Any]] = field(default_factory=list)
    """What was written in place and not synced."""
    path: str = ""


@dataclass(slots=True)
class Folder:
    """What is known of the names in one inode."""

    durable: dict[str, int] = field(default_factory=dict)
    since: list[dict[str, Any]] = field(default_factory=list)
    began_s: float = 0.0
    """When the sync began that made them durable."""


@dataclass(slots=True)
class Losses:
    """What a power cut took."""

    synced_until_s: dict[str, float] = field(default_factory=dict)
    """By the folder of a shard: what was in its log before that moment is on disk. Infinite if all is."""
    longest_sync_s: float = 0.0
    lost_bytes: int = 0
    zeroed_bytes: int = 0
    names_lost: int = 0


class Disk:
    def __init__(self, folder: Path) -> None:
        self.data, self.state = folder / "data", folder / "state"
        self.journal, self.kept, self.faults = (self.state / name for name in ("journal", "kept", "faults"))
        self.data.mkdir(parents=True, exist_ok=True)
        self.kept.mkdir(parents=True, exist_ok=True)
        self.begin()

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(LAYER), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "CRASHES_DISK": str(self.state), "CRASHES_ROOT": str(self.data)}

    def begin(self) -> None:
        """Takes all that is there for durable. No process may run."""
        shutil.rmtree(self.kept)
        self.kept.mkdir()
        self.journal.write_bytes(b"")
        self.lines_read = 0
        self.longest_sync_s = 0.0
        self.files: dict[int, File] = {}
        self.folders: dict[int, Folder] = {}
        for folder, _, _ in os.walk(self.data):
            names = {entry.name: entry.inode() for entry in os.scandir(folder)}
            self.folders[os.stat(folder).st_ino] = Folder(names)
            for entry in os.scandir(folder):
                if entry.is_file(follow_symlinks=False):
                    self.files[entry.inode()] = File(entry.stat().st_size, path=entry.path)

    def fail(self, *lines: str) -> None:
        """Has calls fail from now on: "EIO sync shard-1". None heals it."""
        if not lines:
            self.faults.unlink(missing_ok=True)
            return
        new = self.faults.with_suffix(".new")
        new.write_text("\n".join(lines))
        new.rename(self.faults)

    def crash(self, random: Random) -> Losses:
        """Forgets. No process may run."""
        rebuilt = self.state / "rebuilt"
        losses = self.rebuild(rebuilt, random)
        shutil.rmtree(self.data)
        rebuilt.rename(self.data)
        self.begin()
        return losses

    def rebuild(self, target: Path, random: Random) -> Losses:
        """Makes a folder of what survives, and leaves all as it is."""
        self._read_journal()
        paths = self._paths()
        losses = Losses(self._synced_until_s(paths), self.longest_sync_s)
        self._rebuild(os.stat(self.data).st_ino, target, paths, self._folder_moves(random), random, losses)
        return losses

    # What is known

    def _read_journal(self) -> None:
        lines = self.journal.read_bytes().splitlines()
        lines, self.lines_read = lines[self.lines_read :], len(lines)
        for line in lines:
            record = json.loads(line)
            match record["op"]:
                case "sync":
                    file = self.files.setdefault(record["inode"], File())
                    self.longest_sync_s = max(self.longest_sync_s, record["end_s"] - record["begin_s"])
                    if record["begin_s"] > file.began_s:
                        file.synced_bytes, file.began_s = record["size"], record["begin_s"]
                        file.path, file.cut_at = record["path"], -1
                        file.overwrites = [each for each in file.overwrites if each["end_s"] > record["begin_s"]]
                case "overwrite":
                    self.files.setdefault(record["inode"], File()).overwrites.append(record)
                case "sync-folder":
                    # Two processes may sync one folder at once: the sync that ends last may know less than the other.
                    if record["begin_s"] > self.folders[record["inode"]].began_s:
                        self.folders[record["inode"]] = Folder(record["names"], began_s=record["begin_s"])
                case "cut":
                    file = self.files.setdefault(record["inode"], File())
                    if record["size"] < file.synced_bytes:
                        file.cut_at, file.tail, file.synced_bytes = record["size"], record["tail"], record["size"]
                case "rename":
                    for inode in {record["source"][0], record["target"][0]}:
                        self.folders[inode].since.append(record)
                case "create":
                    self.folders[record["folder"]].since.append(record)
                    if record["kind"] == "folder":
                        self.folders[record["inode"]] = Folder()
                    else:
                        self.files[record["inode"]] = File()
                case _:
                    self.folders[record["folder"]].since.append(record)

    def _paths(self) -> dict[int, Path]:
        """Where the content of each inode is now."""
        found = {int(path.name): path for path in self.kept.iterdir() if path.name.isdigit()}
        for folder, _, names in os.walk(self.data):
            for name in names:
                path = Path(folder, name)
                found[path.stat().st_ino] = path
        return found

    def _synced_until_s(self, paths: dict[int, Path]) -> dict[str, float]:
        """Of each log. Its increments alone count: a base is synced while what came meanwhile is not."""
        until_s: dict[str, float] = {}
        for inode, path in paths.items():
            file = self.files.get(inode)
            shard = next((part for part in path.parts if part.startswith("shard-")), "")
            if not shard or not path.name.endswith(".incr.aof"):
                continue
            if file is not None and file.synced_bytes == path.stat().st_size:
                until_s.setdefault(shard, float("inf"))
                continue
            began_s = max((other.began_s for other in self._increments(shard)), default=0.0)
            until_s[shard] = min(until_s.get(shard, began_s), began_s)
        return until_s

    def _increments(self, shard: str) -> Iterator[File]:
        return (file for file in self.files.values() if f"/{shard}/" in file.path and ".incr.aof" in file.path)

    # What survives

    def _folder_moves(self, random: Random) -> dict[int, list[dict[str, Any]]]:
        """The changes of names that happened, by folder."""
        happened = {}
        for inode, folder in self.folders.items():
            happened[inode] = folder.since[: _some(random, len(folder.since))]
        for moves in happened.values():
            for move in moves[:]:
                if move["op"] == "rename" and not all(move in happened[move[end][0]] for end in ("source", "target")):
                    moves.remove(move)
        return happened

    def _names(self, inode: int, moves: list[dict[str, Any]]) -> dict[str, int]:
        names = dict(self.folders[inode].durable)
        for move in moves:
            if move["op"] == "create":
                names[move["name"]] = move["inode"]
                continue
            gone = [move["folder"], move["name"]] if move["op"] == "remove" else move["source"]
            if gone[0] == inode and names.get(gone[1]) == move["inode"]:
                del names[gone[1]]
            if move["op"] == "rename" and move["target"][0] == inode:
                names[move["target"][1]] = move["inode"]
        return names

    def _rebuild(
        self,
        inode: int,
        target: Path,
        paths: dict[int, Path],
        moves: dict[int, list[dict[str, Any]]],
        random: Random,
        losses: Losses,
    ) -> None:
        target.mkdir()
        losses.names_lost += len(self.folders[inode].since) - len(moves[inode])
        for name, inner in sorted(self._names(inode, moves[inode]).items()):
            if inner in self.folders:
                self._rebuild(inner, target / name, paths, moves, random, losses)
            else:
                (target / name).write_bytes(self._content(inner, paths[inner], random, losses))

    def _content(self, inode: int, path: Path, random: Random, losses: Losses) -> bytes:
        data = path.read_bytes()
        file = self.files.get(inode, File())
        if file.cut_at >= 0 and random.random() < 0.5:
            return data[: file.cut_at] + Path(file.tail).read_bytes()
        for overwrite in reversed(file.overwrites):
            if random.random() < 0.5:
                at, until = overwrite["at"], overwrite["at"] + overwrite["size"]
                kept = Path(overwrite["kept"]).read_bytes() if overwrite["kept"] else b""
                data = data[:at] + kept[: until - at].ljust(until - at, b"\0") + data[until:]
                losses.lost_bytes += until - at
        size = file.synced_bytes + _some(random, len(data) - file.synced_bytes)
        losses.lost_bytes += len(data) - size
        zeros = random.randint(0, size - file.synced_bytes) if random.random() < ZEROS else 0
        losses.zeroed_bytes += zeros
        return data[: size - zeros] + bytes(zeros)


def _some(random: Random, count: int) -> int:
    """Up to `count`; all and nothing more often than chance would have it."""
    how = random.random()
    if how < NOTHING_KEPT:
        return 0
    return count if how < NOTHING_KEPT + ALL_KEPT else random.randint(0, count)
