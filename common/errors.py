"""Errors, as clients read them.

RedisError is a client's mistake: its text is the exact error line, without the leading "-". It is raised anywhere below
`execute` or `dispatch` and turned into a reply there and only there. ProtocolError is a peer that breaks the protocol:
that connection is closed. Any other exception is a bug of ours.
"""


class RedisError(Exception):
    """A client's mistake. `str(error)` is the error line of the reply: "ERR syntax error"."""

    text = "ERR"

    def __init__(self, text: str | None = None) -> None:
        super().__init__(self.text if text is None else text)


class ProtocolError(Exception):
    """Bytes that are not the protocol. Its text follows "-ERR Protocol error: ", then the connection is closed."""


class SyntaxFault(RedisError):
    text = "ERR syntax error"


class WrongType(RedisError):
    text = "WRONGTYPE Operation against a key holding the wrong kind of value"


class NotAnInteger(RedisError):
    text = "ERR value is not an integer or out of range"


class NotAFloat(RedisError):
    text = "ERR value is not a valid float"


class NoSuchKey(RedisError):
    text = "ERR no such key"


class OutOfRange(RedisError):
    text = "ERR index out of range"


class Loading(RedisError):
    text = "LOADING Valkey is loading the dataset in memory"


class OutcomeUnknown(RedisError):
    """A shard may have done a command or not."""


def done_in_part(error: RedisError) -> RedisError:
    """`error` of one shard, as a client is told it whose command others have done."""
    return RedisError(f"{error}; other shards have done their part of this command")


def shown(word: bytes) -> str:
    """A client's word as an error text repeats it. Valkey formats it as a C string: nothing from a zero byte on."""
    return word.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def wrong_arity(name: str) -> RedisError:
    """`name` in lower case, "client|kill" for a subcommand."""
    return RedisError(f"ERR wrong number of arguments for '{name}' command")
