"""`rename-command`: commands that clients know by another name, or not at all.

A call under a new name goes on under the original one, so that shards, their logs and all that counts calls know one
name of each command. Rule: without the directive there is no Renames, and a usual command is not looked at twice.
"""

from collections.abc import Iterable

from common.command import unknown_command
from common.errors import RedisError

Rename = tuple[str, str]


class BadRename(ValueError):
    """A rename that means nothing; the text is Valkey's, behind the line."""


class Renames:
    """The names that clients have to use."""

    def __init__(self, renames: Iterable[Rename], names: Iterable[str]) -> None:
        """`names` are those of all commands; one rename counts for those behind it.  Raises BadRename."""
        known = {name: name for name in names}
        every = set(known)
        for old, new in renames:
            line = f"rename-command {old} {new or repr('')}"
            if old.lower() not in known:
                raise BadRename(f"{line}: No such command in rename-command")
            original = known.pop(old.lower())
            if new.lower() in known:
                raise BadRename(f"{line}: Target command name already exists")
            if new:
                known[new.lower()] = original
        self.originals = {new.encode(): old.upper().encode() for new, old in known.items() if new != old}
        """By the new name in lower case."""
        self.gone = {name.encode() for name in every - known.keys()}

    def meant(self, argv: list[bytes]) -> tuple[list[bytes], RedisError | None]:
        """The call under its original name; and what is said to one that has lost its name."""
        name = argv[0].lower()
        if name in self.originals:
            return [self.originals[name], *argv[1:]], None
        if name in self.gone:
            return [b""], unknown_command(argv)
        return argv, None
