"""Shardis against the reference, by random commands.

DIFFERENTIAL_COMMANDS and DIFFERENTIAL_SEED in the environment say how many per family, and which; for a long run use
`python -m tests.differential`.
"""

import os
from collections.abc import Iterator
from random import Random

import pytest

from tests.command_families import FAMILIES, ONE_SHARD
from tests.differential import Pair, compare
from tests.random_commands import usages
from tests.reference import Reference
from tests.servers import Shardis

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "3000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))


@pytest.fixture(scope="module")
def second_reference() -> Iterator[Reference]:
    with Reference() as server:
        yield server


@pytest.fixture(scope="module", params=[1, 3])
def pair(request: pytest.FixtureRequest, reference: Reference) -> Iterator[Pair]:
    with Shardis(request.param, enable_debug_command="yes") as server:
        yield Pair(server.address, reference.address)


@pytest.mark.parametrize("family", FAMILIES)
def test_shardis_answers_as_the_reference(pair: Pair, family: str, request: pytest.FixtureRequest) -> None:
    if family in ONE_SHARD and request.node.callspec.params["pair"] > 1:
        pytest.skip("its keys may be on other shards than the one that a call names")
    tally = compare(pair, family, COMMANDS, SEED)
    assert not tally.differences, f"{tally}, seed {SEED}:\n{tally.differences[0]}"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_answers_as_itself(second_reference: Reference, reference: Reference, family: str) -> None:
    """What differs here is the fault of the instrument: a reply that needs a rule."""
    tally = compare(Pair(second_reference.address, reference.address), family, 1000, SEED)
    assert not tally.differences, f"{tally.differences[0]}"


def test_a_difference_is_found_and_cut_down(second_reference: Reference, reference: Reference) -> None:
    with second_reference.connect() as client:
        client.call("CONFIG", "SET", "list-max-listpack-size", "1")
        tally = compare(Pair(second_reference.address, reference.address), "lists", 2000, SEED)
        client.call("CONFIG", "SET", "list-max-listpack-size", "-2")
    (difference,) = tally.differences
    assert len(difference.chunks) <= 3, f"{difference}"
    assert "quicklist" in difference.got


def test_a_seed_gives_the_same_stream() -> None:
    for family in FAMILIES:
        one, other = [[line.draw(Random(7)) for line in usages(family)] for _ in range(2)]
        assert one == other
