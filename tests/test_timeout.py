"""The directive `timeout`: who is closed, and how many at once. test_client_limits.py has it on a server."""

import pytest

from router.timeout import CLOSED_MAX
from tests.bare_router import BareRouter, ClientEnd, on_a_loop

SILENT_MS = 2000


def silent(bare: BareRouter, count: int) -> list[ClientEnd]:
    """Clients that were silent for so long."""
    clients = [bare.connect() for _ in range(count)]
    for client in clients:
        client.session.active_ms -= SILENT_MS
    return clients


def look(bare: BareRouter) -> None:
    """A turn comes: the first, or the next."""
    timeout = bare.router.timeout
    assert timeout.timer is not None
    timeout.timer.cancel()
    if timeout.left:
        timeout._turn()
    else:
        timeout._begin()


def set_timeout(bare: BareRouter, seconds: int) -> None:
    bare.router.config.update({"timeout": seconds})
    bare.router.configure()


@pytest.mark.parametrize("over", [0, 1])
def test_so_many_are_closed_in_a_turn(over: int) -> None:
    async def scene() -> None:
        bare = BareRouter()
        clients = silent(bare, CLOSED_MAX + over)
        set_timeout(bare, 1)
        assert [client.closed for client in clients] == [True] * CLOSED_MAX + [False] * over
        if over:
            look(bare)
        assert all(client.closed for client in clients)
        assert not bare.router.timeout.left

    on_a_loop(scene)


def test_who_spoke_before_its_turn_stays() -> None:
    async def scene() -> None:
        bare = BareRouter()
        clients = silent(bare, CLOSED_MAX + 2)
        set_timeout(bare, 1)
        clients[-1].send([b"PING"])
        look(bare)
        assert [client.closed for client in clients] == [True] * (CLOSED_MAX + 1) + [False]

    on_a_loop(scene)


def test_who_waits_for_something_stays() -> None:
    async def scene() -> None:
        bare = BareRouter()
        calls = [[b"MONITOR"], [b"SUBSCRIBE", b"a"], [b"BLPOP", bare.key_of(0), b"0"], [b"GET", bare.key_of(1)]]
        clients = [bare.connect() for _ in calls]
        for client, call in zip(clients, calls, strict=True):
            client.send(call)
            client.session.active_ms -= SILENT_MS
        other = silent(bare, 1)[0]
        set_timeout(bare, 1)
        assert not any(client.closed for client in clients)
        assert other.closed

    on_a_loop(scene)


def test_looking_ends_with_the_directive_and_begins_again() -> None:
    async def scene() -> None:
        bare = BareRouter()
        timeout = bare.router.timeout
        assert timeout.timer is None
        silent(bare, CLOSED_MAX + 1)
        set_timeout(bare, 1)
        assert timeout.left and timeout.timer is not None
        set_timeout(bare, 0)
        look(bare)
        assert (list(timeout.left), timeout.timer, len(bare.router.sessions)) == ([], None, 1)
        set_timeout(bare, 3)
        assert timeout.timer is not None and len(bare.router.sessions) == 1
        set_timeout(bare, 1)
        look(bare)
        assert not bare.router.sessions

    on_a_loop(scene)
