"""Shardis against the reference, by random commands.

DIFFERENTIAL_COMMANDS and DIFFERENTIAL_SEED in the environment say how many per family, and which; for a long run use
`python -m tests.differential`.
"""

import os
from collections.abc import Iterator
from itertools import islice, pairwise
from random import Random

import pytest

from tests.command_families import FAMILIES
from tests.differential import Address, Pair, compare, stream
from tests.random_commands import usages
from tests.reference import Reference
from tests.servers import Shardis
from tests.told import Ear, Events, Invalidations

COMMANDS = int(os.environ.get("DIFFERENTIAL_COMMANDS", "1000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))


def events(address: Address) -> Ear:
    return Events(address, "KEAmn")


@pytest.fixture(scope="module")
def second_reference() -> Iterator[Reference]:
    with Reference() as server:
        yield server


@pytest.fixture(scope="module", params=[1, 3])
def pair(request: pytest.FixtureRequest, reference: Reference) -> Iterator[Pair]:
    with Shardis(request.param, enable_debug_command="yes") as server:
        yield Pair(server.address, reference.address)


@pytest.mark.parametrize("family", FAMILIES)
def test_shardis_answers_as_the_reference(pair: Pair, family: str) -> None:
    tally = compare(pair, family, COMMANDS, SEED)
    assert not tally.differences, f"{tally}, seed {SEED}:\n{tally.differences[0]}"


@pytest.fixture(scope="module")
def listening(reference: Reference) -> Iterator[Pair]:
    with Shardis(3, enable_debug_command="yes") as server:
        yield Pair(server.address, reference.address, [events, Invalidations])


@pytest.mark.parametrize("family", FAMILIES)
def test_shardis_tells_as_the_reference(listening: Pair, family: str) -> None:
    tally = compare(listening, family, COMMANDS // 4, SEED)
    assert not tally.differences, f"{tally}, seed {SEED}:\n{tally.differences[0]}"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_answers_as_itself(second_reference: Reference, reference: Reference, family: str) -> None:
    """What differs here is the fault of the instrument: a reply that needs a rule."""
    tally = compare(
        Pair(second_reference.address, reference.address, [events, Invalidations]), family, COMMANDS // 2, SEED
    )
    assert not tally.differences, f"{tally.differences[0]}"


def test_a_difference_is_found_and_cut_down(second_reference: Reference, reference: Reference) -> None:
    with second_reference.connect() as client:
        client.call("CONFIG", "SET", "list-max-listpack-size", "1")
        tally = compare(Pair(second_reference.address, reference.address), "lists", 2000, SEED)
        client.call("CONFIG", "SET", "list-max-listpack-size", "-2")
    (difference,) = tally.differences
    assert len(difference.chunks) <= 3, f"{difference}"
    assert "quicklist" in difference.got


def test_a_difference_in_what_is_told_is_found(second_reference: Reference, reference: Reference) -> None:
    def deaf_to_lists(address: Address) -> Ear:
        return Events(address, "KEA" if address == reference.address else "KEg$shzxet")

    tally = compare(Pair(second_reference.address, reference.address, [deaf_to_lists]), "lists", 500, SEED)
    (difference,) = tally.differences
    assert difference.kind()[0] == b"told"
    assert len(difference.chunks) <= 3, f"{difference}"


def test_a_transaction_is_opened_before_it_is_executed() -> None:
    chunks = islice(stream(usages("transactions"), Random(7)), 2000)
    names = [[argv[0].upper() for argv in chunk if len(argv) == 1] for client, chunk in chunks if client == 0]
    moves = [name for chunk in names for name in chunk if name in (b"MULTI", b"EXEC", b"DISCARD")]
    pairs = list(pairwise(moves))
    assert sum(one == b"MULTI" and other != b"MULTI" for one, other in pairs) > 0.4 * len(pairs)


def test_a_seed_gives_the_same_stream() -> None:
    for family in FAMILIES:
        one, other = [[line.draw(Random(7)) for line in usages(family)] for _ in range(2)]
        assert one == other
