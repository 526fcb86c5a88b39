"""The ACL file: one user a line, as ACL LIST has them, loaded by ACL LOAD and at the start, written by ACL SAVE."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from common import whole_file
from common.config_file import read_text
from common.errors import RedisError, shown
from router.acl_selector import BLANKS, UNKNOWN, BadRule
from router.acl_user import Unmatched, merged

if TYPE_CHECKING:
    from router.acl_user import User

logger = logging.getLogger("shardis")

NO_CHANGE = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
NOT_SAVED = "ERR There was an error trying to save the ACLs. Please check the server logs for more information"


class Faulty(Exception):
    """What is wrong with a file: all of it, in the reference's words."""


def load(path: str, name: str, new: "Callable[[str], User]", *, new_with_channels: bool) -> "dict[str, User]":
    """The users of a file, which errors call `name`; each is made by `new`.

    Raises Faulty, which also says that the file can't be read.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise Faulty(f"Error loading ACLs, opening file '{name}': {error.strerror}") from None
    users: dict[str, User] = {}
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r\n")
        if line:
            try:
                user = _read(line, f"{name}:{number}", new, new_with_channels)
                if user.name in users:
                    raise Faulty(f"WARNING: Duplicate user '{user.name}' found on line {number}. ")
                users[user.name] = user
            except Faulty as fault:
                faults.append(str(fault))
    if faults:
        raise Faulty("".join(faults))
    return users


def _read(line: str, place: str, new: "Callable[[str], User]", new_with_channels: bool) -> "User":
    """The user of one line, whose words stand between single spaces; nothing is quoted."""
    words = line.split(" ")
    if len(words) < 2 or words[0] != "user":
        raise Faulty(f"{place} should start with user keyword followed by the username. ")
    if not BLANKS.isdisjoint(words[1].encode("utf-8", "surrogateescape")):
        raise Faulty(f"'{place}: username '{words[1]}' contains invalid characters. ")
    user = new(words[1])
    try:
        rules = merged([word.encode("utf-8", "surrogateescape") for word in words[2:]])
    except Unmatched:
        raise Faulty(f"{place}: Unmatched parenthesis in selector definition.") from None
    if faults := _apply(user, rules, place, new_with_channels):
        raise Faulty("".join(faults))
    return user


def _apply(user: "User", rules: list[bytes], place: str, new_with_channels: bool) -> list[str]:
    """What is wrong with rules: each name that is unknown, and the first of all else."""
    faults = []
    others = 0
    for rule in rules:
        try:
            user.apply([rule], all_channels=new_with_channels)
        except BadRule as error:
            if str(error) == UNKNOWN:
                faults.append(f"{place}: Error in applying operation '{shown(rule)}': {error}. ")
            elif not others:
                others = 1
                faults.append(f"{place}: {error}. ")
    return faults


def save(path: str, lines: list[bytes]) -> None:
    """Writes the users into the file: after a crash it is the old or the new one, whole.  Raises RedisError."""
    text = b"".join(line + b"\n" for line in lines).decode("utf-8", "surrogateescape")
    try:
        whole_file.write(path, text)
    except OSError as error:
        logger.warning("the ACL file can't be written: %s", error)
        raise RedisError(NOT_SAVED) from None
