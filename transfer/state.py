"""How far a transfer came, in a file: what `--resume` goes on from. It is there only while a transfer is unfinished.

Rule 1: the file never says more than what the target has acknowledged. It may say less, by what came just
        before a kill -9: that is sent once more, and must therefore not be harmed by coming twice. (A file that is
        written is cut off to what the state says of it.)
Rule 2: it is replaced by renaming, so it is whole at every moment.
"""

import json
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from transfer.batches import Position
from transfer.faults import Stopped

VERSION = 1
SAVED_EVERY_S = 0.25


@dataclass(slots=True)
class Tally:
    """Keys of one db, as far as the target has acknowledged."""

    read: int = 0
    sent: int = 0
    made: int = 0
    """Of those sent, the ones that the target did not have."""
    volatile: int = 0
    """Of those sent, the ones with a time to live."""
    vanished: int = 0
    """Were named by SCAN, and gone when they were to be read."""
    refused: int = 0
    """The target does not know this kind of value."""
    busy: int = 0
    """The target has a key of this name."""

    def add(self, other: "Tally") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, slots=True)
class Written:
    """What counts of a file that is being written."""

    size_bytes: int
    checksum: int
    """CRC-64 of these bytes."""
    db: int
    """That the last key is of; -1 if there is none."""
    recent: int
    """So many of the last keys the source may name once more."""


@dataclass(slots=True)
class State:
    """All that a later run has to know."""

    source: dict[str, Any]
    """What the source was: if it is another now, its positions mean nothing."""
    target: str
    position: Position = field(default_factory=list)
    tallies: dict[int, Tally] = field(default_factory=dict)
    commands: int = 0
    """Of a log, how many were done."""
    written: Written | None = None
    """If the target is a file."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def tally(self, db: int) -> Tally:
        return self.tallies.setdefault(db, Tally())

    def advanced(self, position: Position, arrived: Iterable[tuple[int, Tally]]) -> "State":
        """The state that follows when what comes before a position has arrived too, by db."""
        after = replace(self, position=position, tallies={db: replace(tally) for db, tally in self.tallies.items()})
        for db, tally in arrived:
            after.tally(db).add(tally)
        return after


class StateFile:
    """Where a State is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(path.name + ".new")
        self.unwritable = ""
        """Why it can't be kept; the transfer goes on without."""
        self._saved_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last save was long enough ago."""
        return time.monotonic() - self._saved_s >= SAVED_EVERY_S

    def load_of(self, name: str, identity: dict[str, Any]) -> State:
        """The state of a transfer from that source.  Raises Stopped also if it is of another one."""
        state = self.load()
        if state.source == identity:
            return state
        if "run_id" in identity and state.source == identity | {"run_id": state.source.get("run_id")}:
            raise Stopped(
                f"{name} was started anew since, and where its SCAN had come to means nothing now: begin anew"
            )
        raise Stopped(f"{name} is another than it was, or other --db are asked for: begin anew")

    def load(self) -> State:
        """Raises Stopped if there is none, or none that can be read."""
        try:
            value = json.loads(self.path.read_bytes())
            if value.pop("version") != VERSION:
                raise ValueError("it is of another version")
            names = {each.name for each in fields(State)}
            if not value.keys() <= names:
                raise ValueError("it is none of this command")
            value["tallies"] = {int(db): Tally(**tally) for db, tally in value["tallies"].items()}
            if value.get("written") is not None:
                value["written"] = Written(**value["written"])
            return State(**value)
        except FileNotFoundError:
            raise Stopped(f"there is nothing to resume: no file {self.path}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Stopped(f"{self.path} can't be read: {error}") from None

    def save_now_and_then(self, state: State) -> None:
        if self.is_due:
            self.save(state)

    def save(self, state: State) -> None:
        try:
            with open(self._temporary, "w", encoding="ascii") as file:
                json.dump({"version": VERSION, **asdict(state)}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._temporary, self.path)
        except OSError as error:
            self.unwritable = f"{self.path}: {error.strerror}"
            with suppress(OSError):  # Of a disk that is full, something stays of it, too.
                self._temporary.unlink(missing_ok=True)
        self._saved_s = time.monotonic()

    def remove(self) -> None:
        self._temporary.unlink(missing_ok=True)  # Of a run that was killed while it saved.
        self.path.unlink(missing_ok=True)
