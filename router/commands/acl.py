"""ACL: users and what they may do. How their rules are read is in router/acl_user.py and acl_selector.py."""

from typing import TYPE_CHECKING, Any

from common.command import (
    ADMIN,
    ALL_NODES,
    ALL_SUCCEEDED,
    LOADING,
    NOSCRIPT,
    SHOWN_BYTES_MAX,
    STALE,
    unknown_subcommand_or_arity,
)
from common.errors import RedisError, shown, wrong_arity
from common.flags import CATEGORIES
from common.numbers import integer
from common.resp import OK, Members, Status
from router import acl_file
from router.acl import DEFAULT, has_blanks
from router.acl_selector import Selector
from router.commands.table import TABLE

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

command.container(
    "ACL",
    "A container for Access List Control commands.",
    since="6.0.0",
    help_="""
CAT [<category>]
    List all commands that belong to <category>, or all command categories
    when no category is specified.
DELUSER <username> [<username> ...]
    Delete a list of users.
DRYRUN <username> <command> [<arg> ...]
    Returns whether the user can execute the given command without executing the command.
GETUSER <username>
    Get the user's details.
GENPASS [<bits>]
    Generate a secure 256-bit user password. The optional `bits` argument can
    be used to specify a different size.
LIST
    Show users details in config file format.
LOAD
    Reload users from the ACL file.
LOG [<count> | RESET]
    Show the ACL log entries.
SAVE
    Save the current config to the ACL file.
SETUSER <username> <rule> [<rule> ...]
    Create or modify a user with the specified rules.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username.
""",
)

PASSWORD_BITS = 256
PASSWORD_BITS_MAX = 4096
PASSWORD_BITS_PER_DIGIT = 4

ENTRIES = 10
"""How many refusals ACL LOG tells if it is not said."""

USUAL = NOSCRIPT | LOADING | STALE


@command("ACL WHOAMI", USUAL, since="6.0.0", complexity="O(1)")
def whoami(session: "Session") -> str:
    """Returns the authenticated username of the current connection."""
    return session.user.name


@command("ACL USERS", ADMIN | USUAL, since="6.0.0", complexity="O(N). Where N is the number of configured users.")
def users(session: "Session") -> list[str]:
    """Lists all ACL users."""
    return [user.name for user in session.router.users.sorted()]


@command("ACL LIST", ADMIN | USUAL, since="6.0.0", complexity="O(N). Where N is the number of configured users.")
def list_(session: "Session") -> list[bytes]:
    """Dumps the effective rules in ACL file format."""
    return session.router.users.lines()


@command(
    "ACL GETUSER username",
    ADMIN | USUAL,
    since="6.0.0",
    complexity="O(N). Where N is the number of password, command and pattern rules that the user has.",
)
def getuser(session: "Session", name: bytes) -> dict[str, Any] | None:
    """Lists the ACL rules of a user."""
    user = session.router.users.users.get(_text(name))
    if user is None:
        return None
    root, *others = user.selectors
    return {
        "flags": Members(user.flags()),
        "passwords": list(user.passwords),
        **_rules(root),
        "selectors": [_rules(selector) for selector in others],
    }


def _rules(selector: Selector) -> dict[str, bytes]:
    return {
        "commands": selector.commands_text(),
        "keys": selector.keys_text(),
        "channels": selector.channels_text(),
        "databases": selector.dbs_text(),
    }


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


@command(
    "ACL SETUSER username [rule [rule ...]]",
    ADMIN | USUAL,
    since="6.0.0",
    complexity="O(N). Where N is the number of rules provided.",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def setuser(session: "Session", name: bytes, *rules: bytes) -> Status:
    """Creates and modifies an ACL user and its rules."""
    if has_blanks(name):
        raise RedisError("ERR Usernames can't contain spaces or null characters")
    session.router.users.set(_text(name), rules, session)
    return OK


@command(
    "ACL DELUSER username [username ...]",
    ADMIN | USUAL,
    since="6.0.0",
    complexity="O(1) amortized time considering the typical user.",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def deluser(session: "Session", *names: bytes) -> int:
    """Deletes ACL users, and terminates their connections."""
    if DEFAULT.encode() in names:
        raise RedisError("ERR The 'default' user cannot be removed")
    return sum(session.router.users.delete(_text(name), session) for name in names)


@command("ACL DRYRUN username command [arg [arg ...]]", ADMIN | USUAL, since="7.0.0", complexity="O(1).")
def dryrun(session: "Session", name: bytes, *argv: bytes) -> Status | bytes:
    """Simulates the execution of a command by a user, without executing the command."""
    router = session.router
    user = router.users.users.get(_text(name))
    if user is None:
        raise RedisError(f"ERR User '{shown(name)}' not found")
    container = router.table.resolve(list(argv[:1]))
    found = container if container is not None and container.opaque else router.table.resolve(list(argv))
    if found is None:
        raise RedisError(f"ERR Command '{shown(argv[0])}' not found")
    if not (found.opaque and len(argv) > 1) and not found.shortest <= len(argv) <= found.longest:
        raise wrong_arity(found.name)
    return router.users.dry_run(session, user, found, argv) or OK


@command(
    "ACL LOG [count | RESET]",
    ADMIN | USUAL,
    since="6.0.0",
    complexity="O(N) with N being the number of entries shown.",
)
def log(session: "Session", *options: bytes) -> list[dict[str, Any]] | Status:
    """Lists recent security events generated due to ACL rules."""
    if len(options) > 1:
        raise unknown_subcommand_or_arity("ACL", b"LOG")
    refusals = session.router.users.log
    if options and options[0].upper() == b"RESET":
        refusals.clear()
        return OK
    return refusals.told(integer(options[0]) if options else ENTRIES, session.router.now_ms())


@command("ACL LOAD", ADMIN | USUAL, since="6.0.0", complexity="O(N). Where N is the number of configured users.")
def load(session: "Session") -> Status:
    """Reloads the rules from the configured ACL file."""
    session.router.users.reload(_path(session), session)
    return OK


@command(
    "ACL SAVE",
    ADMIN | USUAL,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def save(session: "Session") -> Status:
    """Saves the effective ACL rules in the configured ACL file."""
    acl_file.save(_path(session), session.router.users.lines())
    return OK


def _path(session: "Session") -> str:
    path = session.router.config.path("aclfile")
    if not path:
        raise RedisError(
            "ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
            "command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store "
            "users in the configuration."
        )
    return path


@command(
    "ACL CAT [category]",
    USUAL,
    since="6.0.0",
    complexity="O(1) since the categories and commands are a fixed set.",
)
def cat(session: "Session", *options: bytes) -> list[Any]:
    """Lists the ACL categories, or the commands inside a category."""
    if len(options) > 1:
        raise unknown_subcommand_or_arity("ACL", b"CAT")
    if not options:
        return list(CATEGORIES)
    category = shown(options[0])
    if category.lower() not in CATEGORIES:
        raise RedisError(f"ERR Unknown category '{category[:SHOWN_BYTES_MAX]}'")
    return [entry.name for entry in session.router.table.shown() if category.lower() in entry.acl]


@command("ACL GENPASS [bits]", USUAL, since="6.0.0", complexity="O(1)")
def genpass(session: "Session", *options: bytes) -> str:
    """Generates a pseudorandom, secure password that can be used to identify ACL users."""
    if len(options) > 1:
        raise unknown_subcommand_or_arity("ACL", b"GENPASS")
    bits = integer(options[0]) if options else PASSWORD_BITS
    if not 1 <= bits <= PASSWORD_BITS_MAX:
        limits = f"the number of bits for the output password, a positive number up to {PASSWORD_BITS_MAX}"
        raise RedisError(f"ERR ACL GENPASS argument must be {limits}")
    digits = -(-bits // PASSWORD_BITS_PER_DIGIT)
    return session.router.random_bytes(digits).hex()[:digits]
