"""Keys that are laid aside for a hold to come: a part at a time, where they are too many for one message."""

from typing import TYPE_CHECKING

from common.errors import RedisError
from shard.blocked_keys import ManyKeys
from shard.control import control

if TYPE_CHECKING:
    from shard.server import Shard


@control
def lay(shard: "Shard", number: int, keys: list[bytes]) -> None:
    """Lays keys aside, beside those that are laid aside under that number: nobody is kept from them yet."""
    name = (shard.room.origin, number)
    laid = shard.room.laid.get(name)
    if laid is None:
        laid = shard.room.laid[name] = ManyKeys()
    laid.update(keys)


@control
def unlay(shard: "Shard", number: int) -> None:
    """Forgets them."""
    laid = shard.room.laid.pop((shard.room.origin, number), None)
    if laid is not None:
        shard.store.garbage.append(laid.buckets)


def laid_aside(shard: "Shard", number: int) -> ManyKeys:
    """Those of that number, which are laid aside no more."""
    laid = shard.room.laid.pop((shard.room.origin, number), None)
    if laid is None:
        raise RedisError("ERR no keys are laid aside")
    return laid
