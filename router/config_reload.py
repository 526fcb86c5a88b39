"""SIGHUP: the configuration file is read again, and what CONFIG SET could change of it holds from then on.

Rule 1: the file goes before what CONFIG SET has set; a directive that is no longer in it has its default again; what it
        never named stays as it is.
Rule 2: a file with a fault changes nothing, nor does one that a shard can't follow. What only a start can change is
        named in the log.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from common.config import Config, ConfigError
from common.directives import BY_NAME
from common.errors import RedisError
from router.link import LinkState
from router.listeners import CannotFollow, files_of_tls
from router.open_files import fit

if TYPE_CHECKING:
    from router.server import Router

logger = logging.getLogger("shardis")


class State:
    """The configuration of a router as it is when this is made, which is what it goes back to if a shard refuses."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.values = dict(router.config.values)
        self.changed = set(router.config.changed)
        self.default = router.users.default.copy()
        self.names: Collection[str] = ()

    def take_over(self, changed: dict[str, Any], again: Sequence[str] = ()) -> None:
        """Has the router go by what the configuration says of these by now; `again` are those whose files are read anew
        even if nothing has changed.  Raises CannotFollow, and then all is as before.
        """
        self.names = changed
        try:
            self.router.listeners.follow(list(dict.fromkeys([*again, *changed])))
        except CannotFollow:
            self._restore()
            raise
        self.router.configure()
        if "requirepass" in changed:
            self.router.users.set_default_password(changed["requirepass"])

    def take_back(self) -> None:
        """Has everybody go on with the values from before: all or nothing, also where it takes a shard to tell."""
        router, before = self.router, self._restore()
        try:
            router.listeners.follow(list(before))
        except CannotFollow as fault:
            logger.warning("%s", fault)
        router.configure()
        if "requirepass" in before:
            router.users.restore_default(self.default)
        for link in router.links:
            if link.state is not LinkState.DOWN:
                link.tell(["config", before])

    def _restore(self) -> dict[str, Any]:
        before = {name: self.values[name] for name in self.names}
        self.router.config.values.update(before)
        self.router.config.changed = self.changed
        return before

    def is_left(self) -> bool:
        """Whether there is something to take back."""
        return any(self.router.config.values[name] != self.values[name] for name in self.names)


def reload(router: "Router", argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Takes over what `[FILE] [--name value ...]` and the environment say by now."""
    if router.stopping:
        return  # It has closed its listeners, and would open them again.
    try:
        fresh = Config.from_arguments(argv, environ=environ)
    except ConfigError as error:
        logger.warning("the configuration is not reloaded: %s", error)
        return
    config, state = router.config, State(router)
    new = config.differing(fresh)
    config.given = fresh.given
    fixed = sorted(name for name in new if BY_NAME[name].refusal or name in router.listeners.fixed)
    if fixed:
        logger.warning("only a restart changes these directives: %s", ", ".join(fixed))
    changed = {name: value for name, value in new.items() if name not in fixed}
    config.update(changed)
    fit(config)
    try:
        state.take_over(changed, [*changed, *files_of_tls(config.given)])
    except CannotFollow as fault:
        logger.warning("the configuration is not reloaded: %s", fault)
        return
    logger.info("the configuration is reloaded: %s", ", ".join(sorted(changed)) or "nothing has changed")
    for link in router.links if changed else ():
        if link.state is not LinkState.DOWN:  # One that is down is told when it comes back.
            link.tell(["config", changed], partial(_heard, state))


def _heard(state: State, answer: str | RedisError) -> None:
    """The answer of a shard: why it can't do it, or nothing. One that died meanwhile is told when it comes back."""
    if answer and isinstance(answer, str) and state.is_left():
        logger.warning("the configuration is not reloaded: %s", answer)
        state.take_back()
