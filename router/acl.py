"""Access control: the users of a server, who is which, and what is refused.

Rule 1: nothing is sent to a shard before its user may do it. Who may do everything is never asked: all that such a
        session does goes by `Session.routes`, which are the router's. Another one's routes are those commands that it
        may run on any key; each other call of it comes through `dispatch`, which asks `check`.
Rule 2: a User is one object for as long as it exists; who changes its rules derives anew what its sessions go by.
Rule 3: rules name commands, so those of the configuration are read when the first shard has said which there are, and
        no client is served before.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.command import Command, Flag
from common.config import ConfigError
from common.config_file import words_of
from common.errors import RedisError, shown
from common.glob import Matcher
from common.log import VERBOSE
from common.numbers import maybe_integer
from router import acl_file
from router.acl_log import Entry, Log
from router.acl_selector import BLANKS, BadRule, Call, Denied, has_channel
from router.acl_user import Unmatched, User
from router.pubsub import Kind

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

logger = logging.getLogger("shardis")

DEFAULT = "default"
"""The user that every client is which did not say another one."""
ALL_RIGHTS = (b"on", b"nopass", b"~*", b"&*", b"+@all")

TWO_SOURCES = "users are declared here and in an ACL file (aclfile): declare them either here or there"

NOT_NOW = (
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no"
    " longer allowed for the following reason: "
)
REASONS = {
    Denied.COMMAND: "no permission to execute the command or subcommand",
    Denied.KEY: "no permission to touch the specified keys",
    Denied.CHANNEL: "no permission to access one of the channels used as arguments",
    Denied.DATABASE: "no permission",
}
COUNTERS = {
    Denied.COMMAND: "acl_access_denied_cmd",
    Denied.KEY: "acl_access_denied_key",
    Denied.CHANNEL: "acl_access_denied_channel",
    Denied.DATABASE: "acl_access_denied_db",
}
"""The fields of INFO that count refusals."""


class WrongPassword(RedisError):
    """What AUTH and HELLO answer. Who knows how the client wrote the call has it noted, see `Users.note_wrong`."""

    def __init__(self, name: bytes) -> None:
        super().__init__("WRONGPASS invalid username-password pair or user is disabled.")
        self.username = name.decode("utf-8", "surrogateescape")


class Users:
    """All users of a server."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.log = Log()
        self.fault: ConfigError | None = None
        """What is wrong with those that the configuration declares."""
        self.default = self._almighty()
        self.users = {DEFAULT: self.default}

    # Where users come from

    def _almighty(self) -> User:
        """The default user of a server that says nothing of users."""
        user = self._new(DEFAULT)
        user.apply(ALL_RIGHTS, all_channels=True)
        if password := self.router.config["requirepass"]:
            user.apply([b">" + _bytes(password)], all_channels=True)
        return user

    def _new(self, name: str) -> User:
        return User(name, self.router.table, all_channels=self.new_with_channels)

    @property
    def new_with_channels(self) -> bool:
        """Whether who is new may use all channels."""
        return bool(self.router.config["acl-pubsub-default"] == "allchannels")

    def load(self) -> None:
        """Makes the users that the configuration declares, or stops: with some of them only nobody is served."""
        try:
            self._load()
        except ConfigError as fault:
            self.fault = fault
            self.router.stop()

    def _load(self) -> None:
        lines = self.router.config["user"]
        path = self.router.config.path("aclfile")
        if path and lines:
            raise ConfigError(f"user {lines[0].partition(' ')[0]}: {TWO_SOURCES}")
        self.default.become(self._almighty())
        if path:
            try:
                self._replace_all(self._of_file(path))
            except acl_file.Faulty as fault:
                raise ConfigError(f"ACL errors: {fault}") from None
        for line in lines:
            self._declare(line)
        for session in self.router.sessions.values():
            session.authenticated = not self.password_needed()
            session.mark_writes()
        self.choose_routes()

    def _of_file(self, path: str) -> dict[str, User]:
        name = self.router.config["aclfile"]
        return acl_file.load(path, name, self._new, new_with_channels=self.new_with_channels)

    def _declare(self, line: str) -> None:
        name, *rules = words_of(line) or [""]
        if name in self.users and name != DEFAULT:
            raise ConfigError(f"user {name}: Duplicate user found. A user can only be defined once in config files")
        if has_blanks(_bytes(name)):
            raise ConfigError(f"user '{name}': Spaces not allowed in ACL usernames")
        user = self._new(name)
        try:
            user.apply([_bytes(rule) for rule in rules], all_channels=self.new_with_channels)
        except BadRule as error:
            # A rule may be a password.
            rule = "a password" if error.rule[:1] in (b">", b"<", b"#", b"!") else f"'{shown(error.rule)}'"
            raise ConfigError(f"user {name}: {rule}: {error}") from None
        self.users.setdefault(name, user).become(user)

    def lines(self) -> list[bytes]:
        """All users, as ACL LIST and an ACL file have them."""
        return [b"user " + _bytes(user.name) + b" " + user.text() for user in self.sorted()]

    def declarations(self) -> list[str]:
        """The lines that a configuration file needs beside its other directives; none if there is no more to say."""
        if len(self.users) == 1 and self.default.text() == self._almighty().text():
            return []
        return [line.removeprefix(b"user ").decode("utf-8", "surrogateescape") for line in self.lines()]

    def sorted(self) -> list[User]:
        return sorted(self.users.values(), key=lambda user: _bytes(user.name))

    def reload(self, path: str, by: "Session") -> None:
        """ACL LOAD: takes the users of the file for those that there are.  Raises RedisError."""
        try:
            self._replace_all(self._of_file(path), by)
        except acl_file.Faulty as fault:
            raise RedisError(f"ERR {fault}{acl_file.NO_CHANGE}") from None

    def _replace_all(self, users: dict[str, User], by: "Session | None" = None) -> None:
        if DEFAULT not in users:
            users[DEFAULT] = self._new(DEFAULT)
            users[DEFAULT].apply(ALL_RIGHTS, all_channels=True)
        for name in self.users.keys() - users.keys():
            self.delete(name, by)
        for name, user in users.items():
            if name in self.users:
                self._change(self.users[name], user, by)
            else:
                user.choose(self.router.routes)
                self.users[name] = user

    # Changes

    def set(self, name: str, rules: Sequence[bytes], by: "Session | None" = None) -> None:
        """ACL SETUSER: all of the rules or none.  Raises RedisError."""
        user = self.users.get(name)
        changed = user.copy() if user is not None else self._new(name)
        try:
            changed.apply(rules, all_channels=self.new_with_channels)
        except Unmatched as error:
            raise RedisError(f"ERR Unmatched parenthesis in acl selector starting at '{shown(error.rule)}'.") from None
        except BadRule as error:
            raise RedisError(f"ERR Error in ACL SETUSER modifier '{shown(error.rule)}': {error}") from None
        if user is None:
            self.users[name] = changed
            changed.choose(self.router.routes)
        else:
            self._change(user, changed, by)

    def set_default_password(self, password: str) -> None:
        """CONFIG SET requirepass: the default user has that password and no other; none if it is empty."""
        rules = [b"resetpass", b">" + _bytes(password)] if password else [b"nopass"]
        self.set(DEFAULT, rules)

    def restore_default(self, before: User) -> None:
        """Takes back what was done to the default user."""
        self._change(self.default, before, None)

    def _change(self, user: User, to: User, by: "Session | None") -> None:
        """Gives a user the rules of another one. Who hears what it may not hear any more is disconnected."""
        left = channels_left(user, to)
        user.become(to)
        user.choose(self.router.routes)
        for session in self._sessions_of(user):
            session.changed()
            if left is not None and hears_others(session, left):
                self._end(session, by)
            elif session.blocking is not None and session.blocking.called is not None:
                self._check_again(session, *session.blocking.called)

    def delete(self, name: str, by: "Session | None" = None) -> bool:
        """Deletes a user and ends its connections; whether there was one."""
        user = self.users.pop(name, None)
        if user is None:
            return False
        for session in self._sessions_of(user):
            self._end(session, by)
        return True

    def _end(self, session: "Session", by: "Session | None") -> None:
        """Ends a connection; that of who asks for it behind the reply."""
        if session is by:
            session.end()
        else:
            session.kill()

    def _sessions_of(self, user: User) -> list["Session"]:
        return [session for session in self.router.sessions.values() if session.user is user]

    def choose_routes(self) -> None:
        """Derives the routes of all users, and of all sessions, from those of the router."""
        for user in self.users.values():
            user.choose(self.router.routes)
        for session in self.router.sessions.values():
            session.changed()

    # Who speaks

    def password_needed(self) -> bool:
        """Whether a new client has to authenticate first."""
        return not self.default.nopass or not self.default.on

    def authenticate(self, session: "Session", name: bytes, password: bytes) -> None:
        """Makes the session that user's.  Raises WrongPassword if the pair is wrong, and then changes nothing."""
        user = self.users.get(name.decode("utf-8", "surrogateescape"))
        right = (user or self.default).has_password(password)
        if user is None or not user.on or not right:
            self.router.stats.acl_access_denied_auth += 1
            raise WrongPassword(name)
        session.user = user
        session.authenticated = session.was_authenticated = True
        session.mark_writes()
        session.changed()

    def note_wrong(self, session: "Session", error: WrongPassword, argv: list[bytes]) -> None:
        """Keeps the call that was answered so for ACL LOG."""
        self._note(session, "auth", argv[0], error.username)

    def certified(self, session: "Session", names: Sequence[str]) -> None:
        """Makes the session the first user of these names, which its certificate has; else it stays who it is."""
        user = next((found for name in names if (found := self.users.get(name)) is not None and found.on), None)
        if user is None:
            self.router.stats.acl_access_denied_tls_cert += 1
            self._note(session, "tls-cert", b"", names[0])
            return
        session.user = user
        session.authenticated = True
        session.changed()
        shown = "*redacted*" if self.router.config["hide-user-data-from-log"] else user.name
        logger.log(VERBOSE, "TLS: Auto-authenticated client as %s", shown)

    # What is refused

    def check(self, session: "Session", command: Command, argv: list[bytes]) -> None:
        """Refuses a call that its user may not make.  Raises RedisError."""
        transaction = session.transaction
        if transaction is not None and command.flags & Flag.NO_MULTI:
            return  # It is refused for that.
        db = session.db if transaction is None or transaction.db is None else transaction.db
        call = self._call(command, argv, db)
        refusal = session.user.refuses(call)
        if refusal is not None:
            session.last_command = command.name
            self._refuse(session, call, *refusal)
        elif transaction is not None:
            if call.command.name == "select":
                transaction.db = self._selected(argv[1], db)
        else:
            self._check_patterns(session, call)

    def _check_again(self, session: "Session", command: Command, argv: list[bytes]) -> None:
        """Ends a call that waits and that its user may not make any more. The reference does so when there is something
        for it; here the shard would give it that."""
        try:
            self.check(session, command, argv)
        except RedisError as error:
            assert session.blocking is not None
            session.blocking.end(str(error))

    def check_queued(self, session: "Session", command: Command, argv: list[bytes]) -> None:
        """Refuses a queued call that its user may not make when it is run.  Raises RedisError."""
        call = self._call(command, argv, session.db)
        refusal = session.user.refuses(call)
        if refusal is not None:
            self._count(session, call, *refusal)
            raise RedisError(NOT_NOW + REASONS[refusal[0]])
        self._check_patterns(session, call)

    def dry_run(self, session: "Session", user: User, command: Command, argv: Sequence[bytes]) -> bytes | None:
        """ACL DRYRUN: what is wrong with a call of that user; None if it may make it."""
        call = self._call(command, argv, session.db)
        refusal = user.refuses(call)
        if refusal is None:
            return None
        denied, index = refusal
        word = call.argv[index]
        name = call.command.name.encode()
        return (
            b"User %b has no permissions to " % _bytes(user.name)
            + {
                Denied.COMMAND: b"run the '%b' command" % name,
                Denied.KEY: b"access the '%b' key" % word,
                Denied.CHANNEL: b"access the '%b' channel" % word,
                Denied.DATABASE: b"access database %b" % word,
            }[denied]
        )

    def _call(self, command: Command, argv: Sequence[bytes], db: int) -> Call:
        """To rules there is only DEBUG, not what comes behind it."""
        if command.opaque:
            command = self.router.table.commands[command.name.partition("|")[0]]
        return Call(command, argv, db, self.router.config["databases"])

    def _selected(self, word: bytes, before: int) -> int:
        """The db behind a queued SELECT."""
        db = maybe_integer(word)
        return before if db is None or not 0 <= db < self.router.config["databases"] else db

    def _check_patterns(self, session: "Session", call: Call) -> None:
        """Refuses what reads keys that no word of the call names (SORT BY, GET).  Raises RedisError."""
        if not call.command.patterns_of(call.argv) or session.user.reads_all(call):
            return
        if option := first_reading(call):
            raise RedisError(f"ERR {option} option of SORT denied due to insufficient ACL permissions.")

    def _refuse(self, session: "Session", call: Call, denied: Denied, index: int) -> None:
        self._count(session, call, denied, index)
        if denied is Denied.COMMAND:
            name = f"User {session.user.name} has no permissions to run the '{call.command.name}' command"
            raise RedisError(f"NOPERM {name}")
        raise RedisError(NOT_PERMITTED[denied])

    def _count(self, session: "Session", call: Call, denied: Denied, index: int) -> None:
        stats, counter = self.router.stats, COUNTERS[denied]
        setattr(stats, counter, getattr(stats, counter) + 1)
        what = call.argv[index] if index else call.command.name.encode()
        self._note(session, denied.name.lower(), what, session.user.name)

    def _note(self, session: "Session", reason: str, what: bytes, username: str) -> None:
        context = "toplevel" if session.transaction is None else "multi"
        entry = Entry(reason, context, what, username, self._described(session), self.router.now_ms())
        self.log.add(entry, self.router.config["acllog-max-len"])

    def _described(self, session: "Session") -> str:
        """The client as it would see itself by CLIENT INFO."""
        info = self.router.table.commands["client"].subcommands["info"]
        assert info.handler is not None
        return str(info.handler(session)).rstrip("\n")


NOT_PERMITTED = {
    Denied.KEY: "NOPERM No permissions to access a key",
    Denied.CHANNEL: "NOPERM No permissions to access a channel",
    Denied.DATABASE: "NOPERM No permissions to access database",
}


SORT_OPTIONS = {b"LIMIT": 2, b"BY": 1, b"GET": 1, b"STORE": 1, b"ASC": 0, b"DESC": 0, b"ALPHA": 0}
"""How many words each takes."""


def first_reading(call: Call) -> str:
    """The first option of a SORT by which it reads other keys; "" if there is none before what is wrong otherwise."""
    argv = call.argv
    index = 2
    while index < len(argv):
        word = argv[index].upper()
        width = SORT_OPTIONS.get(word)
        if width is None or index + width >= len(argv):
            return ""
        if word == b"GET" or (word == b"BY" and b"*" in argv[index + 1]):
            return word.decode()
        if word == b"LIMIT" and None in map(maybe_integer, argv[index + 1 : index + 3]):
            return ""
        index += 1 + width
    return ""


def has_blanks(name: bytes) -> bool:
    """Whether a name is none for a user: a line of ACL LIST would not be read as it was written."""
    return not BLANKS.isdisjoint(name)


def channels_left(before: User, after: User) -> dict[bytes, Matcher] | None:
    """The channels that a user has behind a change, if it might have lost some; None if it has not."""
    if any(selector.all_channels for selector in after.selectors):
        return None
    left: dict[bytes, Matcher] = {}
    for selector in after.selectors:
        left |= selector.channels
    lost = any(selector.all_channels or selector.channels.keys() - left.keys() for selector in before.selectors)
    return left if lost else None


def hears_others(session: "Session", channels: dict[bytes, Matcher]) -> bool:
    """Whether a client is subscribed to anything but these."""
    if session.subscriptions is None:
        return False
    return any(
        not has_channel(channels, name, pattern=kind is Kind.PATTERN)
        for kind, names in session.subscriptions.names.items()
        for name in names
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
