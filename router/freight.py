"""Large strings on their way to a shard and from it, piece by piece, beside the frames that name them.

The link to a shard is one ordered stream: a string of 512 MB in one frame had everybody wait behind it. So an argument
is sent ahead, and a reply is fetched behind, in messages of the router that commands of others come between.

Rule 1: few pieces are under way on a link, whatever there is to be sent: the next follows when one is answered, and all
        that are long take turns. What others wait behind is WINDOW pieces.
Rule 2: to send ahead is a favour and no promise. What is not there when the frame is packed goes with it, as all that
        is small does: nobody but those two has to know of it.
Rule 3: what a frame has named is the shard's to use, once. What is not named, because the command was refused, is
        dropped by whoever had it sent.
Rule 4: an answer that is not whole counts as one that comes late, see link.py: with its last piece it is answered.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.frame import JOINED, Large
from common.leftovers import Leftovers

if TYPE_CHECKING:
    from router.link import Link

PIECE_SIZE_BYTES = 256 * 1024
"""What a read of a Unix socket brings at most: a shard takes 0.1 ms for it."""
WINDOW = 2
"""Pieces under way on a link: one is read while the other is sent."""
SHORT_SIZE_BYTES_MAX = 4 * 1024 * 1024
"""Up to here a string goes on to its end when its turn has come: if all took turns fifty that began together would end
together, and their clients all ask for more at once."""

numbers = count(1)


class Parcel(ABC):
    """One string, on its way."""

    __slots__ = ("size_bytes", "number", "asked_bytes", "missing_bytes", "over")

    def __init__(self, size_bytes: int, number: int) -> None:
        self.size_bytes = size_bytes
        self.number = number
        self.asked_bytes = 0
        """How much of it was sent, or asked for."""
        self.missing_bytes = size_bytes
        """How much is not there."""
        self.over = False
        """Whether all is there, or is not to be."""

    @abstractmethod
    def next_message(self) -> list[Any]:
        """The message that has the next piece sent."""

    @abstractmethod
    def heard(self, answer: Any) -> None:
        """A piece has come; `answer` is the shard's."""

    @abstractmethod
    def lost(self) -> None:
        """The shard is gone."""


class Cargo(Parcel):
    """One that is sent ahead."""

    __slots__ = ("link", "word", "then")

    def __init__(self, link: "Link", word: bytes, then: Callable[[], None]) -> None:
        """`then` hears that it is there, or will not be."""
        super().__init__(len(word), next(numbers))
        self.link = link
        self.word = word
        self.then = then

    def next_message(self) -> list[Any]:
        piece = memoryview(self.word)[self.asked_bytes : self.asked_bytes + PIECE_SIZE_BYTES]
        self.asked_bytes += len(piece)
        return ["stage", self.number, piece, self.size_bytes - self.asked_bytes]

    def heard(self, answer: Any) -> None:
        self.missing_bytes = max(self.missing_bytes - PIECE_SIZE_BYTES, 0)
        if not self.missing_bytes and not self.over:
            self.link.staged[id(self.word)] = (self.number, self.word)
            self.lost()

    def lost(self) -> None:
        if not self.over:
            self.over = True
            self.then()

    def drop(self) -> None:
        """Has the shard forget what it has of it, unless it was used."""
        staged = self.link.staged
        known = staged.get(id(self.word))
        if known is not None and known[0] == self.number:
            del staged[id(self.word)]
        elif self.over:
            return
        self.over = True
        self.link.tell(["unstage", self.number])


class Fetched(Parcel):
    """One that is fetched."""

    __slots__ = ("large", "buffer", "fetch")

    def __init__(self, large: Large, fetch: "Fetch") -> None:
        super().__init__(large.size_bytes, large.number)
        self.large = large
        self.buffer = BytesIO()
        self.fetch = fetch

    def next_message(self) -> list[Any]:
        self.asked_bytes += PIECE_SIZE_BYTES
        return ["fetch", self.number, PIECE_SIZE_BYTES]

    def heard(self, answer: Any) -> None:
        if self.over:
            return
        self.buffer.write(answer)
        self.missing_bytes -= len(answer)
        if not self.missing_bytes:
            self.over = True
            self.large.value = self.buffer.getvalue()
            self.fetch.link.freight.leftovers.add(self.large.value)
            self.fetch.came()
        elif self.fetch.unwanted():
            self.fetch.end()

    def lost(self) -> None:
        self.over = True  # The run has been told.
        self.fetch.parcels = []


class Fetch:
    """An answer of which something is still with the shard."""

    __slots__ = ("link", "number", "answer", "missing", "parcels")

    def __init__(self, link: "Link", number: int, answer: Any) -> None:
        """`number` is that of the run that it answers."""
        self.link = link
        self.number = number
        self.answer = answer
        self.parcels = [Fetched(large, self) for large in larges(answer)]
        """They lead back here: emptied at the end, or the strings would stay until a collection."""
        self.missing = len(self.parcels)
        for parcel in self.parcels:
            link.freight.add(parcel)

    def came(self) -> None:
        """One is whole."""
        self.missing -= 1
        if not self.missing:
            self.parcels = []
            self.link.fetched(self.number, filled(self.answer))

    def unwanted(self) -> bool:
        """Whether it is for a client, who is gone, and for nobody else."""
        run = self.link.late[self.number]
        return bool(run.header & JOINED) and run.batch.session.transport is None

    def end(self) -> None:
        """Answers what there is: nobody will see it."""
        parcels, self.parcels = self.parcels, []
        for parcel in parcels:
            if not parcel.over:
                parcel.over = True
                self.link.tell(["forget", parcel.number])
        self.link.fetched(self.number, filled(self.answer))


class Freight:
    """All that is on its way between the router and one shard."""

    def __init__(self, link: "Link") -> None:
        self.link = link
        self.waiting: deque[Parcel] = deque()
        """Those with pieces to come; whose turn it is comes first."""
        self.under_way = 0
        """Pieces that are not answered."""
        self.leftovers = Leftovers(link.loop.call_later)

    def send(self, word: bytes, then: Callable[[], None]) -> Cargo:
        """Sends a string ahead; `then` is called in a later turn. The shard is up."""
        cargo = Cargo(self.link, word, then)
        self.leftovers.add(word)
        self.add(cargo)
        return cargo

    def add(self, parcel: Parcel) -> None:
        """Begins with one more."""
        self.waiting.append(parcel)
        self._go_on()

    def _go_on(self) -> None:
        while self.waiting and self.under_way < WINDOW:
            parcel = self.waiting.popleft()
            if not parcel.over:
                self.under_way += 1
                message = parcel.next_message()
                if parcel.asked_bytes < parcel.size_bytes:
                    if parcel.size_bytes > SHORT_SIZE_BYTES_MAX:
                        self.waiting.append(parcel)
                    else:
                        self.waiting.appendleft(parcel)
                self.link.tell(message, partial(self._heard, parcel))

    def _heard(self, parcel: Parcel, answer: Any) -> None:
        self.under_way -= 1
        if isinstance(answer, RedisError):
            lost, self.waiting = [parcel, *self.waiting], deque()
            for other in lost:
                other.lost()
        else:
            parcel.heard(answer)
        self._go_on()


def larges(answer: Any) -> Iterator[Large]:
    """What is named in an answer. O(values in it)."""
    if type(answer) is Large:
        yield answer
    elif type(answer) is list:
        for item in answer:
            yield from larges(item)


def filled(answer: Any) -> Any:
    """An answer with the strings in the place of their names. O(values in it)."""
    if type(answer) is Large:
        return answer.value
    if type(answer) is list:
        return [filled(item) for item in answer]
    return answer
