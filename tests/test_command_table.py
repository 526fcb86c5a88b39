"""COMMAND and COMMAND DOCS of a running server against the reference's, for every command that both have.

What is meant to differ stands in the tables here, each with its reason; an entry that nothing needs any more is a
failure too.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.resp_client import Client
from tests.servers import Shardis
from tests.test_command_replies import _shape, plain
from tests.test_usage import reference_infos, text

Infos = dict[str, list[Any]]

OURS_ALONE: set[str] = set()
"""Commands that the reference does not have."""

INFO_FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "acl categories", "tips", "key specs")

INFO_MEANT = {
    ("swapdb", "tips"): "in Valkey each node of a cluster has its own dbs; here all shards swap in one turn",
}
"""Command and field, and why they differ."""

WITH_FIELDS = "hexpireat hpexpire hpexpireat httl hpttl hexpiretime hpexpiretime hpersist hgetex hsetex hgetdel"

DOCS_MEANT = {
    **{
        (name, "arguments"): "in the reference `numfields` has the key spec of the key, by a slip"
        for name in WITH_FIELDS.split()
    },
    **{
        (name, "arguments"): "in the reference what must be there is optional, and tokens are inside of their blocks"
        for name in ("geosearch", "geosearchstore")
    },
    **{
        (name, "arguments"): "in the reference the patterns have the second key spec, which finds no key"
        for name in ("sort", "sort_ro")
    },
    ("xtrim", "arguments"): "in the reference MAXLEN, MINID and what follows are one block more",
}
"""As INFO_MEANT, for what COMMAND DOCS tells."""


@pytest.fixture(scope="module")
def ours() -> Iterator[Client]:
    with Shardis(2, enable_debug_command="yes") as server, server.connect() as client:
        client.call("HELLO", "3")
        yield client


@pytest.fixture(scope="module")
def both(ours: Client, reference: Any) -> tuple[Infos, Infos, dict[str, Any], dict[str, Any]]:
    """What both say: COMMAND by full name, then COMMAND DOCS by full name."""
    with Client(reference.address) as theirs:
        theirs.call("HELLO", "3")
        infos = [reference_infos(text(client.call("COMMAND"))) for client in (ours, theirs)]
        docs = [dict(flat(text(client.call("COMMAND", "DOCS")))) for client in (ours, theirs)]
    return infos[0], infos[1], docs[0], docs[1]


def flat(docs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Subcommands beside their containers."""
    for name, entry in docs.items():
        yield name, entry
        yield from flat(entry.get("subcommands", {}))


def test_which_are_there(both: Any) -> None:
    mine, theirs, my_docs, their_docs = both
    assert set(mine) - set(theirs) == OURS_ALONE
    assert set(my_docs) == set(mine)


def test_info(both: Any) -> None:
    mine, theirs, *_ = both
    found = set()
    for name in mine.keys() & theirs.keys():
        for place, field in enumerate(INFO_FIELDS):
            one, other = plain(mine[name][place]), plain(theirs[name][place])
            if field in ("flags", "acl categories", "tips"):
                one, other = sorted(one), sorted(other)
            if one != other:
                found.add((name, field))
                print(name, field, one, other, sep="\n   ")
    assert found == INFO_MEANT.keys()


def test_docs(both: Any) -> None:
    *_, mine, theirs = both
    found = set()
    for name in mine.keys() & theirs.keys():
        for field in ("summary", "since", "group", "complexity"):
            if mine[name].get(field) != theirs[name].get(field):
                found.add((name, field))
                print(name, field, mine[name].get(field), theirs[name].get(field), sep="\n   ")
        shapes = [[_shape(argument) for argument in docs[name].get("arguments", [])] for docs in (mine, theirs)]
        if shapes[0] != shapes[1]:
            found.add((name, "arguments"))
            print(name, "arguments", *shapes, sep="\n   ")
    assert found == DOCS_MEANT.keys()
