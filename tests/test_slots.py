"""WideSlot against a dict."""

from random import Random

import pytest

from shard.slots import EMPTY, PARTS, WideSlot


@pytest.mark.parametrize("seed", range(5))
def test_as_a_dict(seed: int) -> None:
    random = Random(seed)
    keys = [b"{tag}%d" % number for number in range(300)]
    model = {key: random.random() for key in random.sample(keys, 100)}
    slot = WideSlot(dict(model))
    for _ in range(2000):
        key = random.choice(keys)
        match random.randrange(5):
            case 0 | 1:
                model[key] = slot[key] = random.random()
            case 2:
                assert slot.pop(key, None) == model.pop(key, None)
            case 3:
                assert slot.get(key) == model.get(key)
                assert slot.get(key, -1) == model.get(key, -1)
            case 4:
                assert (key in slot) is (key in model)
                if key in model:
                    assert slot[key] == model[key]
        assert len(slot) == len(model)
        assert bool(slot) is bool(model)
        slot._check()
    assert sorted(slot) == sorted(model)


def test_a_key_that_is_not_there() -> None:
    slot = WideSlot({})
    assert not slot and list(slot) == [] and slot.get(b"k") is None and slot.pop(b"k", 7) == 7
    with pytest.raises(KeyError):
        slot[b"k"]
    slot._check()


def test_parts_share_the_keys_evenly() -> None:
    slot = WideSlot({b"{tag}%d" % number: number for number in range(100_000)})
    slot._check()
    assert max(map(len, slot.parts)) < 2 * 100_000 / PARTS
    assert not EMPTY
