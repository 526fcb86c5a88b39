"""Cutting a command for several shards, and putting the answers back in the order of its keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.slot import Owners
from router.plan import InOrder, cut

KEYS = st.lists(st.binary(max_size=6), min_size=1, max_size=40)


@given(KEYS, st.integers(1, 9), st.booleans())
def test_every_key_goes_to_its_owner_once_and_in_order(keys: list[bytes], shards: int, hash_tags: bool) -> None:
    owners = Owners(shards, hash_tags)
    asked, parts, order = cut([b"MGET", *keys], 1, 1, owners)
    for shard, part in zip(asked, parts, strict=True):
        assert part == [b"MGET", *(key for key in keys if owners.of(key) == shard)]
    assert [asked[place] for place in order] == owners.of_all(keys)


@given(KEYS, st.integers(1, 9))
def test_a_value_stays_with_its_key(keys: list[bytes], shards: int) -> None:
    words = [word for number, key in enumerate(keys) for word in (key, b"%d" % number)]
    asked, parts, _ = cut([b"MSET", *words], 1, 2, Owners(shards, True))
    pairs = [pair for part in parts for pair in zip(part[1::2], part[2::2], strict=True)]
    assert sorted(pairs) == sorted(zip(words[::2], words[1::2], strict=True))
    assert len(asked) == len(set(asked))


@given(KEYS, st.integers(1, 9))
def test_what_was_cut_comes_back_in_the_order_of_the_keys(keys: list[bytes], shards: int) -> None:
    _, parts, order = cut([b"MGET", *keys], 1, 1, Owners(shards, True))
    assert InOrder(order)([part[1:] for part in parts]) == keys


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_a_call_without_keys_has_no_parts(shards: int) -> None:
    assert cut([b"MGET"], 1, 1, Owners(shards, True)) == ([], [], [])
