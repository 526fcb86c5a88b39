"""Usage lines: trees, arity and key positions, also of every command of the reference."""

from collections.abc import Iterator
from typing import Any

import pytest

from common.declaration import Declaration, build
from common.flags import Flag
from common.usage import Argument, every, kind_of, parse_usage
from tests.resp_client import Client, Map


def sketch(argument: Argument) -> str:
    """An argument on one line: its kind, "?" for optional, "+" for multiple, "!" if its token comes each time."""
    marks = "?" * argument.optional + "+" * argument.multiple + "!" * argument.multiple_token
    inner = f"({' '.join(map(sketch, argument.arguments))})" if argument.arguments else ""
    token = f"{argument.token}:" if argument.token and argument.kind != "pure-token" else ""
    word = argument.token if argument.kind == "pure-token" else argument.name
    return f"{token}{argument.kind if inner else word}{marks}{inner}"


TREES = {
    "PING [message]": "message?",
    "GETRANGE key start end": "key start end",
    "MSET key value [key value ...]": "block+(key value)",
    "BLPOP key [key ...] timeout": "key+ timeout",
    "SET key value [NX | XX] [GET] [EX seconds | KEEPTTL]": "key value oneof?(NX XX) GET? oneof?(EX:seconds KEEPTTL)",
    "SORT key [LIMIT offset count] [GET pattern [GET pattern ...]]": "key LIMIT:block?(offset count) GET:pattern?+!",
    "EVAL script numkeys [key [key ...]] [arg [arg ...]]": "script numkeys key?+ arg?+",
    "XREAD [COUNT count] STREAMS key [key ...] id [id ...]": "COUNT:count? STREAMS:block(key+ id+)",
    "ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN>]": (
        "numkeys key+ WEIGHTS:weight?+ AGGREGATE:oneof?(SUM MIN)"
    ),
    "XADD key [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]": (
        "key block?(oneof(MAXLEN MINID) oneof?(= ~) threshold LIMIT:count?) oneof(* id) block+(field value)"
    ),
    "BITFIELD key [GET encoding offset | SET encoding value [GET encoding offset | SET encoding value ...]]": (
        "key oneof?+(GET:block(encoding offset) SET:block(encoding value))"
    ),
    "FOO a BAR <BAZ b>": "a BAR:block(BAZ:b)",
    "REPLICAOF <host port | NO ONE>": "oneof(block(host port) block(NO ONE))",
    "GEOPOS key [COUNT count [ANY]] [FULL [LIMIT limit]]": "key block?(COUNT:count ANY?) block?(FULL LIMIT:limit?)",
    'MIGRATE host port <key | ""> destination-db': 'host port oneof(key "") destination-db',
    "CLIENT KILL <ip:port | <[ID client-id] | [USER username] ...>>": (
        "oneof(ip:port oneof+(ID:client-id? USER:username?))"
    ),
}


@pytest.mark.parametrize("line", TREES)
def test_tree(line: str) -> None:
    assert " ".join(map(sketch, parse_usage(line).arguments)) == TREES[line]


NAMES_AND_ARITIES = {
    "DBSIZE": ("dbsize", 1),
    "GET key": ("get", 2),
    "PING [message]": ("ping", -1),
    "MSET key value [key value ...]": ("mset", -3),
    "CLIENT KILL ip:port": ("client|kill", 3),
    "CLIENT NO-EVICT <ON | OFF>": ("client|no-evict", 3),
    "REPLICAOF <host port | NO ONE>": ("replicaof", 3),
    "XREAD [COUNT count] STREAMS key [key ...] id [id ...]": ("xread", -4),
    "GEOSEARCH key <BYRADIUS radius <M | KM> | BYBOX width height <M | KM>>": ("geosearch", -5),
}


@pytest.mark.parametrize("line", NAMES_AND_ARITIES)
def test_name_and_arity(line: str) -> None:
    usage = parse_usage(line)
    assert (usage.name, usage.arity) == NAMES_AND_ARITIES[line]


def test_a_stated_name_ends_where_it_says() -> None:
    line = "XREADGROUP GROUP group consumer STREAMS key [key ...] id [id ...]"
    assert parse_usage(line).name == "xreadgroup|group"
    assert parse_usage(line, "xreadgroup").name == "xreadgroup"


@pytest.mark.parametrize(
    "line", ["", "get key", "GET [key", "GET key]", "GET <key]", "GET key | value", "[GET key]", "GET []", "GET k ..."]
)
def test_a_line_that_cannot_be_read(line: str) -> None:
    with pytest.raises(ValueError):
        parse_usage(line)


def test_every_visits_parents_first() -> None:
    usage = parse_usage("SET key value [EX seconds | KEEPTTL]")
    assert [argument.name for argument in every(usage.arguments)] == ["key", "value", "seconds", "seconds", "keepttl"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("key", "key"), ("numkeys", "integer"), ("score", "double"), ("pattern", "pattern"), ("value", "string")]
    + [("unix-time-seconds", "unix-time")],
)
def test_kind_of(name: str, kind: str) -> None:
    assert kind_of(name) == kind


# The reference's own commands, their usage lines drawn from COMMAND DOCS as redis.io draws them.


def text(reply: Any) -> Any:
    """A reply with str for bytes and dict for maps."""
    if isinstance(reply, Map):
        return {text(key): text(value) for key, value in reply}
    if isinstance(reply, bytes):
        return reply.decode()
    return [text(item) for item in reply] if isinstance(reply, list) else reply


def draw(argument: dict[str, Any]) -> str:
    """An argument of COMMAND DOCS as a usage line has it."""
    kind = argument["type"]
    flags = argument.get("flags", [])
    optional = "optional" in flags
    if kind == "pure-token":
        return _around(argument["token"] or '""', optional)
    token = '""' if argument.get("token") == "" else argument.get("token", "")
    body = argument.get("display_text", "")
    if kind == "block":
        body = " ".join(map(draw, argument["arguments"]))
    elif kind == "oneof":
        body = " | ".join(map(draw, argument["arguments"]))
        body = f"<{body}>" if token or not optional else body
    head = f"{token} {body}".strip()
    if "multiple" in flags:
        head += f" [{head if 'multiple_token' in flags else body} ...]"
    return _around(head, optional)


def _around(body: str, optional: bool) -> str:
    return f"[{body}]" if optional else body


def reference_lines(docs: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, usage line, docs) of each command and subcommand."""
    for name, entry in docs.items():
        line = " ".join([name.upper().replace("|", " "), *map(draw, entry.get("arguments", []))])
        yield name, line, entry
        yield from reference_lines(entry.get("subcommands", {}))


def reference_infos(infos: list[Any]) -> dict[str, list[Any]]:
    """COMMAND INFO by name, with the subcommands."""
    found = {}
    for info in infos:
        found[info[0]] = info
        found.update(reference_infos(info[9]))
    return found


ARITY_BY_HAND = {
    "geosearch": "-7 stated, but the tree lets FROMMEMBER and FROMLONLAT be left out for BYPOLYGON",
    "geosearchstore": "-8 stated, as geosearch",
    "client|kill": "a filter has two words, but the tree lets each be left out",
    "cluster|migrateslots": "one range is enough for the stated arity, a node is not asked for",
    "cluster|syncslots": "its arguments are not in the tree",
    "replconf": "its arguments are not in the tree",
    "debug": "its subcommands are not in the tree",
    "psync": "-3 stated, for a use that the tree does not have",
    "quit": "-1 stated: arguments are ignored",
}

KEYS_BY_HAND = {
    "clusterscan": "its cursor is marked as a key that is none",
    "cluster|keyslot": "its key is only a text",
    "pubsub|shardnumsub": "its channels have no key spec",
}


def test_every_command_of_the_reference(reference_client: Client) -> None:
    reference_client.call("HELLO", "3")
    infos = reference_infos(text(reference_client.call("COMMAND")))
    counted = compared = 0
    for name, line, entry in reference_lines(text(reference_client.call("COMMAND", "DOCS"))):
        if "subcommands" in entry:
            continue
        arity, first_key, last_key, step = infos[name][1], *infos[name][3:6]
        flags = Flag.WRITE if "write" in infos[name][2] else Flag(0)
        command = build(Declaration(line, flags=int(flags), group=entry["group"], name=name))
        counted += 1
        assert (command.arity == arity) is (name not in ARITY_BY_HAND), (line, arity, command.arity)
        keys = (command.first_key, command.last_key, command.step)
        assert (keys == (first_key, last_key, step)) is (name not in KEYS_BY_HAND), (line, keys)
        compared += bool(infos[name][8])
    assert counted > 370
    assert compared > 200, "commands with keys"
