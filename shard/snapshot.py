"""The whole keyspace of a shard as it was at one moment, read out a little at a time while it goes on changing.

A fork would double the memory, for a heap whose objects count their references is copied by being read. So the keyspace
is walked slot by slot, and whoever changes a key that was not read out yet has it read out first: its pre-image. That
is done key by key and not slot by slot: in a keyspace of 10 M keys the first change in each slot would take 1 ms more.

Rule 1: the encoder is given every key once: as it was at the moment when the snapshot was begun. The keys come in no
        order.
Rule 2: the keyspace says what is about to change (Keyspace.snapshot), before it does: a change of a value in place too,
        and that a time has come.
Rule 3: no value is copied. A large one is read out in pieces, and at once if it is about to change in the middle of
        that; a long string, which can't change, is only kept then. What has to be read out meanwhile comes behind its
        last piece.
Rule 4: what is thrown away as a whole (FLUSHALL) stays until it was read out.
"""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from shard.log_buffer import Piece
from shard.slots import PARTS, Slot, WideSlot, part_of
from shard.value import Value

if TYPE_CHECKING:
    from shard.keyspace import Keyspace, Store

LARGE_LENGTH = 512
"""A value with so many elements, or bytes, may be large."""
LARGE_BYTES = 1 << 18
"""A string of that size is."""
STEP_BYTES = 1 << 16
"""Of pieces that have waited so many come with one step, and a piece more."""


class Encoder(Protocol):
    """Makes bytes of a db's number, a key, its value, and its expiry in ms or -1."""

    def entry(self, db: int, key: bytes, value: Value, at_ms: int, /) -> bytes: ...
    def entry_in_pieces(self, db: int, key: bytes, value: Value, at_ms: int, /) -> Iterator[Piece]: ...


def is_large(value: Value) -> bool:
    """Whether reading it out takes long enough to be done in pieces. O(1)."""
    return len(value) > (LARGE_BYTES if isinstance(value, bytes | bytearray) else LARGE_LENGTH)


class Snapshot:
    """The keyspace of `store` as it is when this is made. One at a time; `end` must be called, whatever happens."""

    def __init__(self, store: "Store", encoder: Encoder) -> None:
        self.encoder = encoder
        self.pieces: list[Piece] = []
        """What was encoded, until somebody takes it."""
        self.keys = 0
        """How many keys were read out, or are being read out."""
        self.open: Iterator[Piece] | None = None
        """The pieces of the value that is being read out."""
        self.behind: deque[Piece] = deque()
        """Pieces that come behind those."""
        self._store = store
        self._left = [DbSnapshot(self, db) for db in store.dbs if db.size]

    def step(self) -> bool:
        """Reads out one slot, or a part of one that is wide, or a part of a value; whether there may be more. O(keys in
        it)."""
        if self.behind and self.open is None:
            self._take_behind()
            return True
        while self._left and not self._left[-1].walk():
            self._store.garbage += self._left.pop().garbage
        return bool(self._left or self.behind)

    def _take_behind(self) -> None:
        size_bytes = 0
        while self.behind and size_bytes < STEP_BYTES:
            piece = self.behind.popleft()
            self.pieces.append(piece)
            size_bytes += len(piece)

    def add(self, piece: bytes) -> None:
        """Takes what was encoded at once."""
        if self.open is None and not self.behind:
            self.pieces.append(piece)
        else:
            self.behind.append(piece)

    def finish(self, pieces: Iterator[Piece]) -> None:
        """Takes all that is left of a value in pieces, before it changes. O(n) in the value."""
        if pieces is self.open:
            self.open = None
            self.behind.extendleft(reversed(list(pieces)))
        else:
            self.behind.extend(pieces)

    def end(self) -> None:
        """Says that nothing is wanted any more, also if not all was read out."""
        while self._left:
            self._store.garbage += self._left.pop().garbage
        for db in self._store.dbs:
            db.snapshot = None


class DbSnapshot:
    """The part of one db."""

    __slots__ = (
        "snapshot",
        "index",
        "slots",
        "expiries",
        "slot_of",
        "slot",
        "part",
        "until",
        "seen",
        "large",
        "garbage",
    )

    def __init__(self, snapshot: Snapshot, db: "Keyspace") -> None:
        self.snapshot = snapshot
        self.index = db.index
        """The number that the db had when the snapshot was begun: SWAPDB may give its keys another."""
        self.slots: list[Slot] = db.slots
        self.expiries = db.expiries
        self.slot_of = db.slot_of
        self.slot = db.store.slots_owned.start
        """The slot that is next. What is in those before it was read out."""
        self.part = 0
        """The part of it that is next, if it is wide."""
        self.until = db.store.slots_owned.stop
        self.seen: dict[int, set[bytes]] = {}
        """By slot, the keys in those to come that were read out before they changed, or that were not there."""
        self.large: dict[bytes, Iterator[Piece]] = {}
        """The pieces of the large values that were walked over; some of the first one may have been taken."""
        self.garbage: list[Any] = []
        db.snapshot = self

    def keep(self, key: bytes, at_ms: int = -1) -> None:
        """Hears that `key` is about to change, or to come, whose time `at_ms` was taken out already if it is given.
        O(1), and O(n) in its value if that was not read out yet."""
        if self.large and (pieces := self.large.pop(key, None)) is not None:
            self.snapshot.finish(pieces)
            return
        slot = self.slot_of(key)
        if slot <= self.slot and (slot < self.slot or part_of(key) < self.part):
            return
        seen = self.seen.get(slot)
        if seen is None:
            seen = self.seen[slot] = set()
        elif key in seen:
            return
        seen.add(key)
        value = self.slots[slot].get(key)
        if value is not None:
            at_ms = self.expiries.slots[slot].get(key, at_ms)
            if is_large(value):
                self.snapshot.finish(self._in_pieces(key, value, at_ms))
            else:
                self._read_out(key, value, at_ms)

    def detach(self, db: "Keyspace") -> None:
        """Hears that all keys, which are those of `db` now, are about to be thrown away: they are left to this."""
        self.garbage = [self.slots, *self.expiries.containers()]
        self.garbage += db.volatile.containers() if db.volatile is not None else []
        db.snapshot = None

    def walk(self) -> bool:
        """Reads out a piece of a large value, or the next slot that has keys, or part of one; False if there is
        nothing. O(keys in it)."""
        if self.large:
            self._take_piece()
            return True
        slots = self.slots
        while self.slot < self.until and not slots[self.slot]:
            self._next_slot()
        if self.slot == self.until:
            return False
        slot = slots[self.slot]
        if type(slot) is WideSlot:
            self._read_out_of(slot.parts[self.part])
            self.part += 1
            if self.part == PARTS:
                self._next_slot()
        else:
            assert type(slot) is dict
            self._read_out_of(slot)
            self._next_slot()
        return True

    def _take_piece(self) -> None:
        snapshot = self.snapshot
        key, pieces = next(iter(self.large.items()))
        piece = next(pieces, None)
        if piece is not None:
            snapshot.open = pieces
            snapshot.pieces.append(piece)
        else:
            snapshot.open = None
            del self.large[key]

    def _next_slot(self) -> None:
        self.seen.pop(self.slot, None)
        self.slot += 1
        self.part = 0

    def _read_out_of(self, keys: dict[bytes, Value]) -> None:
        times = self.expiries.slots[self.slot]
        seen = self.seen.get(self.slot, ())
        for key, value in keys.items():
            if key not in seen:
                at_ms = times.get(key, -1) if times else -1
                if len(value) > LARGE_LENGTH and is_large(value):
                    self.large[key] = self._in_pieces(key, value, at_ms)
                else:
                    self._read_out(key, value, at_ms)

    def _read_out(self, key: bytes, value: Value, at_ms: int) -> None:
        snapshot = self.snapshot
        snapshot.keys += 1
        snapshot.add(snapshot.encoder.entry(self.index, key, value, at_ms))

    def _in_pieces(self, key: bytes, value: Value, at_ms: int) -> Iterator[Piece]:
        self.snapshot.keys += 1
        return self.snapshot.encoder.entry_in_pieces(self.index, key, value, at_ms)
