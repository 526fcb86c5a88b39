"""A small sorted set as Redis has it: a listpack of member and score in turn, in order of score and then of member.

All functions walk over the entries: O(n) in their number, which sorted_set.py keeps small. A rank counts members.
"""

from collections.abc import Iterable

from common.resp import double_text
from shard.values.listpack import END, entry, find, first, following, insert, nth, of, remove, text


def score_entry(score: float) -> bytes:
    """A score as Redis writes it into a listpack: whole numbers as integers, so that -0 becomes 0."""
    return entry(double_text(score or 0.0))


def pack_of(entries: Iterable[tuple[bytes, float]]) -> bytearray:
    """One of members with their scores, which are in order."""
    return of([word for member, score in entries for word in (member, double_text(score or 0.0))])


def place_of(pack: bytearray, member: bytes) -> int:
    """The place of `member`, -1 if it is not there."""
    return find(pack, entry(member), 2)


def score_at(pack: bytearray, place: int) -> float:
    """The score of the member at `place`."""
    return _number(pack, following(pack, place))


def put_member(pack: bytearray, member: bytes, score: float) -> None:
    """Adds a member that is not there."""
    rank = count_below(pack, score, member)
    insert(pack, place_at(pack, rank), entry(member) + score_entry(score), 2)


def remove_member(pack: bytearray, place: int) -> None:
    """Removes the member at `place`."""
    remove(pack, place, 2)


def cut_members(pack: bytearray, start: int, stop: int) -> None:
    """Removes the members of these ranks, all of which exist."""
    if start < stop:
        remove(pack, place_at(pack, start), 2 * (stop - start))


def place_at(pack: bytearray, rank: int) -> int:
    """The place of the member of this rank, or the end."""
    place = nth(pack, 2 * rank)
    return len(pack) - 1 if place < 0 else place


def rank_at(pack: bytearray, place: int) -> int:
    """The rank of the member at `place`."""
    rank = 0
    at = first(pack)
    while at < place:
        at = following(pack, following(pack, at))
        rank += 1
    return rank


def count_below(pack: bytearray, score: float, member: bytes) -> int:
    """How many members come before this entry, be it there or not."""
    rank = 0
    place = first(pack)
    while pack[place] != END:
        behind = following(pack, place)
        there = _number(pack, behind)
        if there > score or (there == score and text(pack, place) >= member):
            break
        place = following(pack, behind)
        rank += 1
    return rank


def members_at(pack: bytearray, start: int, stop: int) -> list[bytes]:
    """The members of the ranks from `start` to before `stop`, all of which exist."""
    found = []
    place = place_at(pack, start)
    for _ in range(stop - start):
        found.append(text(pack, place))
        place = following(pack, following(pack, place))
    return found


def scores_at(pack: bytearray, start: int, stop: int) -> list[float]:
    """The scores of the ranks from `start` to before `stop`, all of which exist."""
    found = []
    place = place_at(pack, start)
    for _ in range(stop - start):
        place = following(pack, place)
        found.append(_number(pack, place))
        place = following(pack, place)
    return found


def _number(pack: bytearray, at: int) -> float:
    """What the entry of a score at `at` says. The forms of listpack.py: of the others a text is made, and read."""
    kind = pack[at]
    if kind < 0x80:
        return float(kind)
    if 0xC0 <= kind < 0xE0:
        number = (kind & 0x1F) << 8 | pack[at + 1]
        return float(number - 0x2000 if number & 0x1000 else number)
    if kind == 0xF1:
        number = pack[at + 1] | pack[at + 2] << 8
        return float(number - 0x10000 if number & 0x8000 else number)
    if kind == 0xF2:
        number = pack[at + 1] | pack[at + 2] << 8 | pack[at + 3] << 16
        return float(number - 0x1000000 if number & 0x800000 else number)
    return float(text(pack, at))
