"""The names of redis_exporter: that each is there once, and that INFO has the fields that they are made of."""

import re

from metrics.names import INSTANCE_INFO, NAMES, SHARD_NAMES
from router.info_sections import SECTIONS, Facts
from router.metrics_door import SECTIONS as TOLD
from tests.bare_router import BareRouter, on_a_loop


def test_each_name_is_there_once_and_is_a_name() -> None:
    names = [name.name for name in NAMES] + [f"shard_{name.name}" for name in SHARD_NAMES]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert all(name.help[0].isupper() and name.help.endswith(".") for name in (*NAMES, *SHARD_NAMES))


GAUGES = {"current_save_keys_total", "expired_time_cap_reached_total", "migrate_cached_sockets_total"}
"""Whatever they end with."""


def test_a_total_is_a_counter() -> None:
    assert all(name.is_counter for name in NAMES if name.name.endswith("_total") and name.name not in GAUGES)


ELSEWHERE = {"aof_buffer_length", "aof_current_size", "aof_base_size", "aof_pending_rewrite", "aof_pending_bio_fsync"}
ELSEWHERE |= {"aof_delayed_fsync", "connected_slaves"}
"""Fields that INFO has when there is a log; and one that has its place in Valkey's own order."""


def test_info_has_the_fields() -> None:
    async def scene() -> None:
        facts = Facts(BareRouter(1).router, {}, {})
        told = {(section, field) for section in TOLD for field in SECTIONS[section][1](facts)}
        wanted = {(name.section, name.field) for name in NAMES if name.field not in ELSEWHERE}
        assert not (wanted | {*INSTANCE_INFO.values()}) - told

    on_a_loop(scene)
