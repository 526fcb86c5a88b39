"""The collector after `settle`, in a process of its own."""

import subprocess
import sys

from common.collector import YOUNG_MAX
from tests.servers import ROOT

PROGRAM = """
import gc
from common.collector import settle

class Node: ...

held = [Node() for _ in range(1000)]
lost = Node()
lost.itself = lost
del lost
settle()
print(gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count() > 1000)
collections = gc.get_stats()[0]["collections"]
made = [[] for _ in range({made})]
print(gc.get_stats()[0]["collections"] - collections)
print(sum(type(one) is Node for one in gc.get_objects()))
"""


def lines(made: int) -> list[str]:
    program = PROGRAM.replace("{made}", str(made))
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def test_what_start_up_made_is_frozen_and_no_longer_looked_at() -> None:
    settled, _, looked_at = lines(made=10)
    assert settled == f"True {YOUNG_MAX} True"
    assert looked_at == "0"


def test_the_young_are_looked_at_only_when_there_are_many() -> None:
    assert lines(made=YOUNG_MAX // 2)[1] == "0"
    assert lines(made=YOUNG_MAX * 2)[1] in ("1", "2")


RELEASE = """
import gc, sys
from common.collector import release, settle

class Node: ...

settle()
lost, held = Node(), Node()
lost.itself = lost
del lost
pairs = [(number, number) for number in range(5000)]
del pairs
before = sys.getallocatedblocks()
release()
print(before - sys.getallocatedblocks() > 1000)
print(sum(type(one) is Node for one in gc.get_objects()))
gc.collect()
print(sum(type(one) is Node for one in gc.get_objects()))
"""


def test_what_is_kept_for_new_objects_is_released_and_nothing_looked_at() -> None:
    result = subprocess.run([sys.executable, "-c", RELEASE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["True", "2", "1"], "a cycle stays until the collector looks at it"
