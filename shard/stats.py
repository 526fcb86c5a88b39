"""What a shard counts of its keyspace for INFO."""


class Stats:
    """Counters of one shard, by the names that INFO gives them."""

    __slots__ = (
        "keyspace_hits",
        "keyspace_misses",
        "expired_keys",
        "expired_fields",
        "evicted_keys",
        "expired_time_cap_reached_count",
        "expire_cycle_cpu_milliseconds",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all counts (CONFIG RESETSTAT)."""
        self.keyspace_hits = 0
        self.keyspace_misses = 0
        self.expired_keys = 0
        self.expired_fields = 0
        self.evicted_keys = 0
        self.expired_time_cap_reached_count = 0
        self.expire_cycle_cpu_milliseconds = 0.0

    def as_dict(self) -> dict[str, int | float]:
        """By name."""
        return {
            "keyspace_hits": self.keyspace_hits,
            "keyspace_misses": self.keyspace_misses,
            "expired_keys": self.expired_keys,
            "expired_fields": self.expired_fields,
            "evicted_keys": self.evicted_keys,
            "expired_time_cap_reached_count": self.expired_time_cap_reached_count,
            "expire_cycle_cpu_milliseconds": self.expire_cycle_cpu_milliseconds,
        }
