"""The table of directives against Valkey's own: names, defaults, and what each refuses."""

import pytest

from common.config import DEFAULTS, Config
from common.directives import BY_NAME, DIRECTIVES, Directive
from common.errors import RedisError
from tests.reference import Reference
from tests.resp_client import Client, Error, Status

OURS = {"shards", "hash-tags", "rundir", "metrics-port", "metrics-bind"}
OTHER_DEFAULTS = {"appendonly", "save", "syslog-ident", "dir"}  # Where we mean otherwise.
WHAT_THE_FIXTURE_SETS = {"port", "bind", "enable-debug-command"}
NEEDS_SOCKETS = {"bind"}  # Whether an address is one is seen when it is listened on: tests/test_router_listeners.py.
TAKEN_AS_IT_IS = {  # Directives without effect here, whose text Valkey looks at more closely.
    *("tls-cluster", "tls-replication", "locale-collate", "proc-title-template"),
    *("cluster-announce-ip", "cluster-announce-hostname", "cluster-announce-human-nodename", "rdma-bind"),
    "slot-migration-max-failover-repl-bytes",
}
GONE_FROM_VALKEY = {"io-threads-do-reads", "dynamic-hz", "sanitize-dump-payload"}  # Old redis.conf files have them.


def test_names_and_defaults(reference_client: Client) -> None:
    flat = [word.decode() for word in reference_client.call("CONFIG", "GET", "*")]
    theirs = dict(zip(flat[::2], flat[1::2], strict=True))
    config = Config()
    ours = config.get(["*"])
    same = ours.keys() - OURS - OTHER_DEFAULTS - WHAT_THE_FIXTURE_SETS - GONE_FROM_VALKEY
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert theirs.keys() <= ours.keys()


WRONG = ("@bad@", "", "-99999999999999", "99999999999999999999", "18446744073709551615", " 5", "+5", "1.5", "-1")


def test_each_refusal() -> None:
    """For each directive: a wrong value, an empty one, one too low, one too high, in the same words."""
    compared = [
        name
        for directive in DIRECTIVES
        if not directive.own and directive.name not in OURS | NEEDS_SOCKETS | GONE_FROM_VALKEY | TAKEN_AS_IT_IS
        for name in (directive.name, *directive.aliases)
    ]
    config = Config()
    with Reference() as server, server.connect() as valkey:  # Its own: it is changed in ways that others would feel.
        calls = [(name, text) for name in compared for text in WRONG]
        theirs = {call: valkey.call("CONFIG", "SET", *call) for call in calls}
    ours = {call: answer(config, *call) for call in calls}
    assert ours == theirs


def answer(config: Config, name: str, text: str) -> bytes:
    try:
        config.set([(name, text)])
    except RedisError as error:
        return Error(str(error).encode())
    return Status(b"OK")


def test_names_are_unique() -> None:
    assert len(BY_NAME) == sum(1 + len(directive.aliases) for directive in DIRECTIVES)


@pytest.mark.parametrize("directive", DIRECTIVES, ids=lambda directive: directive.name)
def test_what_is_shown_reads_back(directive: Directive) -> None:
    kind, value = directive.kind, DEFAULTS[directive.name]
    assert kind.parse(kind.written(value)) == value
