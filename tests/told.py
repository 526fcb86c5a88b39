"""What a server tells its clients unasked, beside its replies: to compare two servers in it.

    ear = Events(address)           # or Invalidations(address)
    ...                             # commands, by other clients
    ear.heard()                     # what came since the last time

Keys of several shards may be told of in any order, but for each key the order is that of its changes.
"""

import re
from typing import Any

from tests.resp_client import Client, Push

TIMEOUT_S = 10.0
ROUNDS = 2
"""How often all shards are asked something before what has come is looked at: what they tell of a command may leave
after its reply, and behind the answer to a question that was under way already."""

CHANNEL = re.compile(rb"__key(space|event)@(\d+)__:(.*)", re.DOTALL)
EVERYTHING = "all keys"


class Ear:
    """A client, in RESP3, that does nothing but listen."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.client = Client(address, TIMEOUT_S)
        self.client.call("HELLO", "3")

    def close(self) -> None:
        self.client.close()

    def heard(self) -> Any:
        """What came since the last time, to be compared."""
        pushed: list[Push] = []
        for _ in range(ROUNDS):
            self.client.send("DBSIZE")
            while isinstance(value := self.client.read().value, Push):
                pushed.append(value)
        return self.meaning(pushed)

    def meaning(self, pushed: list[Push]) -> Any:
        raise NotImplementedError


class Events(Ear):
    """Hears keyspace notifications of these classes."""

    def __init__(self, address: tuple[str, int], classes: str = "KEA") -> None:
        super().__init__(address)
        self.client.call("CONFIG", "SET", "notify-keyspace-events", classes)
        self.client.call("PSUBSCRIBE", "__key*__:*")

    def close(self) -> None:
        self.client.call("CONFIG", "SET", "notify-keyspace-events", "")
        super().close()

    def meaning(self, pushed: list[Push]) -> dict[tuple[int, bytes], list[str]]:
        """The events of each db and key, in order: those of the key's own channel in capitals."""
        found: dict[tuple[int, bytes], list[str]] = {}
        for kind, _, channel, message in pushed:
            assert kind == b"pmessage", pushed
            about = CHANNEL.fullmatch(channel)
            assert about, pushed
            own = about[1] == b"space"
            key, event = (about[3], message) if own else (message, about[3])
            name = event.decode(errors="backslashreplace")
            found.setdefault((int(about[2]), key), []).append(name.upper() if own else name)
        return found


class Invalidations(Ear):
    """Hears of all keys that change, as a client that tracks them does."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self.client.call("CLIENT", "TRACKING", "ON", "BCAST")

    def meaning(self, pushed: list[Push]) -> set[bytes | str]:
        found: set[bytes | str] = set()
        for kind, keys in pushed:
            assert kind == b"invalidate", pushed
            found |= {EVERYTHING} if keys is None else set(keys)
        return found


def shown(heard: Any) -> str:
    """What was heard, in a fixed order, one line a key."""
    if isinstance(heard, dict):
        return "\n".join(f"db {db}, {key!r}: {' '.join(events)}" for (db, key), events in sorted(heard.items()))
    return "\n".join(sorted(map(repr, heard)))
