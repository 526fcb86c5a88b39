"""Users: their rules as text and back, passwords, and what the router derives of them."""

from random import Random

import pytest

from router.acl_selector import BadRule, Call
from router.acl_user import Unmatched, User, merged
from router.batch import Route
from tests import access

TABLE = access.table()
CALLS = [
    [b"GET", b"a"],
    [b"SET", b"a1", b"v", b"GET"],
    [b"MSET", b"a", b"1", b"key:1", b"2"],
    [b"CLIENT", b"ID"],
    [b"SELECT", b"1"],
    [b"FLUSHALL"],
    [b"PUBLISH", b"a", b"x"],
    [b"PSUBSCRIBE", b"a*"],
    [b"DEBUG", b"OBJECT", b"a"],
    [b"COPY", b"a", b"b", b"DB", b"3"],
    [b"XREAD", b"STREAMS", b"a", b"b", b"0", b"0"],
]


def user_of(*rules: bytes) -> User:
    user = User("alice", TABLE)
    user.apply(rules, all_channels=False)
    return user


def calls() -> list[Call]:
    found = []
    for argv in CALLS:
        command = TABLE.resolve(argv)
        assert command is not None
        command = TABLE.commands["debug"] if command.opaque else command
        found.append(Call(command, argv, 0, 16))
    return found


@pytest.mark.parametrize("seed", range(300))
def test_what_it_is_as_text_makes_the_same_again(seed: int) -> None:
    random = Random(seed)
    user = User("alice", TABLE)
    for rule in access.rules(random, TABLE):
        before = user.copy()
        try:
            user.apply([rule], all_channels=False)
        except BadRule:
            user = before
    text = user.text()
    again = user_of(*text.split(b" "))
    assert again.text() == text
    for call in calls():
        assert again.refuses(call) == user.refuses(call), (text, call.argv)


def test_selectors_are_put_together() -> None:
    assert merged([b"on", b"(+get", b"~a", b"&b)", b"(+set)"]) == [b"on", b"(+get ~a &b)", b"(+set)"]
    assert merged([b"(", b")"]) == [b"( )"]
    with pytest.raises(Unmatched) as caught:
        merged([b"on", b"(+get", b"~a"])
    assert caught.value.rule == b"(+get"


def test_passwords() -> None:
    user = user_of(b">one", b">two")
    assert user.has_password(b"one") and user.has_password(b"two") and not user.has_password(b"three")
    user.apply([b"<one"], all_channels=False)
    assert not user.has_password(b"one")
    user.apply([b"nopass"], all_channels=False)
    assert user.has_password(b"one") and user.has_password(b"")
    user.apply([b"resetpass"], all_channels=False)
    assert not user.has_password(b"")


def test_who_may_do_all_has_the_routes_of_the_router() -> None:
    routes = {name: Route(command) for name, command in TABLE.lookup.items() if command.first_key == 1}
    user = user_of(b"~*", b"&*", b"+@all")
    user.choose(routes)
    assert not user.restricted and user.transacts and user.routes is routes
    user.apply([b"-get"], all_channels=False)
    user.choose(routes)
    assert user.restricted and b"GET" not in user.routes and user.routes[b"SET"] is routes[b"SET"]
    for rules in ([b"db=0"], [b"resetkeys", b"~a"]):
        other = user.copy()
        other.apply(rules, all_channels=False)
        other.choose(routes)
        assert other.restricted and not other.routes
    other.apply([b"(~* +get)"], all_channels=False)
    other.choose(routes)
    assert {route.name for route in other.routes.values()} == {"get"}
    other.apply([b"-multi"], all_channels=False)
    other.choose(routes)
    assert not other.transacts


def test_a_copy_is_its_own() -> None:
    user = user_of(b">x", b"~a", b"+get", b"(+set ~b)")
    text = user.text()
    user.copy().apply([b"reset", b"+@all", b"allkeys"], all_channels=False)
    other = user.copy()
    other.selectors[1].apply(b"~c")
    other.selectors[0].apply(b"+del")
    assert user.text() == text
