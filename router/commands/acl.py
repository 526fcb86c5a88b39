"""ACL, for the one user there is: `default`, who may do everything and whose password is `requirepass`."""

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from common.command import ADMIN, LOADING, NOSCRIPT, SHOWN_BYTES_MAX, STALE, unknown_subcommand_or_arity
from common.errors import RedisError, shown
from common.flags import CATEGORIES
from common.numbers import integer
from router.commands.command import Members
from router.commands.connection import USER
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
GETUSER <username>
    Get the user's details.
GENPASS [<bits>]
    Generate a secure 256-bit user password. The optional `bits` argument can
    be used to specify a different size.
LIST
    Show users details in config file format.
USERS
    List all the registered usernames.
WHOAMI
    Return the current connection username.
""",
)

PASSWORD_BITS = 256
PASSWORD_BITS_MAX = 4096
PASSWORD_BITS_PER_DIGIT = 4

USUAL = NOSCRIPT | LOADING | STALE


@command("ACL WHOAMI", USUAL, since="6.0.0", complexity="O(1)")
def whoami(session: "Session") -> str:
    """Returns the authenticated username of the current connection."""
    return session.user


@command("ACL USERS", ADMIN | USUAL, since="6.0.0", complexity="O(N). Where N is the number of configured users.")
def users(session: "Session") -> list[bytes]:
    """Lists all ACL users."""
    return [USER]


@command("ACL LIST", ADMIN | USUAL, since="6.0.0", complexity="O(N). Where N is the number of configured users.")
def list_(session: "Session") -> list[str]:
    """Dumps the effective rules in ACL file format."""
    passwords = " ".join(f"#{digest}" for digest in _digests(session)) or "nopass"
    return [f"user {USER.decode()} on {passwords} ~* &* +@all"]


@command(
    "ACL GETUSER username",
    ADMIN | USUAL,
    since="6.0.0",
    complexity="O(N). Where N is the number of password, command and pattern rules that the user has.",
)
def getuser(session: "Session", name: bytes) -> dict[str, Any] | None:
    """Lists the ACL rules of a user."""
    if name != USER:
        return None
    digests = _digests(session)
    return {
        "flags": Members(["on"] if digests else ["on", "nopass"]),
        "passwords": digests,
        "commands": "+@all",
        "keys": "~*",
        "channels": "&*",
        "databases": "alldbs",
        "selectors": [],
    }


def _digests(session: "Session") -> list[str]:
    password = session.router.config["requirepass"].encode("utf-8", "surrogateescape")
    return [sha256(password).hexdigest()] if password else []


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
