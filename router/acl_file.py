"""The ACL file: one user a line, as ACL LIST has them, loaded by ACL LOAD and at the start, written by ACL SAVE."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from common.config_file import read_text, words_of
from common.errors import RedisError
from router.acl_selector import BLANKS, BadRule
from router.acl_user import Unmatched
from router.config_rewrite import write_atomically

if TYPE_CHECKING:
    from router.acl_user import User

logger = logging.getLogger("shardis")

NO_CHANGE = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
NOT_SAVED = "ERR There was an error trying to save the ACLs. Please check the server logs for more information"


class Faulty(Exception):
    """What is wrong with a file: all of it, in the reference's words."""


def load(path: str, new: "Callable[[str], User]", *, new_with_channels: bool) -> "dict[str, User]":
    """The users of a file, each made by `new`.  Raises Faulty, which also says that the file can't be read."""
    try:
        text = read_text(path)
    except OSError as error:
        raise Faulty(f"Error loading ACLs, opening file '{path}': {error.strerror}") from None
    users: dict[str, User] = {}
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r\n")
        if line and not line.startswith("#"):
            try:
                user = _read(line, f"{path}:{number}", new, new_with_channels)
                if user.name in users:
                    raise Faulty(f"WARNING: Duplicate user '{user.name}' found on line {number}. ")
                users[user.name] = user
            except Faulty as fault:
                faults.append(str(fault))
    if faults:
        raise Faulty("".join(faults))
    return users


def _read(line: str, place: str, new: "Callable[[str], User]", new_with_channels: bool) -> "User":
    words = words_of(line)
    if words is None:
        raise Faulty(f"{place}: unbalanced quotes in acl line. ")
    if len(words) < 2 or words[0] != "user":
        raise Faulty(f"{place} should start with user keyword followed by the username. ")
    if not BLANKS.isdisjoint(words[1].encode("utf-8", "surrogateescape")):
        raise Faulty(f"'{place}: username '{words[1]}' contains invalid characters. ")
    user = new(words[1])
    rules = [word.encode("utf-8", "surrogateescape") for word in words[2:]]
    try:
        user.apply(rules, all_channels=new_with_channels)
    except Unmatched:
        raise Faulty(f"{place}: Unmatched parenthesis in selector definition.") from None
    except BadRule as error:
        raise Faulty(f"{place}: {error}. ") from None
    return user


def save(path: str, lines: list[bytes]) -> None:
    """Writes the users into the file: after a crash it is the old or the new one, whole.  Raises RedisError."""
    text = b"".join(line + b"\n" for line in lines).decode("utf-8", "surrogateescape")
    try:
        write_atomically(path, text)
    except OSError as error:
        logger.warning("the ACL file can't be written: %s", error)
        raise RedisError(NOT_SAVED) from None
