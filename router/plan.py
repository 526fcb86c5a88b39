"""Cutting a command for the shards of its keys, and putting what they answer back into the order of the keys.

`MSET a 1 b 2 c 3` becomes `MSET a 1 c 3` and `MSET b 2`: cut at the usage line's repeat (Command.cut).
"""

from common.slot import Owners


def cut(argv: list[bytes], start: int, step: int, owners: Owners) -> tuple[list[int], list[list[bytes]], list[int]]:
    """The shards that have a part in a call, their parts, and for each key the place of its part among them.

    `start` is the index of the first key, `step` how many words go with each. O(words of the call).
    """
    shards: list[int] = []
    parts: list[list[bytes]] = []
    order: list[int] = []
    places = [-1] * owners.shards
    for at in range(start, len(argv), step):
        shard = owners.of(argv[at])
        place = places[shard]
        if place < 0:
            place = places[shard] = len(parts)
            shards.append(shard)
            parts.append(argv[:start])
        part = parts[place]
        if step == 1:
            part.append(argv[at])
        else:
            part.extend(argv[at : at + step])
        order.append(place)
    return shards, parts, order


class InOrder:
    """Joins arrays with an element a key (MGET): the elements in the order of the keys."""

    __slots__ = ("order",)

    def __init__(self, order: list[int]) -> None:
        self.order = order

    def __call__(self, values: list[list[object]]) -> list[object]:
        """`values` are the arrays of the parts. O(keys)."""
        taken = [0] * len(values)
        joined: list[object] = []
        for place in self.order:
            at = taken[place]
            joined.append(values[place][at])
            taken[place] = at + 1
        return joined
