"""Large strings that a router has sent ahead of the frames that name them, see router/freight.py.

They are put together without a copy: the buffer grows in its place, and becomes the string.
"""

from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from common.frame import STAGED_CODE, STAGED_NUMBER, value_of
from shard.control import control

if TYPE_CHECKING:
    from shard.link import Link
    from shard.server import Shard


class Stage:
    """What came by one link, by its number."""

    def __init__(self) -> None:
        self.coming: dict[int, BytesIO] = {}
        self.here: dict[int, bytes] = {}
        self.named = False
        """Whether the frame that was read last names some."""

    def value_of(self, code: int, data: bytes) -> Any:
        """What an extension type in a frame of the link stands for.  Raises KeyError for what is not here."""
        if code == STAGED_CODE:
            self.named = True
            return self.here.pop(STAGED_NUMBER.unpack(data)[0])
        return value_of(code, data)


@control
def stage(shard: "Shard", number: int, piece: bytes, left_bytes: int) -> None:
    """Takes the next piece of a string, of which so much is still to come."""
    staged = cast("Link", shard.room.origin).staged
    buffer = staged.coming.get(number)
    if buffer is None:
        buffer = staged.coming[number] = BytesIO()
    buffer.write(piece)
    if not left_bytes:
        staged.here[number] = staged.coming.pop(number).getvalue()


@control
def unstage(shard: "Shard", number: int) -> None:
    """Forgets a string, or what came of it: it will not be named."""
    staged = cast("Link", shard.room.origin).staged
    staged.coming.pop(number, None)
    staged.here.pop(number, None)
