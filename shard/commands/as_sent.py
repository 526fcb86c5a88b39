"""Errors that repeat the command's name as the client sent it, which a handler does not see."""

from common.command import quoted
from common.errors import RedisError

NAME = "{name}"


class AsSent(RedisError):
    """Has NAME in its text, which `execute` replaces; of a subcommand it is the last word of the name."""

    def told(self, word: bytes) -> RedisError:
        """The error of a call whose name ends with `word`."""
        return RedisError(str(self).replace(NAME, quoted(word)))


def unknown_or_arity(container: str) -> AsSent:
    """What a subcommand of the `container` says that looks at its own words."""
    return AsSent(f"ERR unknown subcommand or wrong number of arguments for '{NAME}'. Try {container} HELP.")
