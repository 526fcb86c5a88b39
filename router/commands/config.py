"""CONFIG: directives while the server runs. What they may be is in common/config.py."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.command import ADMIN, ALL_NODES, ALL_SUCCEEDED, LOADING, NOSCRIPT, STALE
from common.config import refusal
from common.directives import BY_NAME
from common.errors import RedisError
from common.resp import OK, Status
from router import config_rewrite
from router.commands.table import TABLE
from router.config_reload import State
from router.dispatch import AskShards, is_local
from router.link import LinkState
from router.listeners import CannotFollow, files_of_tls
from router.open_files import shortage

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

command.container(
    "CONFIG",
    "A container for server configuration commands.",
    since="2.0.0",
    help_since="5.0.0",
    help_="""
GET <pattern>
    Return parameters matching the glob-like <pattern> and their values.
SET <directive> <value>
    Set the configuration <directive> to <value>.
RESETSTAT
    Reset statistics reported by the INFO command.
REWRITE
    Rewrite the configuration file.
""",
)

USUAL = ADMIN | NOSCRIPT | LOADING | STALE


@command(
    "CONFIG GET parameter [parameter ...]",
    USUAL,
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
)
def get(session: "Session", *patterns: bytes) -> dict[bytes, bytes]:
    """Returns the effective values of configuration parameters."""
    found = session.router.config.get(pattern.decode("utf-8", "surrogateescape") for pattern in patterns)
    return {_bytes(name): _bytes(text) for name, text in found.items()}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@command(
    "CONFIG SET parameter value [parameter value ...]",
    USUAL,
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def set_(session: "Session", *words: bytes) -> AskShards:
    """Sets configuration parameters in-flight."""
    router = session.router
    config = router.config
    state = State(router)
    changed = config.set_arguments(words, is_local=is_local(session))
    try:
        names = _names(words)
        again = files_of_tls(names)
        state.take_over(changed, [name for name in names if name in changed or name in again])
    except CannotFollow as fault:
        raise refusal(fault.name, fault.reason) from None
    if short := shortage(changed.get("maxclients", 0)):
        state.take_back()
        raise refusal("maxclients", short)

    def merge(answers: list[str]) -> Status:
        for fault in filter(None, answers):
            state.take_back()  # A log that can't be turned on.
            raise RedisError(fault)
        return OK

    # In the client's batch, so that it holds for every command behind this one, on every shard. A shard that is down
    # is told when it comes back.
    return AskShards(["config", changed], merge, shards_that_are_up(session))


def _names(words: Sequence[bytes]) -> list[str]:
    """What is set, by the names that the server knows, in its order."""
    return [BY_NAME[name.decode().lower()].name for name in words[::2]]


def done(answers: list[None]) -> Status:
    return OK


def shards_that_are_up(session: "Session") -> list[int]:
    """Also those that still load."""
    return [link.index for link in session.router.links if link.state is not LinkState.DOWN]


@command("CONFIG RESETSTAT", USUAL, since="2.0.0", complexity="O(1)", fan=ALL_NODES, merge=ALL_SUCCEEDED)
def resetstat(session: "Session") -> AskShards:
    """Resets the server's statistics."""
    session.router.reset_stats()
    return AskShards(["reset_stats"], done, shards_that_are_up(session))


@command("CONFIG REWRITE", USUAL, since="2.8.0", complexity="O(1)", fan=ALL_NODES, merge=ALL_SUCCEEDED)
def rewrite(session: "Session") -> Status:
    """Persists the effective configuration to file."""
    router = session.router
    router.config.given["user"] = [] if router.config["aclfile"] else router.users.declarations()
    config_rewrite.rewrite(router.config)
    return OK
