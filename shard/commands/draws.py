"""The count of SRANDMEMBER, HRANDFIELD and ZRANDMEMBER: a negative one draws so many, each from all there are."""

from common.errors import RedisError
from common.numbers import INTEGER_MAX

DRAWS_MAX = 1 << 20
"""Drawn in one call: about a second's worth, and some hundred megabytes. The reference sets no limit, answers nobody
else meanwhile, and dies when its memory is full."""


def check_draws(count: int) -> None:
    """To be asked where there is something to draw from.  Raises RedisError."""
    if count < -DRAWS_MAX:
        raise RedisError(f"ERR value is out of range, value must between {-DRAWS_MAX} and {INTEGER_MAX}")
