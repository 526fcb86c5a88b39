"""Lists: one listpack while they are small, a quicklist from then on.

Which of the two is exactly what OBJECT ENCODING answers, so a list is changed from one to the other when the reference
does it: whoever takes elements out, or sets one, calls `shrink` at the end. `fill` is list-max-listpack-size.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from shard.values import listpack
from shard.values.list_nodes import LEFT, RIGHT, Node, place_of, places_of, remove_from
from shard.values.quicklist import Quicklist, exceeds, exceeds_half
from shard.values.quicklist_edits import insert, replace

__all__ = ["LEFT", "RIGHT", "List"]

FILL = -2
"""Where list-max-listpack-size is not set."""
CHUNK_ELEMENTS_MAX = 64
"""Elements of one of the commands that make a list anew."""


class List:
    """A list.

    >>> numbers = List()
    >>> numbers.push([b"1", b"2", b"3"], RIGHT, FILL)
    >>> numbers.pop(LEFT), numbers.range(0, 2), list(numbers.matches(b"3", 2))
    (b'1', [b'2', b'3'], [1])
    """

    __slots__ = ("pack", "many")

    type_name = "list"

    def __init__(self) -> None:
        self.pack: bytearray = listpack.new()
        """All elements, while `many` is None; else nothing."""
        self.many: Quicklist | None = None

    def encoding(self, config: dict[str, Any]) -> str:
        """What OBJECT ENCODING answers."""
        return "listpack" if self.many is None else "quicklist"

    def __len__(self) -> int:
        return listpack.count(self.pack) if self.many is None else self.many.count

    def __iter__(self) -> Iterator[bytes]:
        return iter(listpack.texts(self.pack) if self.many is None else self.many)

    # At the ends

    def push(self, texts: Sequence[bytes], end: int, fill: int) -> None:
        """Puts elements at the end LEFT or RIGHT, one after the other. O(1) each."""
        self.grow(texts, fill)
        if self.many is None:
            for text in texts:
                pack = self.pack
                at = listpack.first(pack) if end == LEFT else len(pack) - 1
                listpack.insert(pack, at, listpack.entry(text), 1)
        else:
            for text in texts:
                self.many.push(text, end)

    def pop(self, end: int) -> bytes:
        """Takes the element at an end of a list that isn't empty. O(1)."""
        if self.many is None:
            pack = self.pack
            at = listpack.first(pack) if end == LEFT else listpack.preceding(pack, len(pack) - 1)
            text = listpack.text(pack, at)
            listpack.remove(pack, at, 1)
            return text
        return self.many.pop(end)

    def pop_some(self, count: int, end: int) -> list[bytes]:
        """Takes at most `count` elements at an end, the outermost first. O(count)."""
        length = len(self)
        count = min(count, length)
        if end == LEFT:
            texts = self.range(0, count)
        else:
            texts = self.range(length - count, count)
            texts.reverse()
        self.drop(count, end)
        return texts

    def drop(self, count: int, end: int) -> list[Any]:
        """Removes at most `count` elements at an end; gives what they were in, to be freed later. O(1) for what the
        caller sees: 10 million elements take some 10 µs.
        """
        if self.many is not None:
            return self.many.drop(count, end)
        first = 0 if end == LEFT else max(listpack.count(self.pack) - count, 0)
        listpack.remove(self.pack, place_of(self.pack, first), count)
        return []

    # By index: from 0 on, of elements that are there

    def index(self, index: int) -> bytes:
        """The element at `index`. O(n / 100,000) for elements of some ten bytes."""
        return self.many.index(index) if self.many is not None else listpack.text(self.pack, place_of(self.pack, index))

    def range(self, first: int, count: int) -> list[bytes]:
        """The `count` elements from `first` on. O(count), and as `index`."""
        if self.many is not None:
            return self.many.range(first, count)
        return listpack.texts_from(self.pack, place_of(self.pack, first), count)

    def set(self, index: int, text: bytes) -> None:
        """Puts `text` in place of the element at `index`; before, let it `grow`. As `index`."""
        if self.many is None:
            listpack.replace(self.pack, place_of(self.pack, index), listpack.entry(text))
        else:
            replace(self.many, index, text)

    # By element

    def insert(self, pivot: bytes, text: bytes, after: bool) -> bool:
        """Puts `text` beside the first element that is `pivot`; False if there is none. Before, let it `grow`. O(n)."""
        if self.many is not None:
            found = self.many.find(pivot)
            if found is not None:
                number, place, at = found
                insert(self.many, (number, place), at, text, after)
            return found is not None
        at = listpack.find(self.pack, listpack.entry(pivot))
        if at < 0:
            return False
        listpack.insert(self.pack, listpack.following(self.pack, at) if after else at, listpack.entry(text), 1)
        return True

    def remove(self, text: bytes, most: int, end: int) -> int:
        """Removes the elements that are `text`, at most `most` from that end on; how many. O(n)."""
        if self.many is None:
            return remove_from(self.pack, text, listpack.entry(text), most, end)
        return self.many.remove(text, most, end)

    def matches(self, text: bytes, most: int, end: int = LEFT) -> Iterator[int]:
        """The indexes of the elements that are `text`, among the first, or last, `most`, from that end on. O(n)."""
        if self.many is None:
            texts = listpack.texts(self.pack) if places_of(self.pack, listpack.entry(text)) else []
            indexes = [index for index, found in enumerate(texts) if found == text]
            return iter(indexes if end == LEFT else indexes[::-1])
        return self.many.matches(text, most) if end == LEFT else self.many.matches_backwards(text, most)

    # Between the two forms

    def grow(self, texts: Sequence[bytes], fill: int) -> None:
        """Becomes a quicklist if a listpack would be too large with all `texts`; the reference asks before it knows
        whether they can be put in.
        """
        if self.many is None:
            size_bytes = len(self.pack)
            count = listpack.count(self.pack)
            for text in texts:
                size_bytes += len(text)
                count += 1
            if exceeds(fill, size_bytes, count):
                self._become_many(fill)

    def _become_many(self, fill: int) -> None:
        self.many = Quicklist(fill)
        count = listpack.count(self.pack)
        if count:
            self.many.push_node(self.pack, count, RIGHT)
        self.pack = listpack.new()

    def shrink(self, fill: int) -> None:
        """Becomes a listpack again if one node is left, of at most half the size. O(1)."""
        many = self.many
        if many is not None and len(many.shelves) == 1 and len(many.shelves[0].nodes) == 1:
            node = many.shelves[0].nodes[0]
            if isinstance(node, bytearray) and not exceeds_half(fill, len(node), many.count):
                self.pack = node
                self.many = None

    # Elsewhere

    def copy(self) -> "List":
        """One that shares nothing that can change. O(n)."""
        return List.from_wire(self.to_wire())

    def containers(self) -> list[Any]:
        """What it is made of, to be freed slice by slice."""
        return [] if self.many is None else [shelf.nodes for shelf in self.many.shelves]

    def to_wire(self) -> Any:
        """bytes of the listpack; or [fill, node ...]: each a listpack, or a large element in a list by itself. O(n)."""
        if self.many is None:
            return bytes(self.pack)
        nodes = [node for shelf in self.many.shelves for node in shelf.nodes]
        return [self.many.fill, *[[node] if isinstance(node, bytes) else bytes(node) for node in nodes]]

    @staticmethod
    def from_wire(wire: Any) -> "List":
        """The list that `to_wire` told of. O(n)."""
        made = List()
        if isinstance(wire, bytes):
            made.pack = bytearray(wire)
            return made
        made.many = Quicklist(wire[0])
        for node in islice(wire, 1, None):
            if isinstance(node, bytes):
                pack = bytearray(node)
                made.many.push_node(pack, listpack.count(pack), RIGHT)
            else:
                made.many.push_node(node[0], 1, RIGHT)
        return made

    def commands(self, key: bytes) -> Iterator[list[bytes]]:
        """RPUSH as often as it takes. O(n)."""
        texts = iter(self)
        while chunk := list(islice(texts, CHUNK_ELEMENTS_MAX)):
            yield [b"RPUSH", key, *chunk]

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        assert listpack.whole(bytes(self.pack))
        assert listpack.of(listpack.texts(self.pack)) == self.pack
        if self.many is not None:
            assert not listpack.count(self.pack)
            self.many._check()


def nodes_of(list_: List) -> list[Node]:
    """Its nodes from left to right, as a file of Redis's stores them. They are its own: not to be changed."""
    return [list_.pack] if list_.many is None else [node for shelf in list_.many.shelves for node in shelf.nodes]
