"""Metrics of a real server over HTTP: in health, with a shard that is down or busy, and without a router."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.exporter_names import ABSENT, MORE, SERIES
from tests.servers import ROOT, Shardis, free_port

TIMEOUT_S = 30.0
PASSWORD = "a-password-that-nobody-sees"


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(2, metrics_port=free_port(), metrics_bind="127.0.0.1", requirepass=PASSWORD) as server:
        yield server


def get(server: Shardis, path: str, **headers: str) -> tuple[str, str]:
    """The body, and its type."""
    url = f"http://127.0.0.1:{server.options['metrics-port']}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def scrape(server: Shardis) -> dict[str, float]:
    """Each series with a value, its labels as `name{a=b}`."""
    found = {}
    for family in text_string_to_metric_families(get(server, "/metrics")[0]):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def samples(server: Shardis, after: str = "0") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(server, f"/samples.json?after={after}")[0])
    return found


def until(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Reads until it is so; what was read."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            found = read()
            if holds(found):
                return found
        except (OSError, urllib.error.URLError):
            found = "nothing"
        assert time.monotonic() < deadline_s, found
        time.sleep(0.05)


def process(server: Shardis, title: str) -> int:
    """The process id of a child of the supervisor; 0 if there is none."""
    assert server.process is not None
    children = psutil.Process(server.process.pid).children()
    return next((child.pid for child in children if child.cmdline() and child.cmdline()[0] == f"shardis: {title}"), 0)


def test_all_is_told(server: Shardis) -> None:
    with server.connect() as client:
        client.call("AUTH", PASSWORD)
        for number in range(100):
            client.call("SET", f"key:{number}", number)
        for number in range(100):
            client.call("GET", f"key:{number + 50}")
        client.call("HSET", "key:1", "a", "b")
    found = until(lambda: scrape(server), lambda found: found.get("redis_commands_total{cmd=set}") == 100)
    assert found["redis_up"] == 1 and found["redis_db_keys{db=db0}"] == 100
    assert found["shardis_shard_keys{shard=0}"] + found["shardis_shard_keys{shard=1}"] == 100
    assert found["redis_keyspace_hits_total"] == 50 and found["redis_keyspace_misses_total"] == 50
    assert found["redis_errors_total{err=WRONGTYPE}"] == 1
    assert found["redis_commands_failed_calls_total{cmd=hset}"] == 1
    assert found["shardis_shard_commands_total{shard=0}"] > 0
    assert found["redis_aof_current_size_bytes"] == sum(
        found[f"shardis_shard_aof_size_bytes{{shard={index}}}"] for index in range(2)
    )


def test_what_dashboards_and_alerts_go_by() -> None:
    """Each series of redis_exporter is there by its name, its type and its labels."""
    with Shardis(2, metrics_port=free_port(), enable_debug_command="yes") as server, server.connect() as client:
        client.call("CONFIG", "SET", "latency-monitor-threshold", "1")
        client.call("DEBUG", "SLEEP", "0.01")
        client.call("NOSUCH")
        text = until(lambda: get(server, "/metrics")[0], lambda text: 'event_name="command"' in text)
    types = dict(re.findall(r"^# TYPE redis_(\S+) (\S+)$", text, re.MULTILINE))
    labels = {
        sample.name: sample.labels.keys() - {"quantile"}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for (kind, wanted), names in SERIES.items():
        for name in {*names.split()} - ABSENT.keys():
            assert types.get(name) == kind, name
            sample = f"redis_{name}" if kind != "counter" or name.endswith("_total") else f"redis_{name}_total"
            assert labels[sample] == {*wanted} | MORE.get(name, set()), name
    assert not ABSENT.keys() & types.keys()


def test_both_formats(server: Shardis) -> None:
    assert get(server, "/metrics")[1].startswith("text/plain; version=")
    body, kind = get(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text") and body.endswith("# EOF\n")


def test_the_page_and_its_files(server: Shardis) -> None:
    page, kind = get(server, "/")
    assert kind == "text/html; charset=utf-8" and 'src="/page.js"' in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", ""), "nothing is loaded from elsewhere"
    for path, wanted in (("/page.js", "text/javascript"), ("/charts.js", "text/javascript"), ("/page.css", "text/css")):
        assert get(server, path)[1].startswith(wanted)
    for path in ("/none", "/page.html/../../site.py", "/%2e%2e/site.py"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(server, path)


def test_samples(server: Shardis) -> None:
    found = until(lambda: samples(server), lambda found: len(found["samples"]) > 2)
    assert found["up"] and [shard["state"] for shard in found["shards"]] == ["ready", "ready"]
    times = [sample["t"] for sample in found["samples"]]
    assert times == sorted(times) and "ops" in found["samples"][-1]
    assert all(sample["t"] > times[-1] for sample in samples(server, str(times[-1]))["samples"])
    for after in ("nan", "inf", "x"):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            samples(server, after)


def test_no_secret_is_told(server: Shardis) -> None:
    for path in ("/", "/metrics", "/samples.json"):
        assert PASSWORD not in get(server, path)[0]


def test_a_shard_that_is_busy_holds_nobody_up(server: Shardis) -> None:
    pid = process(server, "shard 1")
    os.kill(pid, signal.SIGSTOP)
    try:
        found = until(lambda: scrape(server), lambda found: found["shardis_shard_answers{shard=1}"] == 0)
        assert found["redis_up"] == 1 and found["shardis_shard_up{shard=1}"] == 1
        assert found["redis_db_keys{db=db0}"] == 100, "its last figures count"
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: scrape(server), lambda found: found["shardis_shard_answers{shard=1}"] == 1)


def test_a_shard_that_is_down(server: Shardis) -> None:
    supervisor = server.process.pid if server.process is not None else 0
    os.kill(supervisor, signal.SIGSTOP)  # So that it is not started again before somebody has looked.
    try:
        os.kill(process(server, "shard 0"), signal.SIGKILL)
        found = until(lambda: scrape(server), lambda found: found["shardis_shard_up{shard=0}"] == 0)
        assert found["redis_up"] == 1 and found["shardis_shard_up{shard=1}"] == 1
        assert "shardis_shard_keys{shard=0}" not in found
        assert samples(server)["shards"][0]["state"] == "down"
    finally:
        os.kill(supervisor, signal.SIGCONT)
    found = until(lambda: scrape(server), lambda found: found["shardis_shard_up{shard=0}"] == 1)
    assert found["redis_db_keys{db=db0}"] == 100


def test_the_process_is_started_again(server: Shardis) -> None:
    before = process(server, "metrics")
    os.kill(before, signal.SIGKILL)
    assert until(lambda: scrape(server), lambda found: found["redis_up"] == 1)
    assert process(server, "metrics") != before


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        argv = ["--port", str(free_port()), "--dir", str(tmp_path), "--shards", "1", "--loglevel", "nothing"]
        done = subprocess.run(
            [sys.executable, "-m", "deploy", *argv, "--metrics-port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    assert done.returncode == 1
    assert done.stderr == f"shardis: cannot listen on 127.0.0.1:{port} for metrics: Address already in use\n"


def test_a_router_that_is_gone(server: Shardis) -> None:
    supervisor = server.process.pid if server.process is not None else 0
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(process(server, "router"), signal.SIGKILL)
        found = until(lambda: scrape(server), lambda found: found["redis_up"] == 0)
        assert found == {"redis_up": 0, "shardis_shard_up{shard=0}": 0, "shardis_shard_up{shard=1}": 0}
        assert samples(server)["fault"] == "is not there"
    finally:
        os.kill(supervisor, signal.SIGCONT)
    until(lambda: scrape(server), lambda found: found["redis_up"] == 1)
    assert "the router answers" in [text for _, text in samples(server)["events"]]
