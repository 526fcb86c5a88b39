"""Edits of quicklists against the reference: after each of random commands both have cut and joined the nodes alike."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from common.errors import RedisError
from shard.commands.list_edits import linsert, lrem, lset, ltrim
from shard.commands.list_moves import lmove
from shard.commands.list_pops import lpop, rpop
from shard.commands.lists import lpush, rpush
from shard.keyspace import Keyspace, Store
from shard.values.list import RIGHT, List, nodes_of
from shard.values.quicklist import SHELF_NODES_MAX
from tests.resp_client import Client

STEPS = 800
HANDLERS: dict[str, Callable[..., Any]] = {
    "LPUSH": lpush,
    "RPUSH": rpush,
    "LPOP": lpop,
    "RPOP": rpop,
    "LINSERT": linsert,
    "LSET": lset,
    "LREM": lrem,
    "LTRIM": ltrim,
    "LMOVE": lmove,
}
KEY = b"l"


class Commands:
    """Random ones, on a list that grows and shrinks again."""

    def __init__(self, random: Random, sizes: list[int]) -> None:
        self.random = random
        self.sizes = sizes

    def text(self) -> bytes:
        if self.random.random() < 0.3:
            return b"%d" % self.random.choice((5, 1000, -(2**40)))
        return self.random.choice((b"a", b"b")) * self.random.choice(self.sizes)

    def draw(self, count: int) -> tuple[str, list[bytes]]:
        choice = self.random.choice
        growing = self.random.random() < (0.7 if count < 40 else 0.3)
        if growing:
            return choice((self.push, self.push, self.insert, self.set))(count)
        return choice((self.pop, self.pop, self.remove, self.trim, self.move, self.set))(count)

    def push(self, count: int) -> tuple[str, list[bytes]]:
        texts = [self.text() for _ in range(self.random.choice((1, 2, 7)))]
        return self.random.choice(("LPUSH", "RPUSH")), texts

    def insert(self, count: int) -> tuple[str, list[bytes]]:
        return "LINSERT", [self.random.choice((b"BEFORE", b"AFTER")), self.text(), self.text()]

    def set(self, count: int) -> tuple[str, list[bytes]]:
        return "LSET", [b"%d" % self.random.randrange(-count, count + 1), self.text()]

    def pop(self, count: int) -> tuple[str, list[bytes]]:
        return self.random.choice(("LPOP", "RPOP")), [b"%d" % self.random.choice((1, 1, 2, 5))]

    def remove(self, count: int) -> tuple[str, list[bytes]]:
        return "LREM", [b"%d" % self.random.choice((0, 1, -1, 2, -2)), self.text()]

    def trim(self, count: int) -> tuple[str, list[bytes]]:
        return "LTRIM", [b"%d" % self.random.choice((0, 1, 3)), b"%d" % self.random.choice((-1, -2, -4, 20))]

    def move(self, count: int) -> tuple[str, list[bytes]]:
        return "LMOVE", [KEY, *self.random.choices((b"LEFT", b"RIGHT"), k=2)]


@pytest.mark.parametrize(("fill", "sizes"), [(4, [1, 9000]), (1, [1]), (8, [1, 10]), (-1, [500, 1000, 63, 5000, 1])])
def test_nodes_are_those_of_the_reference(reference_client: Client, fill: int, sizes: list[int]) -> None:
    reference_client.call("CONFIG", "SET", "list-max-listpack-size", fill)
    try:
        _run(reference_client, Store(config={"list-max-listpack-size": fill}).dbs[0], Commands(Random(fill), sizes))
    finally:
        reference_client.call("CONFIG", "SET", "list-max-listpack-size", -2)


def _run(client: Client, db: Keyspace, commands: Commands) -> None:
    for step in range(STEPS):
        count = len(db.peek(KEY) or ())
        name, words = commands.draw(count)
        try:
            HANDLERS[name](db, KEY, *words)
        except RedisError as error:
            assert client.call(name, KEY, *words) == str(error).encode() or name == "LSET", step
        else:
            client.call(name, KEY, *words)
        value = db.peek(KEY)
        if value is not None:
            value._check()
        assert _shape(client, KEY) == (None if value is None else _shape_of(value)), (step, name, words)
    assert client.call("LRANGE", KEY, 0, -1) == list(db.peek(KEY) or ())


def _shape(client: Client, key: bytes) -> tuple[bytes, int, int] | None:
    """Encoding, number of nodes, and bytes in them."""
    encoding = client.call("OBJECT", "ENCODING", key)
    if encoding != b"quicklist":
        return None if encoding is None else (encoding, 1, 0)
    told = client.call("DEBUG", "OBJECT", key)
    nodes, size_bytes = re.findall(rb"(?:ql_nodes|ql_uncompressed_size):(\d+)", told)
    return encoding, int(nodes), int(size_bytes)


def _shape_of(value: List) -> tuple[bytes, int, int]:
    if value.many is None:
        return b"listpack", 1, 0
    nodes = nodes_of(value)
    return b"quicklist", len(nodes), sum(map(len, nodes))


def test_a_shelf_that_grew_in_its_midst_is_cut() -> None:
    list_ = List()
    list_.push([b"a", b"z"], RIGHT, 1)
    for _ in range(3 * SHELF_NODES_MAX):
        assert list_.insert(b"z", b"b", after=False)
        list_._check()
    assert list_.many is not None and len(list_.many.shelves) > 1
    assert list(list_) == [b"a", *[b"b"] * 3 * SHELF_NODES_MAX, b"z"]
