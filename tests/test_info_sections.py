"""The sections of INFO, from facts: how the figures of several shards become one."""

from typing import Any

from router.info_sections import Facts, human, keyspace, ratio


def facts(*shards: dict[str, Any]) -> Facts:
    return Facts(None, dict(enumerate(shards)), {})  # type: ignore[arg-type]


def test_human() -> None:
    sizes = {0: "0B", 320: "320B", 1024: "1.00K", 33792: "33.00K", 1768232: "1.69M", 25276502016: "23.54G"}
    assert {size: human(size) for size in sizes} == sizes


def test_ratio_of_nothing() -> None:
    assert ratio(1, 0) == 0
    assert ratio(1, 4) == 0.25


def test_totals() -> None:
    found = facts({"stats": {"keyspace_hits": 2}}, {"stats": {"keyspace_hits": 3, "evicted_keys": 1}})
    assert found.total("keyspace_hits") == 5
    assert found.total("evicted_keys") == 1
    assert found.total("nosuch") == 0


def test_logs() -> None:
    found = facts(
        {"aof": {"aof_current_size": 10, "aof_last_write_status": "ok", "aof_last_rewrite_time_sec": 3}},
        {"aof": {"aof_current_size": 20, "aof_last_write_status": "err", "aof_last_rewrite_time_sec": -1}},
    )
    assert found.log("aof_current_size") == 30
    assert found.log("aof_last_write_status") == "err"
    assert found.log("aof_last_rewrite_time_sec") == 3
    assert found.log("nosuch", "ok") == "ok"


def test_keyspace_weighs_the_average_by_the_number_of_expiries() -> None:
    found = keyspace(
        facts(
            {"dbs": {0: {"keys": 10, "expires": 1, "avg_ttl": 100}, 3: {"keys": 1, "expires": 0, "avg_ttl": 0}}},
            {"dbs": {0: {"keys": 20, "expires": 3, "avg_ttl": 500}}},
        )
    )
    assert found == {
        "db0": "keys=30,expires=4,avg_ttl=400,keys_with_volatile_items=0",
        "db3": "keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=0",
    }
