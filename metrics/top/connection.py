"""The connection of `shardis top`: a client like any other.

Rule: nothing waits for longer than TIMEOUT_S, so that a key is heard soon whatever the server does.
"""

import time
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from metrics.facts import Facts
from metrics.top.look import facts_of

TIMEOUT_S = 3.0


FOR_A_WHILE = ("LOADING", "BUSY", "MASTERDOWN", "max number of clients", "ERR max number of clients")
"""Errors that pass."""


class Refused(Exception):
    """The server will not talk to this user: trying again makes no sense."""


class Gone(Exception):
    """The server can't be reached."""


class Connection:
    """`look()` is how the server stands."""

    def __init__(self, name: str, **arguments: Any) -> None:
        """`arguments` are those of redis.Redis."""
        self.name = name
        self._client: Any = Redis(
            protocol=2,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            **arguments,
        )
        self._client.response_callbacks.clear()  # The replies as they come.

    def look(self) -> Facts:
        """Raises Gone, Refused."""
        try:
            info = self._client.execute_command("INFO", "everything")
            return facts_of(info.decode("utf-8", "replace"), self._histograms(), time.time())
        except (AuthenticationError, NoPermissionError, ResponseError) as error:
            if str(error).startswith(FOR_A_WHILE):
                raise Gone(one_line(error)) from None
            raise Refused(one_line(error)) from None
        except (RedisError, OSError, ValueError) as error:
            self._client.close()
            raise Gone(one_line(error)) from None

    def close(self) -> None:
        self._client.close()

    def _histograms(self) -> list[Any]:
        """None for a user who may not ask, and from a server that does not know them."""
        try:
            found: list[Any] = self._client.execute_command("LATENCY", "HISTOGRAM")
        except ResponseError:
            return []
        return found


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
