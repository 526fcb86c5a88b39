"""What a declaration can say of a command beside its usage line: flags, policies, plans, ACL categories."""

import enum


class Flag(enum.IntFlag):
    """A command's flags, in the order in which COMMAND INFO prints them."""

    WRITE = enum.auto()
    READONLY = enum.auto()
    DENYOOM = enum.auto()
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()
    LOADING = enum.auto()
    STALE = enum.auto()
    SKIP_MONITOR = enum.auto()
    SKIP_COMMANDLOG = enum.auto()
    ASKING = enum.auto()
    FAST = enum.auto()
    NO_AUTH = enum.auto()
    NO_MANDATORY_KEYS = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    NO_MULTI = enum.auto()
    MOVABLEKEYS = enum.auto()
    ALLOW_BUSY = enum.auto()
    MAY_REPLICATE = enum.auto()
    SENTINEL = enum.auto()
    ONLY_SENTINEL = enum.auto()
    PROTECTED = enum.auto()
    AT_ONCE = enum.auto()
    """Is not queued between MULTI and EXEC."""
    SKIP_SLOWLOG = SKIP_COMMANDLOG


WRITE = Flag.WRITE
READONLY = Flag.READONLY
DENYOOM = Flag.DENYOOM
ADMIN = Flag.ADMIN
PUBSUB = Flag.PUBSUB
NOSCRIPT = Flag.NOSCRIPT
BLOCKING = Flag.BLOCKING
LOADING = Flag.LOADING
STALE = Flag.STALE
SKIP_MONITOR = Flag.SKIP_MONITOR
SKIP_COMMANDLOG = SKIP_SLOWLOG = Flag.SKIP_COMMANDLOG
ASKING = Flag.ASKING
FAST = Flag.FAST
NO_AUTH = Flag.NO_AUTH
NO_MANDATORY_KEYS = Flag.NO_MANDATORY_KEYS
NO_ASYNC_LOADING = Flag.NO_ASYNC_LOADING
NO_MULTI = Flag.NO_MULTI
MOVABLEKEYS = Flag.MOVABLEKEYS
ALLOW_BUSY = Flag.ALLOW_BUSY
MAY_REPLICATE = Flag.MAY_REPLICATE
SENTINEL = Flag.SENTINEL
ONLY_SENTINEL = Flag.ONLY_SENTINEL
PROTECTED = Flag.PROTECTED
AT_ONCE = Flag.AT_ONCE

HIDDEN = MAY_REPLICATE | SENTINEL | ONLY_SENTINEL | PROTECTED | AT_ONCE
"""Flags that COMMAND INFO does not print."""


def flag_names(flags: Flag) -> list[str]:
    """As COMMAND INFO prints them: ["write", "denyoom"]."""
    return [str(flag.name).lower() for flag in Flag if flag & flags and not flag & HIDDEN]


class Fan(enum.StrEnum):
    """Where a command goes: COMMAND INFO's request_policy."""

    MULTI_SHARD = "multi_shard"
    ALL_SHARDS = "all_shards"
    ALL_NODES = "all_nodes"
    SPECIAL = "special"


class Merge(enum.StrEnum):
    """How the replies of a command's parts become one: COMMAND INFO's response_policy."""

    ALL_SUCCEEDED = "all_succeeded"
    ONE_SUCCEEDED = "one_succeeded"
    AGG_SUM = "agg_sum"
    AGG_MIN = "agg_min"
    AGG_MAX = "agg_max"
    AGG_LOGICAL_AND = "agg_logical_and"
    AGG_LOGICAL_OR = "agg_logical_or"
    SPECIAL = "special"


MULTI_SHARD = Fan.MULTI_SHARD
ALL_SHARDS = Fan.ALL_SHARDS
ALL_NODES = Fan.ALL_NODES
SPECIAL_FAN = Fan.SPECIAL
ALL_SUCCEEDED = Merge.ALL_SUCCEEDED
ONE_SUCCEEDED = Merge.ONE_SUCCEEDED
AGG_SUM = Merge.AGG_SUM
AGG_MIN = Merge.AGG_MIN
AGG_MAX = Merge.AGG_MAX
AGG_LOGICAL_AND = Merge.AGG_LOGICAL_AND
AGG_LOGICAL_OR = Merge.AGG_LOGICAL_OR
SPECIAL = Merge.SPECIAL


class Plan(enum.Enum):
    """What the router does with a command."""

    __hash__ = object.__hash__
    """Enum's own is written in Python, and a look-up by plan is on the way of every unusual command."""

    ROUTER = "router"
    """Runs it itself."""
    ONE = "one"
    """Forwards it to the shard of its key, or to any if it has none; the reply passes through unread."""
    SPLIT = "split"
    """Cuts it at the usage line's repeat and joins the replies."""
    EVERY = "every"
    """Sends it to all shards and joins the replies."""
    BORROW = "borrow"
    """As ONE if all its keys are on one shard; else the home shard borrows the other keys."""


CATEGORIES = """
    keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking
    dangerous connection transaction scripting
""".split()  # noqa: SIM905  A list literal would take twenty lines.
"""The ACL categories in the order in which COMMAND INFO and ACL CAT print them."""

CATEGORY_OF_GROUP = {
    "generic": "keyspace",
    "sorted-set": "sortedset",
    "transactions": "transaction",
    "server": "",
    "cluster": "",
}
"""The category of a group where it isn't just the group's name."""

IMPLIED = (
    (WRITE, "write"),
    (READONLY, "read"),
    (ADMIN, "admin"),
    (ADMIN, "dangerous"),
    (PUBSUB, "pubsub"),
    (FAST, "fast"),
    (BLOCKING, "blocking"),
)


def categories(flags: Flag, group: str, stated: str) -> list[str]:
    """A command's ACL categories, without the "@". `stated` adds some, or takes one away: "dangerous -keyspace"."""
    found = {CATEGORY_OF_GROUP.get(group, group), *(name for flag, name in IMPLIED if flags & flag)}
    if not flags & FAST:
        found.add("slow")
    if group == "scripting":
        found.discard("read")
    for word in stated.replace("@", "").split():
        if word[0] == "-":
            found.discard(word[1:])
        else:
            found.add(word)
    return [category for category in CATEGORIES if category in found]
