"""INFO: see router/info.py."""

from typing import TYPE_CHECKING, Any

from common.command import ALL_SHARDS, LOADING, SPECIAL, STALE
from common.resp import Verbatim
from router.commands.config import shards_that_are_up
from router.commands.table import TABLE
from router.dispatch import AskShards
from router.info import render

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")


@command(
    "INFO [section [section ...]]",
    LOADING | STALE,
    since="1.0.0",
    complexity="O(1)",
    acl="dangerous",
    fan=ALL_SHARDS,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def info(session: "Session", *sections: bytes) -> AskShards:
    """Returns information and statistics about the server."""
    names = [section.decode("utf-8", "surrogateescape").lower() for section in sections] or ["default"]
    asked = shards_that_are_up(session)

    def merge(answers: list[dict[str, Any]]) -> Verbatim:
        return Verbatim(render(session.router, asked, answers, names))

    return AskShards(["info"], merge, asked)
