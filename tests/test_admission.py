"""Who may connect. That a full server refuses is in test_session.py, on real servers."""

import pytest

from router.admission import PROTECTED
from tests.bare_router import BareRouter, on_a_loop

HERE = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
ELSEWHERE = ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"]


@pytest.mark.parametrize("address", HERE + ELSEWHERE)
@pytest.mark.parametrize(
    ("options", "open_to_all"),
    [((), False), (("--protected-mode", "no"), True), (("--requirepass", "secret"), True)],
)
def test_without_a_password_only_this_machine_is_served(
    options: tuple[str, ...], open_to_all: bool, address: str
) -> None:
    async def scene() -> None:
        bare = BareRouter(1, *options)
        client = bare.connect(address)
        welcome = open_to_all or address in HERE
        assert client.closed != welcome
        assert client.take() == (b"" if welcome else PROTECTED)
        assert (len(bare.router.sessions), bare.router.stats.rejected_connections) == (welcome, not welcome)

    on_a_loop(scene)


def test_protected_mode_can_be_ended_while_it_runs() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        client.send([b"CONFIG", b"SET", b"protected-mode", b"no"])
        await bare.settle()
        assert client.take() == b"+OK\r\n"
        assert not bare.connect(ELSEWHERE[0]).closed

    on_a_loop(scene)
