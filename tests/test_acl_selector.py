"""Selectors: the rules one by one, and what they allow."""

import pytest

from router.acl_selector import BadRule, Call, Denied, Selector
from tests import access

TABLE = access.table()


def selector_of(*rules: bytes) -> Selector:
    selector = Selector(TABLE, all_channels=False)
    for rule in rules:
        selector.apply(rule)
    return selector


def refusal(rules: str, call: str, db: int = 0) -> tuple[Denied, int] | None:
    argv = call.encode().split()
    command = TABLE.resolve(argv)
    assert command is not None
    return selector_of(*rules.encode().split()).refuses(Call(command, argv, db, 16))


@pytest.mark.parametrize(
    ("rules", "call", "refused"),
    [
        ("", "GET a", (Denied.COMMAND, 0)),
        ("", "AUTH a", None),
        ("+get", "GET a", (Denied.KEY, 1)),
        ("+get ~a", "GET a", None),
        ("+get %R~a", "GET a", None),
        ("+get %W~a", "GET a", (Denied.KEY, 1)),
        ("+set %W~a", "SET a 1", None),
        ("+set %W~a", "SET a 1 GET", (Denied.KEY, 1)),
        ("+set %W~a %R~*", "SET a 1 GET", (Denied.KEY, 1)),
        ("+set %W~a %R~a", "SET a 1 GET", None),
        ("+mget ~a*", "MGET a1 a2 b", (Denied.KEY, 3)),
        ("+exists %W~a", "EXISTS a", None),
        ("+copy %R~a %W~b", "COPY a b", None),
        ("+copy %R~a %W~b", "COPY b a", (Denied.KEY, 1)),
        ("+lmpop ~a", "LMPOP 2 a b LEFT", (Denied.KEY, 3)),
        ("+@string ~*", "GET a", None),
        ("+@string -get ~*", "GET a", (Denied.COMMAND, 0)),
        ("+@all -@read ~*", "GET a", (Denied.COMMAND, 0)),
        ("+client|id", "CLIENT ID", None),
        ("+client|id", "CLIENT LIST", (Denied.COMMAND, 0)),
        ("+client -client|id", "CLIENT ID", (Denied.COMMAND, 0)),
        ("+select|1", "SELECT 1", None),
        ("+select|1", "SELECT 2", (Denied.COMMAND, 0)),
        ("+select|1 -select", "SELECT 1", (Denied.COMMAND, 0)),
        ("+publish &a*", "PUBLISH a1 x", None),
        ("+publish &a*", "PUBLISH b x", (Denied.CHANNEL, 1)),
        ("+psubscribe &a*", "PSUBSCRIBE a*", None),
        ("+psubscribe &a*", "PSUBSCRIBE a* a1", (Denied.CHANNEL, 2)),
        ("+subscribe &a", "SUBSCRIBE a b", (Denied.CHANNEL, 2)),
        ("+@all ~* db=1", "GET a", (Denied.DATABASE, 0)),
        ("+@all ~* db=0", "GET a", None),
        ("+@all ~* db=0", "SELECT 1", (Denied.DATABASE, 1)),
        ("+@all ~* db=0", "SELECT 99", None),
        ("+@all ~* db=0,1", "FLUSHALL", (Denied.DATABASE, 0)),
        ("+@all ~* db=0,1", "SWAPDB 0 2", (Denied.DATABASE, 2)),
        ("+@all ~* db=0", "COPY a b DB 1", (Denied.DATABASE, 4)),
        ("+@all ~* resetdbs", "PING", None),
        ("db=1", "GET a", (Denied.DATABASE, 0)),
    ],
)
def test_what_is_refused(rules: str, call: str, refused: tuple[Denied, int] | None) -> None:
    assert refusal(rules, call) == refused


def test_a_call_that_is_wrong_has_no_keys() -> None:
    assert refusal("+@all ~a", "LMPOP 0 b LEFT") is None
    assert refusal("+@all ~a", "LMPOP 9 b LEFT") is None


def test_rules_that_others_make_needless_are_dropped() -> None:
    selector = selector_of(b"+get", b"+client|id", b"-client", b"+@read", b"+get", b"-@read")
    assert selector.commands_text() == b"-@all -client +get -@read"
    selector.apply(b"+@all")
    assert selector.commands_text() == b"+@all"


@pytest.mark.parametrize("rule", [b"%~a", b"%X~a", b"%RR~a", b"~a b", b"&a\0", b"db=", b"db=1,,2", b"+", b"-", b"x"])
def test_what_is_no_rule(rule: bytes) -> None:
    selector = selector_of()
    text = selector.text()
    with pytest.raises(BadRule):
        selector.apply(rule)
    assert selector.text() == text
