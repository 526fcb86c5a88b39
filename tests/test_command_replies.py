"""COMMAND's replies: what the reference says of its own commands, when they are declared here."""

from typing import Any

import pytest

from common.command import Table
from common.declaration import Declaration, build
from common.flags import CATEGORIES, Flag, flag_names
from common.resp import encode
from router.commands import command as replies
from tests.resp_client import Client, parse_reply
from tests.test_command import DECLARED, reply_of, session
from tests.test_usage import ARITY_BY_HAND, reference_infos, reference_lines, text

UNLIKE_ANY_DECLARATION = {
    "migrate": "its second key spec is stated with a negative start",
    "clusterscan": "its cursor is marked as a key that is none",
}
"""Left out below, because the test does not write their declarations by hand."""


def reference_table(docs: dict[str, Any], infos: dict[str, list[Any]]) -> Table:
    """All commands of the reference, declared by what a declaration states and no more."""
    table = Table()
    for name, line, entry in reference_lines(docs):
        if name in UNLIKE_ANY_DECLARATION:
            continue
        info = infos[name]
        container = bool(entry.get("subcommands"))
        flags = Flag(0)
        for flag in info[2]:
            flags |= Flag[flag.upper()]
        stated = Declaration(
            line,
            flags=int(flags & ~Flag.MOVABLEKEYS),
            group=entry["group"],
            since=entry["since"],
            complexity=entry.get("complexity", ""),
            summary=entry["summary"],
            keys=_key_flags(info[8]),
            tips=" ".join(tip for tip in info[7] if "policy" not in tip),
            plan="one",
            name=name,
            arity=info[1] if name in ARITY_BY_HAND else 0,
            container=container,
        )
        for tip in info[7]:
            policy, _, value = tip.partition(":")
            if policy == "request_policy":
                stated.fan = value
            elif policy == "response_policy":
                stated.merge = value
        table.add(build(_with_categories(stated, info[6]), len if name == "command" else None))
    return table


def _key_flags(specs: list[Any]) -> str:
    if len(specs) == 1 and specs[0]["find_keys"]["spec"].get("lastkey") == 1:
        return "RO access"  # LCS: one spec for two keys.
    words = []
    for place, spec in enumerate(specs):
        unknown = spec["begin_search"]["type"] == "unknown"
        added = unknown and place == 1  # The keys that SORT's BY and GET make.
        words.append(" ".join(["+unknown" if added else "unknown"] * unknown + spec["flags"]))
    return "; ".join(words)


def _with_categories(stated: Declaration, wanted: list[str]) -> Declaration:
    derived = set(build(stated, len if stated.usage == "COMMAND" else None).acl)
    names = {name.lstrip("@") for name in wanted}
    words = [name for name in CATEGORIES if name in names - derived]
    stated.acl = " ".join(words + [f"-{name}" for name in CATEGORIES if name in derived - names])
    return stated


def plain(info: Any) -> Any:
    """A reply of COMMAND to compare: without notes, which are not declared, and without the order of sets."""
    if isinstance(info, dict):
        return {key: plain(value) for key, value in info.items() if key not in ("notes", "history")}
    if isinstance(info, list):
        return [plain(item) for item in info]
    return info


def test_info_of_every_command(reference_client: Client) -> None:
    reference_client.call("HELLO", "3")
    theirs = reference_infos(text(reference_client.call("COMMAND")))
    docs = text(reference_client.call("COMMAND", "DOCS"))
    table = reference_table(docs, theirs)
    ours = reference_infos(text(parse_reply(reply_of(replies.command_, table))[0]))
    assert len(ours) == len(theirs) - len(UNLIKE_ANY_DECLARATION)
    for name, info in ours.items():
        expected = theirs[name]
        assert info[:7] == expected[:7], name
        assert sorted(info[7]) == sorted(expected[7]), name
        assert plain(info[8]) == plain(expected[8]), name
        assert {sub[0] for sub in info[9]} == {sub[0] for sub in expected[9]}, name


def test_shape_of_info_and_docs(reference_client: Client) -> None:
    """Byte for byte, for commands that have neither notes nor history."""
    reference_client.call("HELLO", "3")
    theirs = reference_infos(text(reference_client.call("COMMAND")))
    table = reference_table(text(reference_client.call("COMMAND", "DOCS")), theirs)
    names = [b"get", b"mget", b"LPOS", b"xread", b"nope", b"object|encoding", b"sintercard", b"memory|usage"]
    for protocol in (2, 3):
        reference_client.call("HELLO", protocol)
        reference_client.send("COMMAND", "INFO", *names)
        assert reply_of(replies.info, table, *names, protocol=protocol) == reference_client.read().raw
        for name in (b"get", b"mget", b"xread", b"nope", b"object|encoding"):
            reference_client.send("COMMAND", "DOCS", name)
            assert reply_of(replies.docs, table, name, protocol=protocol) == reference_client.read().raw


def test_arguments_in_docs_have_the_references_types(reference_client: Client) -> None:
    """The names of groups are not in a usage line, nor are those of values behind a token; types and flags are."""
    reference_client.call("HELLO", "3")
    theirs = reference_infos(text(reference_client.call("COMMAND")))
    docs = text(reference_client.call("COMMAND", "DOCS"))
    table = reference_table(docs, theirs)
    same = total = 0
    for name, _, entry in reference_lines(docs):
        command = table.get(name)
        if command is None:
            continue
        ours = text(parse_reply(encode(replies.docs(session(table), name.encode()), 3))[0])[name]
        total += 1
        same += [_shape(argument) for argument in ours.get("arguments", [])] == [
            _shape(argument) for argument in entry.get("arguments", [])
        ]
        for key in ("summary", "since", "group", "complexity"):
            assert ours.get(key) == entry.get(key), (name, key)
    assert same > 0.9 * total, (same, total)


def _shape(argument: dict[str, Any]) -> Any:
    parts = [_shape(part) for part in argument.get("arguments", [])]
    return argument["type"], argument.get("token"), argument.get("key_spec_index"), argument.get("flags"), parts


LISTS = ["", "FILTERBY PATTERN hget*", "filterby pattern client|k*", "FILTERBY PATTERN H[^A-Z]*", "FILTERBY MODULE x"]
LISTS += ["FILTERBY ACLCAT hash", "FILTERBY aclcat SCRIPTING", "FILTERBY ACLCAT @hash", "FILTERBY ACLCAT nope"]
LISTS += ["FOO", "FILTERBY MODULE", "FILTERBY FOO x", "FILTERBY PATTERN a b"]


@pytest.mark.parametrize("options", LISTS)
def test_list(options: str, reference_client: Client) -> None:
    reference_client.call("HELLO", "3")
    theirs = reference_infos(text(reference_client.call("COMMAND")))
    table = reference_table(text(reference_client.call("COMMAND", "DOCS")), theirs)
    expected = text(reference_client.call("COMMAND", "LIST", *options.split()))
    ours = text(parse_reply(reply_of(replies.list_, table, *options.encode().split()))[0])
    if isinstance(expected, str):
        assert ours == expected
    else:
        assert set(ours) == set(expected) - set(UNLIKE_ANY_DECLARATION)


def test_count_and_help(reference_client: Client) -> None:
    assert reply_of(replies.count, DECLARED) == b":%d\r\n" % len(DECLARED.commands)
    reference_client.send("COMMAND", "HELP")
    assert reply_of(replies.help_, DECLARED) == reference_client.read().raw


def test_flags_print_in_order(reference_client: Client) -> None:
    for info in reference_infos(text(reference_client.call("COMMAND"))).values():
        flags = Flag(0)
        for name in info[2]:
            flags |= Flag[name.upper()]
        assert flag_names(flags) == info[2], info[0]
