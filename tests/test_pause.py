"""The pause itself, without clients: test_session.py has it on a server, client_pause.session beside the reference."""

from typing import cast

import pytest

from common.command import MAY_REPLICATE, READONLY, STALE, WRITE, Flag
from common.declaration import Command, Declaration, build
from router.pause import Pause
from router.session import Session


class Client:
    """All that a pause knows of a session."""

    def __init__(self) -> None:
        self.held = False


def command(flags: Flag) -> Command:
    return build(Declaration("NAME", int(flags)))


@pytest.mark.parametrize(
    ("flags", "by_write", "by_all"),
    [(WRITE, True, True), (MAY_REPLICATE, True, True), (READONLY, False, True), (STALE, False, True)],
)
def test_what_is_stopped(flags: Flag, by_write: bool, by_all: bool) -> None:
    for all_commands, expected in ((False, by_write), (True, by_all)):
        pause, client = Pause(), Client()
        assert not pause.stops(command(flags), cast(Session, client))
        pause.begin(100, all_commands=all_commands)
        assert pause.stops(command(flags), cast(Session, client)) is expected
        assert client.held is expected
        assert len(pause.end()) == expected
        assert not pause.stops(command(flags), cast(Session, client))


def test_a_later_pause_only_adds() -> None:
    pause = Pause()
    pause.begin(100, all_commands=True)
    pause.begin(50, all_commands=False)
    assert (pause.until_ms, pause.all_commands) == (100, True)
    pause.begin(200, all_commands=False)
    assert (pause.until_ms, pause.all_commands) == (200, True)
    pause.end()
    pause.begin(50, all_commands=False)
    assert (pause.until_ms, pause.all_commands) == (50, False)


def test_who_is_held_goes_on_in_that_order() -> None:
    pause = Pause()
    pause.begin(100, all_commands=False)
    clients = [cast(Session, Client()) for _ in range(5)]
    for client in clients:
        assert pause.stops(command(WRITE), client)
    pause.forget(clients[2])
    pause.forget(cast(Session, Client()))
    assert pause.end() == [*clients[:2], *clients[3:]]
    assert pause.end() == []
    assert not pause.active
