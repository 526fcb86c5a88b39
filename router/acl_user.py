"""A user of the server: its rules, how they are read and written, and what they allow.

A user has passwords and selectors. The first selector, the root, takes the rules that stand alone; each "(...)" is one
more. A call is allowed if one selector allows all of it.
"""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from common.command import Table
from common.config_file import words_of
from router.acl_selector import SYNTAX, BadRule, Call, Denied, Refusal, Selector

if TYPE_CHECKING:
    from router.batch import Route

DIGEST = re.compile(rb"[0-9a-f]{64}")
NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
BAD_DIGEST = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"


class Unmatched(BadRule):
    """A parenthesis that is not closed."""


class User:
    """Who a client is: passwords, selectors, and what the router goes by."""

    def __init__(self, name: str, table: Table, *, all_channels: bool = False) -> None:
        """A new user, who may do nothing; `all_channels` is what `acl-pubsub-default` says."""
        self.name = name
        self.on = False
        self.nopass = False
        self.passwords: dict[bytes, None] = {}
        """Their SHA-256, in hex."""
        self.selectors = [Selector(table, all_channels=all_channels)]
        self.table = table
        self.new_with_channels = all_channels
        self.restricted = True
        """Whether there is anything that it may not do."""
        self.transacts = False
        """Whether it may run both MULTI and EXEC."""
        self.routes: dict[bytes, Route] = {}
        """The commands that it may have forwarded without a question."""

    def copy(self) -> "User":
        other = User(self.name, self.table)
        other.become(self)
        return other

    def become(self, other: "User") -> None:
        """Takes over all of another one but the name."""
        self.on, self.nopass, self.passwords = other.on, other.nopass, dict(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]

    # Rules

    def apply(self, rules: Sequence[bytes], *, all_channels: bool) -> None:
        """Takes rules, one after the other; those before a bad one stay.  Raises BadRule."""
        self.new_with_channels = all_channels
        for rule in merged(rules):
            try:
                self._apply(rule)
            except BadRule as error:
                raise BadRule(str(error), rule) from None

    def _apply(self, rule: bytes) -> None:
        act = USER_RULES.get(rule.lower())
        if act is not None:
            act(self)
        elif rule[:1] in (b">", b"#"):
            self.nopass = False
            self.passwords[_digest(rule)] = None
        elif rule[:1] in (b"<", b"!"):
            digest = _digest(rule)
            if digest not in self.passwords:
                raise BadRule(NO_SUCH_PASSWORD)
            del self.passwords[digest]
        elif rule[:1] == b"(" and rule[-1:] == b")":
            self._add_selector(rule[1:-1])
        elif rule:
            self.selectors[0].apply(rule)

    def _add_selector(self, text: bytes) -> None:
        selector = Selector(self.table, all_channels=self.new_with_channels)
        words = words_of(text.decode("utf-8", "surrogateescape"))
        if words is None:
            raise BadRule(SYNTAX)
        for word in words:
            selector.apply(word.encode("utf-8", "surrogateescape"))
        self.selectors.append(selector)

    # As text

    def flags(self) -> list[bytes]:
        return [b"on" if self.on else b"off", *([b"nopass"] if self.nopass else [])]

    def text(self) -> bytes:
        """The rules that make it, as ACL LIST has them."""
        root, *others = self.selectors
        words = [*self.flags(), *(b"#" + digest for digest in self.passwords), root.text()]
        return b" ".join([*words, *(b"(" + selector.text() + b")" for selector in others)])

    # What is allowed

    def has_password(self, password: bytes) -> bool:
        """Whether it is one of its own. How long that takes does not tell how much of it was right."""
        given = sha256(password).hexdigest().encode()
        found = [compare_digest(given, digest) for digest in self.passwords]
        return self.nopass or any(found)

    def refuses(self, call: Call) -> Refusal | None:
        """What of a call is not allowed; None if all is."""
        worst: Refusal = (Denied.DATABASE, 0)
        for selector in self.selectors:
            refusal = selector.refuses(call)
            if refusal is None:
                return None
            worst = max(worst, refusal)
        return worst

    def reads_all(self, call: Call) -> bool:
        """Whether a call is allowed that reads keys which its words do not name."""
        return any(selector.reads_all and selector.refuses(call) is None for selector in self.selectors)

    def choose(self, routes: "dict[bytes, Route]") -> None:
        """Derives what the router goes by, where `routes` are those of who may do everything."""
        names = {command.name for command in self.table.shown()}
        everywhere = [selector for selector in self.selectors if selector.all_keys and selector.dbs is None]
        self.restricted = not any(one.all_channels and names <= one.allowed for one in everywhere)
        allowed = set().union(*(selector.allowed for selector in everywhere))
        self.transacts = {"multi", "exec"} <= set().union(*(selector.allowed for selector in self.selectors))
        if self.restricted:
            self.routes = {name: route for name, route in routes.items() if route.name in allowed}
        else:
            self.routes = routes


def _digest(rule: bytes) -> bytes:
    """The digest that a rule on a password means: of what is behind > or <, or itself behind # or !."""
    if rule[:1] in (b">", b"<"):
        return sha256(rule[1:]).hexdigest().encode()
    if not DIGEST.fullmatch(rule[1:]):
        raise BadRule(BAD_DIGEST)
    return rule[1:]


def merged(rules: Sequence[bytes]) -> list[bytes]:
    """The rules, each "(...)" put together that came as several words.  Raises Unmatched."""
    found: list[bytes] = []
    open_: list[bytes] = []
    for rule in rules:
        if open_ or (rule[:1] == b"(" and rule[-1:] != b")"):
            open_.append(rule)
            if len(open_) > 1 and rule[-1:] == b")":
                found.append(b" ".join(open_))
                open_ = []
        else:
            found.append(rule)
    if open_:
        raise Unmatched("Unmatched parenthesis", open_[0])
    return found


def _on(user: User) -> None:
    user.on = True


def _off(user: User) -> None:
    user.on = False


def _nopass(user: User) -> None:
    user.nopass = True
    user.passwords.clear()


def _resetpass(user: User) -> None:
    user.nopass = False
    user.passwords.clear()


def _clear_selectors(user: User) -> None:
    del user.selectors[1:]


def _reset(user: User) -> None:
    _resetpass(user)
    user.on = False
    user.selectors = [Selector(user.table, all_channels=user.new_with_channels)]


def _accepted(user: User) -> None:
    """Payloads are always checked here, as they are read: the reference shows nothing of this rule either."""


USER_RULES: dict[bytes, Callable[[User], None]] = {
    b"on": _on,
    b"off": _off,
    b"nopass": _nopass,
    b"resetpass": _resetpass,
    b"clearselectors": _clear_selectors,
    b"reset": _reset,
    b"sanitize-payload": _accepted,
    b"skip-sanitize-payload": _accepted,
}
"""The rules of a user that are one word."""
