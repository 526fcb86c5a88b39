"""The nodes of lists, one at a time: listpacks, walked by the number of an element and by what it says.

A node is a bytearray, a listpack of elements; or bytes, one large element by itself.
"""

from shard.values import listpack

_END = 0xFF
_FIRST = 6
"""The place of the first entry of a listpack."""
_SMALL_INTEGERS = [b"%d" % number for number in range(128)]

Node = bytearray | bytes

LEFT = 0
RIGHT = -1
"""The ends of a list, so that `nodes[end]` is the node there."""


def count_of(node: Node) -> int:
    """How many elements a node has. O(1)."""
    if isinstance(node, bytes):
        return 1
    return listpack.count(node)


def place_of(pack: bytearray, number: int) -> int:
    """The place of an entry, or of the end; from the nearer end. O(n): some 50 ns an entry, compiled 1 ns."""
    back = listpack.count(pack) - number
    view = pack
    if number <= back:
        at = _FIRST
        for _ in range(number):
            kind = view[at]
            if kind < 0x80:
                at += 2
            elif kind < 0xC0:
                at += (kind & 63) + 2
            else:
                at = listpack.following(pack, at)
        return at
    at = len(pack) - 1
    for _ in range(back):
        size = view[at - 1]
        at = at - size - 1 if size < 128 else listpack.preceding(pack, at)
    return at


def places_of(pack: bytearray, encoded: bytes) -> list[int]:
    """The places of the entries that are `encoded`. O(n), quick where there is none."""
    at = listpack.find(pack, encoded)
    if at < 0:
        return []
    places = []
    size = len(encoded)
    while pack[at] != _END:
        if pack.startswith(encoded, at):
            places.append(at)
            at += size
        else:
            at = listpack.following(pack, at)
    return places


def numbers_of(node: Node, text: bytes, encoded: bytes) -> list[int]:
    """The numbers of the elements that are `text`, whose entry is `encoded`. O(n), quick where there is none."""
    if isinstance(node, bytes):
        return [0] if node == text else []
    if listpack.find(node, encoded) < 0:
        return []
    return [number for number, found in enumerate(listpack.texts(node)) if found == text]


def remove_from(node: Node, text: bytes, encoded: bytes, most: int, end: int) -> int:
    """Removes the elements that are `text`, at most `most` from that end on; how many.

    Nothing is done to a large element: its node has to go. O(n), and O(bytes of the node) for each that is removed.
    """
    if isinstance(node, bytes):
        return 1 if node == text else 0
    places = places_of(node, encoded)
    if len(places) > most:
        places = places[:most] if end == LEFT else places[len(places) - most :]
    for at in reversed(places):
        listpack.remove(node, at, 1)
    return len(places)
