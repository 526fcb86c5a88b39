"""What each kind of directive takes, shows and refuses: as Valkey does."""

from collections.abc import Iterator

import pytest

from common.config import Config
from common.errors import RedisError
from tests.reference import Reference
from tests.resp_client import Client, Error


@pytest.fixture(scope="module")
def valkey() -> Iterator[Client]:
    with Reference() as server, server.connect() as client:
        yield client


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("hz", text) for text in ("0", "1", "500", "501", "10")],
        *[("maxmemory", text) for text in ("1gb", "1G", "5k", "5kb", "5B", "010", "", "0", "2m", "3mb", "7b")],
        *[("maxmemory-clients", text) for text in ("5%", "0%", "100%", "1mb")],
        *[("maxmemory-policy", text) for text in ("allkeys-LRU", "volatile-ttl", "noeviction")],
        *[("save", text) for text in ("900 1", "900 1 30 2", "", "1", "1 a", "  900 1", "0 1", "1 -1", "1 0")],
        *[
            ("notify-keyspace-events", text)
            for text in ("KEA", "Elg", "KEAmn", "g", "ndmtexzhsl$gEK", "nK", "ntK", "KEAx", "KEA%", "", "Km")
        ],
        *[
            ("client-output-buffer-limit", text)
            for text in (
                "normal 1 2 3",
                "slave 1mb 2kb 3 pubsub 1 2 3",
                "replica 5 5 5",
                "NORMAL 7 7 7",
                "normal 1 2",
                "foo 1 2 3",
                "normal a 2 3",
                "normal 1 2 a",
                "master 1 2 3",
            )
        ],
        *[
            ("latency-tracking-info-percentiles", text)
            for text in ("50 99.9 10.1234567", "", "0", "100", "100.1", "-1", "abc", "1 5a", "1e1", "0x10")
        ],
        *[("shutdown-on-sigterm", text) for text in ("now save", "save save", "DEFAULT", "save default", "x", "")],
        *[("oom-score-adj-values", text) for text in ("1 2", "1 2 3", "1 2 a", "1 2 3000")],
        *[("loglevel", text) for text in ("debug", "nothing", "Notice", "x")],
        *[("appendonly", text) for text in ("YES", "no", " yes")],
        *[("lua-time-limit", text) for text in ("5", "-1")],
    ],
)
def test_value(valkey: Client, name: str, text: str) -> None:
    config = Config()
    before = valkey.call("CONFIG", "GET", name)[1].decode()
    config.set([(name, before)])
    theirs = valkey.call("CONFIG", "SET", name, text)
    if isinstance(theirs, Error):
        with pytest.raises(RedisError) as caught:
            config.set([(name, text)])
        assert str(caught.value).encode() == bytes(theirs)
    else:
        config.set([(name, text)])
    assert config.get([name]) == {name: valkey.call("CONFIG", "GET", name)[1].decode()}
