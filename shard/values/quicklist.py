"""Quicklists: what a list is made of once one listpack would be too large.

    Quicklist.shelves  [ Shelf ]  [ Shelf ]  [ Shelf ]          from left to right
    Shelf.nodes          [ node node node ... ]                 up to SHELF_NODES_MAX
    node                   a listpack of elements, as bytearray; or one large element by itself, as bytes

Rule 1: the nodes are cut, filled and joined exactly as in the reference (quicklist.c). It shows: a list goes back to
        the encoding "listpack" when it has shrunk to one node that is half empty.
Rule 2: a shelf knows how many elements it has. So a look-up by index passes over shelves, then over nodes, then over
        the elements of one node, and pushing a node at the left of a hundred thousand others moves some hundred.
Rule 3: no node and no shelf is empty when a method returns.
"""

from collections.abc import Iterator
from typing import Any

from shard.values import listpack
from shard.values.list_nodes import LEFT, Node, count_of, numbers_of, place_of, remove_from

SHELF_NODES_MAX = 128

NODE_BYTES_MAX = (4096, 8192, 16384, 32768, 65536)
"""Of a node where list-max-listpack-size is -1, -2, ... -5."""
SAFE_BYTES_MAX = 8192
"""Of a node where it is a number of elements."""
FILL_MAX = 32767
FILL_MIN = -5
OVERHEAD_BYTES = 8
"""What the reference takes an element to need beside its text, when it asks whether a node has room."""
FRAME_BYTES = 7
"""Of a listpack's header and end, which go when two are joined."""


def exceeds(fill: int, size_bytes: int, count: int) -> bool:
    """Whether a listpack of so many bytes and elements is larger than `fill`, a list-max-listpack-size, allows."""
    if fill < 0:
        return size_bytes > NODE_BYTES_MAX[min(-fill, 5) - 1]
    return size_bytes > SAFE_BYTES_MAX or count > max(fill, 1)


def exceeds_half(fill: int, size_bytes: int, count: int) -> bool:
    """Whether it is too large to become a listpack again."""
    if fill < 0:
        return size_bytes > NODE_BYTES_MAX[min(-fill, 5) - 1] // 2
    return count > max(fill, 1) // 2


class Shelf:
    """A run of nodes."""

    __slots__ = ("nodes", "count")

    def __init__(self, nodes: list[Node], count: int) -> None:
        self.nodes = nodes
        self.count = count
        """Of elements."""


class Quicklist:
    """A list of many elements. Made empty: whoever makes it puts something in."""

    __slots__ = ("shelves", "count", "fill", "large_bytes")

    def __init__(self, fill: int) -> None:
        self.shelves: list[Shelf] = []
        self.count = 0
        self.fill = min(max(fill, FILL_MIN), FILL_MAX)
        """As list-max-listpack-size was when the list became a quicklist."""
        self.large_bytes = NODE_BYTES_MAX[-self.fill - 1] if self.fill < 0 else SAFE_BYTES_MAX
        """A larger element has a node of its own."""

    # At the ends

    def push(self, text: bytes, end: int) -> None:
        """Puts an element at the end LEFT or RIGHT. O(1): of a node, at most its bytes are moved."""
        size = len(text)
        if size > self.large_bytes:
            self.push_node(text, 1, end)
            return
        encoded = listpack.entry(text)
        if self.shelves:
            shelf = self.shelves[end]
            node = shelf.nodes[end]
            if isinstance(node, bytearray) and self.has_room(node, size):
                listpack.insert(node, listpack.first(node) if end == LEFT else len(node) - 1, encoded, 1)
                shelf.count += 1
                self.count += 1
                return
        pack = listpack.new()
        listpack.insert(pack, listpack.first(pack), encoded, 1)
        self.push_node(pack, 1, end)

    def push_node(self, node: Node, count: int, end: int) -> None:
        """Puts a node of so many elements at an end. O(1)."""
        shelves = self.shelves
        if not shelves or len(shelves[end].nodes) >= SHELF_NODES_MAX:
            shelves.insert(0 if end == LEFT else len(shelves), Shelf([], 0))
        shelf = shelves[end]
        shelf.nodes.insert(0 if end == LEFT else len(shelf.nodes), node)
        shelf.count += count
        self.count += count

    def pop(self, end: int) -> bytes:
        """Takes the element at an end of a list that isn't empty. O(1)."""
        shelf = self.shelves[end]
        node = shelf.nodes[end]
        if isinstance(node, bytes):
            text = node
            del shelf.nodes[end]
        else:
            at = listpack.first(node) if end == LEFT else listpack.preceding(node, len(node) - 1)
            text = listpack.text(node, at)
            if listpack.count(node) == 1:
                del shelf.nodes[end]
            else:
                listpack.remove(node, at, 1)
        shelf.count -= 1
        self.count -= 1
        if not shelf.count:
            del self.shelves[end]
        return text

    def drop(self, count: int, end: int) -> list[Any]:
        """Removes `count` elements at an end, at most all; gives what they were in, to be freed later.

        O(SHELF_NODES_MAX + bytes of a node), O(shelves dropped).
        """
        left = count = min(count, self.count)
        places = range(len(self.shelves)) if end == LEFT else range(len(self.shelves) - 1, -1, -1)
        whole = 0
        while whole < len(places) and left >= self.shelves[places[whole]].count:
            left -= self.shelves[places[whole]].count
            whole += 1
        dropped: list[Any] = [shelf.nodes for shelf in cut_off(self.shelves, whole, end)]
        if left:
            self._drop_within(self.shelves[end], left, end)
        self.count -= count
        return dropped

    def _drop_within(self, shelf: Shelf, left: int, end: int) -> None:
        shelf.count -= left
        nodes = shelf.nodes if end == LEFT else shelf.nodes[::-1]
        whole = 0
        while left and left >= count_of(nodes[whole]):
            left -= count_of(nodes[whole])
            whole += 1
        cut_off(shelf.nodes, whole, end)
        if left:
            node = shelf.nodes[end]
            assert isinstance(node, bytearray)
            first = 0 if end == LEFT else listpack.count(node) - left
            listpack.remove(node, place_of(node, first), left)

    # By index

    def index(self, index: int) -> bytes:
        """The element at `index`, which is there. O(n / 100,000) for elements of some ten bytes."""
        number, place, offset = self._find(index)
        node = self.shelves[number].nodes[place]
        return node if isinstance(node, bytes) else listpack.text(node, place_of(node, offset))

    def range(self, first: int, count: int) -> list[bytes]:
        """The `count` elements from `first` on, which are all there. O(count), and as `index`."""
        if not count:
            return []
        number, place, offset = self._find(first)
        found: list[bytes] = []
        while len(found) < count:
            nodes = self.shelves[number].nodes
            while place < len(nodes) and len(found) < count:
                node = nodes[place]
                if isinstance(node, bytes):
                    found.append(node)
                else:
                    found += listpack.texts_from(node, place_of(node, offset), count - len(found))
                offset = 0
                place += 1
            number += 1
            place = 0
        return found

    def _find(self, index: int) -> tuple[int, int, int]:
        """Shelf, node in it, element in that: where `index` is. From the nearer end."""
        shelves = self.shelves
        if index < self.count // 2:
            number = 0
            while index >= shelves[number].count:
                index -= shelves[number].count
                number += 1
        else:
            number = len(shelves) - 1
            behind = self.count - shelves[number].count
            while index < behind:
                number -= 1
                behind -= shelves[number].count
            index -= behind
        return self._find_within(number, index)

    def _find_within(self, number: int, index: int) -> tuple[int, int, int]:
        shelf = self.shelves[number]
        nodes = shelf.nodes
        if index < shelf.count // 2:
            place = 0
            size = count_of(nodes[0])
            while index >= size:
                index -= size
                place += 1
                size = count_of(nodes[place])
            return number, place, index
        place = len(nodes) - 1
        behind = shelf.count - count_of(nodes[place])
        while index < behind:
            place -= 1
            behind -= count_of(nodes[place])
        return number, place, index - behind

    # By element

    def find(self, text: bytes) -> tuple[int, int, int] | None:
        """Shelf, node, and place in its listpack, of the first element that is `text`. O(n)."""
        encoded = self._sought(text)
        for number, shelf in enumerate(self.shelves):
            for place, node in enumerate(shelf.nodes):
                if isinstance(node, bytes):
                    if node == text:
                        return number, place, 0
                elif (at := listpack.find(node, encoded)) >= 0:
                    return number, place, at
        return None

    def matches(self, text: bytes, most: int) -> Iterator[int]:
        """The indexes of the elements that are `text`, among the first `most`. O(n)."""
        encoded = self._sought(text)
        index = 0
        for shelf in self.shelves:
            for node in shelf.nodes:
                if index >= most:
                    return
                for number in numbers_of(node, text, encoded):
                    yield index + number
                index += count_of(node)

    def matches_backwards(self, text: bytes, most: int) -> Iterator[int]:
        """The same from the right, among the last `most`."""
        encoded = self._sought(text)
        index = self.count
        for shelf in reversed(self.shelves):
            for node in reversed(shelf.nodes):
                if self.count - index >= most:
                    return
                index -= count_of(node)
                for number in reversed(numbers_of(node, text, encoded)):
                    yield index + number

    def remove(self, text: bytes, most: int, end: int) -> int:
        """Removes the elements that are `text`, at most `most` from that end on; how many. O(n)."""
        encoded = self._sought(text)
        removed = 0
        step = 1 if end == LEFT else -1
        for shelf in self.shelves[::step]:
            if removed == most:
                break
            kept: list[Node] = []
            before = removed
            for node in shelf.nodes[::step]:
                gone = remove_from(node, text, encoded, most - removed, end) if removed < most else 0
                removed += gone
                if not gone or (isinstance(node, bytearray) and listpack.count(node)):
                    kept.append(node)
            shelf.nodes = kept[::step]
            shelf.count -= removed - before
        self.count -= removed
        self.shelves = [shelf for shelf in self.shelves if shelf.nodes]
        return removed

    def _sought(self, text: bytes) -> bytes:
        """The entry to look for in listpacks. In one that was allowed to grow there may be any."""
        return listpack.entry(text)

    # The whole

    def __iter__(self) -> Iterator[bytes]:
        for shelf in self.shelves:
            for node in shelf.nodes:
                if isinstance(node, bytes):
                    yield node
                else:
                    yield from listpack.texts(node)

    def has_room(self, node: Node, size: int) -> bool:
        """Whether an element of that size, which isn't large, may go into the node."""
        if isinstance(node, bytes):
            return False
        return not exceeds(self.fill, len(node) + size + OVERHEAD_BYTES, listpack.count(node) + 1)

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        assert self.shelves and self.count == sum(shelf.count for shelf in self.shelves)
        for shelf in self.shelves:
            assert 0 < len(shelf.nodes) <= 2 * SHELF_NODES_MAX
            assert shelf.count == sum(map(count_of, shelf.nodes))
            for node in shelf.nodes:
                if isinstance(node, bytes):
                    assert len(node) > self.large_bytes
                else:
                    assert listpack.whole(bytes(node)) and listpack.count(node)
                    assert listpack.of(listpack.texts(node)) == node


def cut_off(items: list[Any], count: int, end: int) -> list[Any]:
    """Takes `count` items off a list, at an end."""
    if end == LEFT:
        gone = items[:count]
        del items[:count]
    else:
        gone = items[len(items) - count :]
        del items[len(items) - count :]
    return gone
