"""Shardis against the reference once more, by streams that hypothesis draws, and cuts down where they differ.

The commands are those of test_differential.py, from the same usage lines. The streams are short, so each begins on an
empty server, and a difference is shrunk by hypothesis itself: to fewer commands, with simpler words. The same few
streams come each time; DIFFERENTIAL_EXAMPLES in the environment asks for that many others.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.command_families import FAMILIES
from tests.differential import CHUNK_MAX, CLIENTS, Chunk, Pair
from tests.random_commands import Argv, Usage, usages
from tests.reference import Reference
from tests.servers import Shardis

EXAMPLES = os.environ.get("DIFFERENTIAL_EXAMPLES")
EXAMPLES_DEFAULT = 20
CHUNKS_MAX = 12
SHRUNK_MAX = 5
"""How many commands a simple difference takes."""

SETTINGS = settings(
    max_examples=int(EXAMPLES or EXAMPLES_DEFAULT),
    derandomize=EXAMPLES is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def commands(lines: Sequence[Usage]) -> st.SearchStrategy[Argv]:
    """A command of one of the lines, most of them right. All that is chosen in it hypothesis chooses."""

    def drawn(line: Usage, random: Random) -> Argv:
        return line.draw(random)

    return st.builds(drawn, st.sampled_from(lines), st.randoms(note_method_calls=False))


def streams(lines: Sequence[Usage]) -> st.SearchStrategy[list[Chunk]]:
    """What some clients send, each on the protocol that it begins with."""
    chunks = st.tuples(st.integers(0, CLIENTS - 1), st.lists(commands(lines), min_size=1, max_size=CHUNK_MAX))
    protocols = st.lists(st.sampled_from([b"2", b"3"]), min_size=CLIENTS, max_size=CLIENTS)

    def stream(protocols: list[bytes], rest: list[Chunk]) -> list[Chunk]:
        return [*[(client, [[b"HELLO", word]]) for client, word in enumerate(protocols)], *rest]

    return st.builds(stream, protocols, st.lists(chunks, min_size=1, max_size=CHUNKS_MAX))


@pytest.fixture(scope="module", params=[1, 3])
def pair(request: pytest.FixtureRequest, reference: Reference) -> Iterator[Pair]:
    with Shardis(request.param, enable_debug_command="yes") as server:
        found = Pair(server.address, reference.address)
        yield found
        found.close()


def differs(pair: Pair) -> Callable[[list[Chunk]], str]:
    """What says in which way a stream is answered differently, if it is twice: once may be the clock."""

    return lambda chunks: str((pair.play(chunks) and pair.play(chunks)) or "")


@pytest.mark.parametrize("family", FAMILIES)
def test_shardis_answers_as_the_reference(pair: Pair, family: str) -> None:
    lines = usages(family)
    known = pair.known(lines)
    if 2 * len(known) < len(lines):
        pytest.skip("Shardis has too few of these commands")
    difference = differs(pair)

    @SETTINGS
    @given(streams(known))
    def same(chunks: list[Chunk]) -> None:
        if found := difference(chunks):
            pytest.fail(found, pytrace=False)

    same()


class Shrunk(BaseException):
    """Ends hypothesis's search, which otherwise goes on for as long as there may be something simpler."""


def test_a_difference_is_found_and_shrunk(reference: Reference) -> None:
    """A server that packs lists otherwise: the push that shows it, or what is held after it, and hardly anything else
    (what differs once and not again, on a busy machine, ends the search).
    """
    with Reference() as other:
        with other.connect() as client:
            client.call("CONFIG", "SET", "list-max-listpack-size", "1")
        pair = Pair(other.address, reference.address)
        difference = differs(pair)
        lengths: list[int] = []

        @settings(SETTINGS, max_examples=200)
        @given(streams(usages("lists")))
        def same(chunks: list[Chunk]) -> None:
            if found := difference(chunks):
                lengths.append(sum(argv[0] != b"HELLO" for _, chunk in chunks for argv in chunk))
                if lengths[-1] <= SHRUNK_MAX:
                    raise Shrunk(found)
                pytest.fail(found, pytrace=False)

        with pytest.raises(Shrunk, match="quicklist"):
            same()
        pair.close()
    assert lengths[0] > SHRUNK_MAX, "the first that was found was as simple"
