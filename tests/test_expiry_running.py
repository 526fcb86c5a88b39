"""Keys that nobody reads go by themselves, soon after their time, and others are served meanwhile.

What is asserted has room for a busy machine; the real figures are printed (pytest -s).
"""

import time
from collections.abc import Callable
from random import Random

import pytest

from tests.resp_client import Client
from tests.servers import Shardis

KEYS = 100_000
BATCH = 2_000
SPREADS_MS = {"spread": 2_000, "all at once": 0}
CEILING_S = 20.0
"""For what should be there within 0.1 s."""
STALL_S = 2.0
"""For what should be a few ms."""


def info(client: Client, field: str) -> int:
    line = next(line for line in client.call("INFO").split(b"\r\n") if line.startswith(field.encode() + b":"))
    return int(line.split(b":")[1])


def fill_ms(client: Client) -> int:
    """How long `fill` takes, by a tenth of it."""
    began_s = time.perf_counter()
    fill(client, [int(time.time() * 1000) + 1_000_000] * (KEYS // 10))
    client.call("FLUSHALL")
    return int((time.perf_counter() - began_s) * 10_000)


def fill(client: Client, times_ms: list[int]) -> None:
    for start in range(0, len(times_ms), BATCH):
        batch = times_ms[start : start + BATCH]
        lines = [b"SET session:%d x PXAT %d\r\n" % (start + at, time_ms) for at, time_ms in enumerate(batch)]
        client.send_bytes(b"".join(lines))
        replies = b""
        while len(replies) < len(b"+OK\r\n") * len(batch):  # As bytes: a Reply for each would be what takes long.
            replies += client.socket.recv(1 << 16)
        assert replies == b"+OK\r\n" * len(batch)


@pytest.mark.parametrize("spread_ms", SPREADS_MS.values(), ids=SPREADS_MS)
def test_unread_keys_go(start: Callable[[Shardis], Shardis], spread_ms: int) -> None:
    server = start(Shardis(shards=2, latency_monitor_threshold=1))
    random = Random(1)
    with server.connect() as client:
        # Far enough off that all are written before the first is due, however slow the machine is.
        lead_ms = 500 + 2 * fill_ms(client)
        began_ms = int(time.time() * 1000) + lead_ms
        times_ms = sorted(began_ms + random.randrange(spread_ms + 1) for _ in range(KEYS))
        fill(client, times_ms)
        assert client.call("DBSIZE") == KEYS
        assert int(time.time() * 1000) < times_ms[0], "the machine is too busy for this test"
        for _ in range(20):
            client.call("SET", f"kept:{random.random()}", "1")
        kept = client.call("DBSIZE") - KEYS
        client.call("LATENCY", "RESET")
        time.sleep(max(0.0, times_ms[0] / 1000 - time.time() - 0.1))
        late_ms, slowest_s = watch(client, times_ms, kept)
        assert client.call("DBSIZE") == kept
        assert info(client, "expired_keys") == KEYS
        stalls = {event[0]: event[3] for event in client.call("LATENCY", "LATEST")}
        print(
            f"\n{KEYS} unread keys over {spread_ms} ms: gone at most {late_ms:.0f} ms late, slowest answer"
            f" {slowest_s * 1000:.1f} ms, longest slice {stalls.get(b'expire-cycle', 0)} ms, longest write to the log"
            f" {stalls.get(b'aof-write', 0)} ms"
        )
        assert slowest_s < STALL_S
        assert late_ms < CEILING_S * 1000
        # A log that is read again brings none of them back.
        server.stop()
        server.launch()
        server.wait_ready()
    with server.connect() as client:
        assert client.call("DBSIZE") == kept


def watch(client: Client, times_ms: list[int], kept: int) -> tuple[float, float]:
    """Looks until all are gone: how many ms a key was late at most, and how many seconds the slowest answer took."""
    late_ms = slowest_s = 0.0
    deadline_s = times_ms[-1] / 1000 + CEILING_S
    number = 0
    while True:
        # DBSIZE asks all shards, and counts without looking at any key's time.
        asked_s = time.perf_counter()
        asked_ms = time.time() * 1000
        left = client.call("DBSIZE") - kept
        slowest_s = max(slowest_s, time.perf_counter() - asked_s)
        if left:
            late_ms = max(late_ms, asked_ms - times_ms[KEYS - left])
        else:
            return late_ms, slowest_s
        assert time.time() < deadline_s, f"{left} keys are still there"
        number += 1
        client.call("SET", f"busy:{number % 100}", number)
        client.call("DEL", f"busy:{number % 100}")
        time.sleep(0.002)
