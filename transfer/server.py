"""A server at the other end of a URL: commands in one go, replies one by one, and what INFO says of it.

    server = Server("redis://:secret@10.0.0.1:6379")
    server.call(b"PING")                            # b"PONG"
    server.send([(b"SELECT", b"0"), (b"DBSIZE",)])
    server.receive(2)                               # [b"OK", 3]: an error is a value here, of type ResponseError

Rule 1: no password in any text that is shown or written to a file: `name` is the URL without it.
Rule 2: nothing is sent twice. A connection that broke is not made anew here: what was under way may have been done.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from shard.rdb.dump import VERSION
from transfer.faults import Stopped, Usage

Command = Sequence[bytes]

CONNECT_TIMEOUT_S = 10
REPLY_TIMEOUT_S = 300
"""A server that rewrites its log, or has a value of a gigabyte to take in, may be silent for long."""
SCHEMES = ("redis://", "rediss://", "unix://")
PASSWORD_VARIABLE = "REDISCLI_AUTH"
"""The environment's, as redis-cli has it: what stands in a command line everybody can read."""
PASSWORD_HINT = f"(a password is said by redis://:PASSWORD@HOST:PORT, or by {PASSWORD_VARIABLE} in the environment)"
SECRET = re.compile(r"(?<=//)[^?]*@|(?<=[?&])password=[^&]*&?")
RDB_VERSIONS = (((7, 2), 11), ((7,), 10), ((5,), 9), ((4,), 8), ((3, 2), 7))
"""Those that Redis writes, from which version of it on. Later ones have types by numbers that mean something else to
Valkey and to a Shardis, so what is sent is what Redis 7.2 knew."""
RDB_VERSION_FIRST = 6


def is_url(text: str) -> bool:
    return text.startswith(SCHEMES)


def encoded(argv: Command) -> bytes:
    """A command as it goes over the wire."""
    return b"*%d\r\n" % len(argv) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in argv])


class Server:
    """A connection. Everything raises Stopped when the server is gone, or will not talk."""

    def __init__(self, url: str) -> None:
        self.name = SECRET.sub("", url).rstrip("?&")
        try:
            pool: Any = ConnectionPool.from_url(
                url,
                protocol=2,
                socket_connect_timeout=CONNECT_TIMEOUT_S,
                socket_timeout=REPLY_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
            if pool.connection_kwargs.get("db"):
                raise Usage(f"{self.name}: a URL names the server; which db is said by --db")
            self._connection = pool.make_connection()
        except (ValueError, TypeError) as error:
            why = "" if self.name != url else f": {error}"  # The text may have a part of the password in it.
            raise Usage(f"{self.name} is no URL of a server{why}") from None
        if not self._connect() and not pool.connection_kwargs.get("password") and os.environ.get(PASSWORD_VARIABLE):
            pool.connection_kwargs["password"] = os.environ[PASSWORD_VARIABLE]
            self._connection = pool.make_connection()
            self._connect()
        if self._refusal:
            raise Stopped(f"{self.name}: {self._refusal} {PASSWORD_HINT}")
        self.info = self._read_info()
        if self.info.get("cluster_enabled") == "1":
            raise Stopped(
                f"{self.name} is a node of a cluster, which has a part of the keys: import the RDB file of each master,"
                " with --replace from the second on"
            )

    def close(self) -> None:
        self._connection.disconnect()

    def ask(self, *argv: bytes) -> Any:
        """The reply to one command, which may be an error."""
        self.send([argv])
        return self.receive(1)[0]

    def call(self, *argv: bytes) -> Any:
        """The reply to one command.  Raises Stopped for an error, too."""
        reply = self.ask(*argv)
        if isinstance(reply, ResponseError):
            raise Stopped(f"{self.name} answers {argv[0].decode()} with: {reply}")
        return reply

    def send(self, commands: Sequence[Command]) -> None:
        """Sends them without waiting."""
        try:
            self._connection.send_packed_command([b"".join(map(encoded, commands))], check_health=False)
        except (RedisError, OSError) as error:
            raise self._gone(error) from None

    def receive(self, count: int) -> list[Any]:
        """The replies that come next: bytes, int, list, None; an error is a ResponseError among them."""
        replies: list[Any] = []
        try:
            for _ in range(count):
                try:
                    replies.append(self._connection.read_response(disable_decoding=True))
                except ResponseError as error:
                    replies.append(error)
        except (RedisError, OSError) as error:
            raise self._gone(error) from None
        return replies

    # What is known of it.

    @property
    def run_id(self) -> str:
        return self.info.get("run_id", "")

    @property
    def is_shardis(self) -> bool:
        return "shardis_shards" in self.info

    @property
    def rdb_version(self) -> int:
        """Up to which version of RDB it takes payloads."""
        valkey, redis = (_version(self.info.get(f"{name}_version", "")) for name in ("valkey", "redis"))
        if valkey >= (9,):
            return VERSION
        return next((version for since, version in RDB_VERSIONS if redis >= since), RDB_VERSION_FIRST)

    def sizes(self) -> dict[int, int]:
        """How many keys each db has that has some, now."""
        return {db: count for db, (count, _) in self.counts().items()}

    def counts(self) -> dict[int, tuple[int, int]]:
        """The same, and how many of them have a time to live."""
        found: dict[int, tuple[int, int]] = {}
        for name, value in self.section("keyspace").items():
            pairs = dict(pair.split("=", 1) for pair in value.split(",") if "=" in pair)
            if name.startswith("db") and name[2:].isdigit():
                found[int(name[2:])] = int(pairs.get("keys", "0")), int(pairs.get("expires", "0"))
        return {db: counts for db, counts in sorted(found.items()) if counts[0]}

    def section(self, name: str) -> dict[str, str]:
        """A section of INFO, now."""
        return _fields(self.call(b"INFO", name.encode()))

    def now_ms(self) -> int:
        """The server's own clock."""
        seconds, microseconds = self.call(b"TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    # Inside

    def _connect(self) -> bool:
        """Whether the server lets us in; if not, `_refusal` is why.  Raises Stopped."""
        self._refusal = ""
        try:
            self._connection.connect()
            reply = self.ask(b"PING")
        except AuthenticationError as error:
            reply = error
        except (RedisError, OSError) as error:
            raise self._gone(error) from None
        if isinstance(reply, AuthenticationError) or "NOAUTH" in str(reply):
            self._refusal = _one_line(reply)
        elif isinstance(reply, ResponseError):
            raise Stopped(f"{self.name} answers PING with: {reply}")
        return not self._refusal

    def _read_info(self) -> dict[str, str]:
        return _fields(self.call(b"INFO"))

    def _gone(self, error: Exception) -> Stopped:
        if isinstance(error, TimeoutError):
            return Stopped(f"{self.name} does not answer: {error}")
        what = "is gone or can't be reached" if isinstance(error, ConnectionError | OSError) else "fails"
        return Stopped(f"{self.name} {what}: {_one_line(error)}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _fields(text: bytes) -> dict[str, str]:
    lines = text.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
