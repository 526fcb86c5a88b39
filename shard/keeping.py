"""Large replies, which stay here until the router has fetched them piece by piece, see router/freight.py.

What is kept is the string itself and no copy of it: whatever becomes of its key meanwhile, it was the reply.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from common.frame import Large
from common.resp import Chunks
from shard.control import control

if TYPE_CHECKING:
    from shard.link import Link
    from shard.server import Shard

KEPT_SIZE_BYTES_MIN = 64 * 1024
"""Of a frame that would be large all from here on is kept back: fifty clients that ask for 400 KB each at once had
everybody wait for 20 MB. What is smaller is not worth another question."""


class Kept:
    """One such reply, or several as one: what was not fetched of it."""

    __slots__ = ("parts", "at")

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = deque(parts)
        self.at = 0
        """Where it goes on in the first of them."""

    def take(self, size_bytes: int) -> bytearray:
        """The next piece; it is as large as was asked for, but for the last. No bytes: it is not kept back again."""
        taken: list[bytes | memoryview] = []
        while size_bytes and self.parts:
            part = self.parts[0]
            piece = memoryview(part)[self.at : self.at + size_bytes]
            taken.append(piece)
            self.at += len(piece)
            size_bytes -= len(piece)
            if self.at == len(part):
                self.parts.popleft()
                self.at = 0
        return bytearray().join(taken)


class Keeping:
    """All that is kept for one link, by its number."""

    def __init__(self) -> None:
        self.kept: dict[int, Kept] = {}
        self.last = 0

    def named(self, answer: Any) -> Any:
        """An answer of a frame that would be large, with names in the place of what makes it so. O(values in it)."""
        if type(answer) is bytes and len(answer) >= KEPT_SIZE_BYTES_MIN:
            return self._keep([answer])
        if type(answer) is Chunks:
            return self._keep(answer)
        if type(answer) is list:
            return [self.named(item) for item in answer]
        return answer

    def _keep(self, parts: list[bytes]) -> Large:
        self.last += 1
        self.kept[self.last] = Kept(parts)
        return Large(self.last, sum(map(len, parts)))

    def take(self, number: int, size_bytes: int) -> bytearray:
        """The next piece of what is kept under that number; it is given up with the last."""
        kept = self.kept[number]
        piece = kept.take(size_bytes)
        if not kept.parts:
            del self.kept[number]
        return piece


@control
def fetch(shard: "Shard", number: int, size_bytes: int) -> bytearray:
    """The next piece of a reply."""
    return cast("Link", shard.room.origin).keeping.take(number, size_bytes)


@control
def forget(shard: "Shard", number: int) -> None:
    """Gives up a reply that nobody wants any more."""
    cast("Link", shard.room.origin).keeping.kept.pop(number, None)
