"""The end of the server: by SHUTDOWN, or by SIGTERM and SIGINT, which mean the same. See also deploy/supervisor.py.

Rule 1: nothing is begun once the last file is being saved, so that the file has all that was answered.
Rule 2: if it can't be saved, the server goes on, as Redis does: unless it is told to end all the same (FORCE).
"""

import logging
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from router.link import LinkState
from router.saving import SAVE_LAST, Kind, Save

if TYPE_CHECKING:
    from router.server import Router

logger = logging.getLogger("shardis")

PARENT = os.getppid()
WAIT, STAY = signal.SIGUSR1, signal.SIGUSR2
"""What the supervisor is told: that stopping takes as long as it takes, and that it came to nothing."""
CANNOT = "ERR Errors trying to SHUTDOWN. Check logs."


def needs_save(router: "Router", words: set[str]) -> bool:
    """Whether a file is saved first. `words` are those of SHUTDOWN, in small letters. What is still loading is not
    saved: it is on disk."""
    if "nosave" in words or any(link.state in (LinkState.LOADING, LinkState.LOADED) for link in router.links):
        return False
    return "save" in words or bool(router.config["save"])


def shut_down(router: "Router", words: set[str], then: Callable[[bool], None]) -> None:
    """Saves a file and stops. `then` hears whether it stops."""

    def over(save: Save) -> None:
        if save.error and "force" not in words:
            logger.warning("the last file can't be saved: the server is not stopped")
            then(False)
            router.open()
            return
        then(True)
        router.stop()

    logger.info("saving the last file before the end")
    router.known = False
    router.saving.give_up()
    router.saving.begin_alone(Kind.SHUTDOWN, SAVE_LAST, over)


def signalled(router: "Router", name: str) -> None:
    """SIGTERM or SIGINT has come: `name` in small letters."""
    words = set(router.config[f"shutdown-on-{name}"].split())
    # One more while the last file is being saved means that there is no time for it.
    if router.stopping or not router.known or not needs_save(router, words):
        router.stop()
    else:
        tell_supervisor(router, WAIT)
        shut_down(router, words, lambda done: None if done else tell_supervisor(router, STAY))


def tell_supervisor(router: "Router", number: int) -> None:
    """Tells the supervisor what becomes of its order to stop. What systemd hears of it is in service.py."""
    if router.config["supervisor-fd"] >= 0 and os.getppid() == PARENT:
        os.kill(PARENT, number)
