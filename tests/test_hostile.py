"""Slow, greedy and hostile clients, each in small numbers: what `python -m tests.hostile --full` does in large ones.

A server must have its memory bounded, serve on, let nobody in, and log no traceback. How long others wait is judged
there and not here, for machines that run tests are busy.
"""

from collections.abc import Iterator

import pytest

from common import requests
from tests.hostile.__main__ import ATTACKS
from tests.hostile.attack import Attack, run
from tests.hostile.fuzzing import compare
from tests.hostile.neighbour import percentile
from tests.resp_client import Status
from tests.servers import Shardis
from tests.test_requests import plain_module

SHARED = [attack for attack in ATTACKS if "requirepass" not in attack.options]
ALONE = [attack for attack in ATTACKS if "requirepass" in attack.options]
LEFT_BYTES_MAX = 16 * 2**20
"""What may be left of a value of 32 MB in the router, once it is deleted."""


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(shards=2) as server:
        yield server


def attack_and_judge(attack: Attack, server: Shardis) -> None:
    result = run(attack, server, attack.small, calm_s=0.05)
    grown = result.peak.total - result.before.total
    assert grown < attack.growth_bytes_max, f"{grown / 2**20:.0f} MB: {result}"
    if attack.name == "value":
        assert result.after.router - result.before.router < LEFT_BYTES_MAX, result


@pytest.mark.parametrize("attack", SHARED, ids=lambda attack: attack.name)
def test_attack(attack: Attack, server: Shardis) -> None:
    with server.connect() as client:
        defaults = {name: client.call("CONFIG", "GET", name)[1] for name in attack.options}
        assert client.call("CONFIG", "RESETSTAT") == Status(b"OK")
        for name, value in attack.options.items():
            assert client.call("CONFIG", "SET", name, value) == Status(b"OK")
    attack_and_judge(attack, server)
    with server.connect() as client:
        for name, value in {**defaults, "tcp-keepalive": 300, "proto-max-bulk-len": "512mb"}.items():
            assert client.call("CONFIG", "SET", name, value) == Status(b"OK")


@pytest.mark.parametrize("attack", ALONE, ids=lambda attack: attack.name)
def test_attack_on_a_password(attack: Attack) -> None:
    with Shardis(shards=2, **attack.options) as server:
        attack_and_judge(attack, server)


def test_a_parser_that_differs_is_found() -> None:
    class Other(plain_module().Requests):  # type: ignore[misc]
        def feed(self, data: bytes) -> list[list[bytes]]:
            found: list[list[bytes]] = super().feed(data)
            return [argv[:2] for argv in found]

    with pytest.raises(AssertionError):
        compare(1000, 1, requests.Requests, Other)


def test_percentile() -> None:
    assert percentile([], 0.99) == 0.0
    assert percentile([float(number) for number in range(1000, 0, -1)], 0.99) == 991.0
    assert percentile([7.0], 0.99) == 7.0
