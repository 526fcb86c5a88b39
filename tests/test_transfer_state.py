"""The file that says how far a transfer came."""

import json
from pathlib import Path

import pytest

from transfer.faults import Stopped
from transfer.state import VERSION, State, StateFile, Tally


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state")


def test_what_was_saved_is_loaded(file: StateFile) -> None:
    state = State({"file": "/x", "size": 3}, "redis://h:1", [2, 300, 0], {0: Tally(3, 2, volatile=1), 7: Tally()}, 12)
    file.save(state)
    assert file.load() == state
    assert [each.name for each in file.path.parent.iterdir()] == ["state"]
    file.remove()
    file.remove()
    assert not file.path.exists()


def test_now_and_then_is_at_once_and_then_not(file: StateFile) -> None:
    file.save_now_and_then(State({}, "a"))
    file.save_now_and_then(State({}, "b"))
    assert file.load().target == "a"


def test_there_is_none(file: StateFile) -> None:
    with pytest.raises(Stopped, match="there is nothing to resume: no file .*/state"):
        file.load()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "{", json.dumps({"version": VERSION + 1}), json.dumps({"version": VERSION}), "\xff\xfe",
     json.dumps({"version": VERSION, "source": {}, "target": "", "position": [], "tallies": {"x": {}}, "commands": 0,
                 "id": ""})],
)  # fmt: skip
def test_one_that_is_none(file: StateFile, text: str) -> None:
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Stopped, match="can't be read"):
        file.load()


def test_a_place_where_it_can_not_be(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "none" / "state")
    file.save(State({}, ""))
    assert "No such file" in file.unwritable


def test_tallies_are_added() -> None:
    tally = Tally(read=1, busy=2)
    tally.add(Tally(read=3, sent=4))
    assert tally == Tally(read=4, sent=4, busy=2)
