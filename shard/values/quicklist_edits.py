"""Edits in the midst of quicklists: nodes are split and joined step by step as in the reference's quicklist.c."""

from shard.values import listpack
from shard.values.list_nodes import Node, count_of, place_of
from shard.values.quicklist import FRAME_BYTES, SHELF_NODES_MAX, Quicklist, Shelf, exceeds

_END = 0xFF
"""What is behind the last entry of a listpack."""

NODES_MADE_MAX = 2
"""By one edit."""

Position = tuple[int, int]
"""The number of a shelf, and that of a node in it."""


def insert(many: Quicklist, position: Position, at: int, text: bytes, after: bool) -> None:
    """Puts `text` before or after the entry at place `at` of the node at `position`. O(bytes of a node)."""
    shelf = many.shelves[position[0]]
    node = shelf.nodes[position[1]]
    size = len(text)
    many.count += 1
    if size > many.large_bytes:
        _insert_large(many, position, at, text, after)
    elif many.has_room(node, size):
        assert isinstance(node, bytearray)
        listpack.insert(node, listpack.following(node, at) if after else at, listpack.entry(text), 1)
        shelf.count += 1
    elif _is_outermost(node, at, after):
        _insert_beside(many, position, text, after)
    else:
        assert isinstance(node, bytearray)
        split = _split(many, position, at, after)
        listpack.insert(split, listpack.first(split) if after else len(split) - 1, listpack.entry(text), 1)
        merge_around(many, _put_node(many, position, split, after))
    _settle(many, position[0])


def replace(many: Quicklist, index: int, text: bytes) -> None:
    """Puts `text` in place of the element at `index`. O(bytes of a node), and a look-up."""
    number, place, offset = many._find(index)
    shelf = many.shelves[number]
    node = shelf.nodes[place]
    large = len(text) > many.large_bytes
    if isinstance(node, bytearray) and not large:
        listpack.replace(node, place_of(node, offset), listpack.entry(text))
    elif isinstance(node, bytearray):
        _replace_by_large(many, (number, place), place_of(node, offset), text)
    elif large:
        shelf.nodes[place] = text
    else:
        _insert_beside(many, (number, place), text, after=True)
        del shelf.nodes[place]
        shelf.count -= 1
    _settle(many, number)


def _is_outermost(node: Node, at: int, after: bool) -> bool:
    """Whether what is put there comes before, or after, all that the node has."""
    if isinstance(node, bytes):
        return True
    return node[listpack.following(node, at)] == _END if after else at == listpack.first(node)


def _insert_beside(many: Quicklist, position: Position, text: bytes, after: bool) -> None:
    """Puts an element, which isn't large, next to a node that has no room: into its neighbour or a node of its own."""
    encoded = listpack.entry(text)
    beside = step(many, position, 1 if after else -1)
    if beside is not None:
        shelf = many.shelves[beside[0]]
        node = shelf.nodes[beside[1]]
        if many.has_room(node, len(text)):
            assert isinstance(node, bytearray)
            listpack.insert(node, listpack.first(node) if after else len(node) - 1, encoded, 1)
            shelf.count += 1
            return
    pack = listpack.new()
    listpack.insert(pack, listpack.first(pack), encoded, 1)
    _put_node(many, position, pack, after)


def _insert_large(many: Quicklist, position: Position, at: int, text: bytes, after: bool) -> None:
    node = many.shelves[position[0]].nodes[position[1]]
    if _is_outermost(node, at, after):
        _put_node(many, position, text, after)
        return
    split = _split(many, position, at, after)
    _put_node(many, position, split, after)
    _put_node(many, position, text, after) if after else _put_node(many, (position[0], position[1] + 1), text, after)


def _replace_by_large(many: Quicklist, position: Position, at: int, text: bytes) -> None:
    shelf = many.shelves[position[0]]
    node = shelf.nodes[position[1]]
    assert isinstance(node, bytearray)
    if not _is_outermost(node, at, True):
        _put_node(many, position, _split(many, position, at, True), True)
    _put_node(many, position, text, True)
    shelf.count -= 1
    if listpack.count(node) == 1:
        del shelf.nodes[position[1]]
    else:
        listpack.remove(node, at, 1)
        merge_around(many, (position[0], position[1] + 1))


def _split(many: Quicklist, position: Position, at: int, after: bool) -> bytearray:
    """Takes all behind the entry at `at`, or else all before it, out of a node: as a listpack that is nowhere yet."""
    shelf = many.shelves[position[0]]
    node = shelf.nodes[position[1]]
    assert isinstance(node, bytearray)
    before = listpack.count(node)
    first, end = (listpack.following(node, at), len(node) - 1) if after else (listpack.first(node), at)
    taken = bytes(node[first:end])
    kept = _count_in(node, listpack.first(node), first) if after else before - _count_in(node, listpack.first(node), at)
    listpack.remove(node, first, before - kept)
    shelf.count -= before - kept
    split = listpack.new()
    listpack.insert(split, listpack.first(split), taken, before - kept)
    return split


def _count_in(pack: bytearray, at: int, end: int) -> int:
    count = 0
    while at < end:
        at = listpack.following(pack, at)
        count += 1
    return count


def _put_node(many: Quicklist, position: Position, node: Node, after: bool) -> Position:
    """Puts a node next to another. Gives the position that this other one has then."""
    number, place = position
    shelf = many.shelves[number]
    shelf.nodes.insert(place + 1 if after else place, node)
    shelf.count += count_of(node)
    return (number, place) if after else (number, place + 1)


def merge_around(many: Quicklist, center: Position) -> None:
    """Joins the neighbours of a node with theirs, and then it with its neighbours, where the two fit into one."""
    center = _merge_before(many, center)
    beside = step(many, center, 1)
    if beside is not None:
        _merge(many, beside, step(many, beside, 1))
    before = step(many, center, -1)
    if before is not None and _merge(many, before, center):
        center = before
    _merge(many, center, step(many, center, 1))


def _merge_before(many: Quicklist, center: Position) -> Position:
    """Joins the two nodes before a node. Gives the position that this one has then."""
    before = step(many, center, -1)
    if before is not None:
        far = step(many, before, -1)
        if far is not None and _merge(many, far, before) and before[0] == center[0]:
            return center[0], center[1] - 1
    return center


def _merge(many: Quicklist, left: Position, right: Position | None) -> bool:
    """Puts what is in a node into the one on its left, if both fit into one; whether they did."""
    if right is None:
        return False
    from_, to = many.shelves[right[0]], many.shelves[left[0]]
    node, other = to.nodes[left[1]], from_.nodes[right[1]]
    if isinstance(node, bytes) or isinstance(other, bytes):
        return False
    count = count_of(other)
    if exceeds(many.fill, len(node) + len(other) - FRAME_BYTES, count_of(node) + count):
        return False
    assert isinstance(node, bytearray)
    listpack.insert(node, len(node) - 1, bytes(other[listpack.first(other) : -1]), count)
    to.count += count
    from_.count -= count
    del from_.nodes[right[1]]
    return True


def step(many: Quicklist, position: Position, way: int) -> Position | None:
    """The position of the next node, or with -1 of the one before; None if there is none."""
    number, place = position[0], position[1] + way
    while not 0 <= place < len(many.shelves[number].nodes):
        number += way
        if not 0 <= number < len(many.shelves):
            return None
        place = 0 if way > 0 else len(many.shelves[number].nodes) - 1
    return number, place


def _settle(many: Quicklist, number: int) -> None:
    """Takes out the shelves around this one that became empty, and cuts those that became too long."""
    shelves = many.shelves
    for place in range(min(number + 2, len(shelves) - 1), max(number - 3, -1), -1):
        nodes = shelves[place].nodes
        if not nodes:
            del shelves[place]
        elif len(nodes) > 2 * SHELF_NODES_MAX - NODES_MADE_MAX:
            halves = nodes[:SHELF_NODES_MAX], nodes[SHELF_NODES_MAX:]
            shelves[place : place + 1] = [Shelf(half, sum(map(count_of, half))) for half in halves]
