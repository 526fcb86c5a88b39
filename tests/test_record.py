"""Records: what is put in comes out, and what is none is found out."""

import pytest

from common import record as records
from common.record import DONE, SETTLED, WHOLE

PARTS: records.Parts = {3: [["runs", [[0, [[b"SET", b"k", b"v\xff"]]]]]], 0: [["held", b"x", []]]}


def test_what_is_put_in_comes_out() -> None:
    whole = records.whole(2**40, 1_700_000_000_000, PARTS)
    assert records.kind_of(whole) == WHOLE and records.id_of(whole) == 2**40
    assert records.shards_of(whole) == [3, 0]
    assert records.parts_of(whole) == (1_700_000_000_000, PARTS)
    assert all(records.part_of(whole, shard) == (1_700_000_000_000, part) for shard, part in PARTS.items())
    with pytest.raises(ValueError):
        records.part_of(whole, 1)
    for made, kind in ((records.done(7), DONE), (records.settled(7), SETTLED)):
        assert (records.kind_of(made), records.id_of(made), records.shards_of(made)) == (kind, 7, [])


@pytest.mark.parametrize("text", [b"", b"hello", records.MAGIC, records.done(1)[:-1], b"x" + records.done(1)])
def test_what_is_none(text: bytes) -> None:
    assert records.kind_of(text) == b""


def test_one_that_is_cut() -> None:
    whole = records.whole(1, 0, PARTS)
    for size in range(records.PARTS_AT, len(whole)):
        with pytest.raises(ValueError):
            records.shards_of(whole[:size]) and records.parts_of(whole[:size])
