"""The status page in a browser: it draws, it moves, it says what is wrong, it comes back by itself."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.browser import Browser, Page, program
from tests.resp_client import Client
from tests.servers import Shardis, free_port
from tests.test_metrics_site import process

pytestmark = pytest.mark.skipif(program() is None, reason="there is no chromium here (apt-get install chromium)")

PIXELS = """
(title => {
  const canvas = [...document.querySelectorAll("canvas")].find(one => one.dataset.chart === title);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum = (sum * 31 + data[at] * 7 + data[at + 2] + data[at + 3]) % 1000003;
  return sum;
})
"""
"""A number for what a chart shows."""
RATE = "document.querySelector('.tile b').textContent"
STATE = "document.querySelector('#state span').textContent"
ROW = "document.querySelector('#shards tbody').rows[1]"


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(2, metrics_port=free_port(), metrics_bind="127.0.0.1", slowlog_log_slower_than=0) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(server: Shardis, browser: Browser) -> Iterator[Page]:
    page = browser.open(f"http://127.0.0.1:{server.options['metrics-port']}/")
    page.until("document.documentElement.dataset.samples > 1")
    yield page
    assert page.errors == []
    page.call("Page.close")


def load(client: Client) -> None:
    for number in range(500):
        client.call("SET", f"key:{number}", number)


def test_it_renders(page: Page, server: Shardis) -> None:
    assert page.value("document.title") == f"Shardis {server.port}"
    assert page.value(STATE) == "all 2 shards ready"
    assert page.value("document.querySelectorAll('canvas').length") == 8
    assert page.value("document.querySelector('#shards tbody').rows.length") == 2
    assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_the_charts_move_under_load(page: Page, server: Shardis) -> None:
    before = page.value(f"{PIXELS}('Commands per second')")
    with server.connect() as client:
        while page.value(f"{PIXELS}('Commands per second')") == before or page.value(RATE) in ("0", "–"):
            load(client)
    page.until("document.querySelector('#commands tbody').rows[0].cells[0].textContent === 'SET'")
    page.until("document.querySelector('#slow tbody').rows.length === 10")
    page.until("document.querySelector('#slow tbody').innerText.includes('SET')")
    assert "key:" not in page.value("document.body.innerText"), "no arguments"


def test_a_shard_that_is_killed_and_comes_back(page: Page, server: Shardis) -> None:
    supervisor = server.process.pid if server.process is not None else 0
    os.kill(supervisor, signal.SIGSTOP)  # So that it is not started again before the page has seen it.
    try:
        os.kill(process(server, "shard 1"), signal.SIGKILL)
        page.until(f"{ROW}.dataset.state === 'down'")
        assert page.value(STATE) == "shard 1 is down"
        assert page.value("document.querySelector('#notice').textContent").startswith("Shard 1 is down.")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    page.until(f"{ROW}.dataset.state === 'ready' && {STATE} === 'all 2 shards ready'")
    assert page.value("document.querySelector('#notice').hidden")
    assert "shard 1 is down" in page.value("document.querySelector('#events').innerText")


def test_a_router_that_is_killed_and_comes_back(page: Page, server: Shardis) -> None:
    supervisor = server.process.pid if server.process is not None else 0
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(process(server, "router"), signal.SIGKILL)
        page.until(f"{STATE} === 'router is gone'")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    page.until(f"{STATE} === 'all 2 shards ready'")


def test_a_metrics_process_that_is_killed_and_comes_back(browser: Browser, server: Shardis) -> None:
    """The browser itself says in the console that it could not connect: that is no fault of the page."""
    page = browser.open(f"http://127.0.0.1:{server.options['metrics-port']}/")
    page.until(f"{STATE} === 'all 2 shards ready'")
    supervisor = server.process.pid if server.process is not None else 0
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(process(server, "metrics"), signal.SIGKILL)
        page.until(f"{STATE} === 'no connection' && document.body.classList.contains('stale')")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    page.until(f"{STATE} === 'all 2 shards ready' && !document.body.classList.contains('stale')")
    assert all("ERR_CONNECTION" in error for error in page.errors)
    page.call("Page.close")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_narrow_screen_in_light_and_dark(page: Page, scheme: str) -> None:
    page.resize(360, 800)
    page.prefer(scheme)
    assert page.until("document.documentElement.scrollWidth <= innerWidth && innerWidth === 360")
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(244, 245, 247)", "dark": "rgb(16, 20, 27)"}[scheme]
    assert page.value("[...document.querySelectorAll('canvas')].every(one => one.clientWidth > 250)")


def test_the_history_is_there_when_it_is_opened_again(page: Page, browser: Browser, server: Shardis) -> None:
    page.until("view.samples.length > 3")
    again = browser.open(f"http://127.0.0.1:{server.options['metrics-port']}/")
    again.until("view.samples.length > 3 && view.samples[2].t * 1000 < performance.timeOrigin")
    again.call("Page.close")


def test_the_time_shown(page: Page) -> None:
    before = page.value(f"{PIXELS}('Memory')")
    page.value("document.querySelector('#range button:not([aria-pressed=true])').click()")
    page.until(f"{PIXELS}('Memory') !== {before}")
