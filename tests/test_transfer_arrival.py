"""The counts at the end of a transfer: what is enough, what is missing, what is somebody else's."""

from array import array

import pytest

from transfer.arrival import Before, Verdict, verdict, verdicts
from transfer.state import Tally

NOW_MS = 1000


def judge(tally: Tally, there: int, times: list[int] | None = None, before: Before | None = None) -> Verdict:
    return verdict(3, tally, array("q", times or []), there, before or Before(), NOW_MS)


@pytest.mark.parametrize(
    ("there", "fault"),
    [
        (10, ""),
        (9, ""),  # One has expired by now, and was removed.
        (8, "db 3: at least 9 keys should be there, and 8 are"),
        (0, "db 3: at least 9 keys should be there, and 0 are"),
    ],
)
def test_those_that_expired_may_be_gone(there: int, fault: str) -> None:
    found = judge(Tally(read=10, sent=10, made=10, volatile=2), there, [NOW_MS, NOW_MS + 1])
    assert found.fault == fault
    assert found.line == f"db 3: 10 keys read, 10 sent, {there} there, 1 expired"


def test_times_of_an_earlier_run_are_not_known() -> None:
    tally = Tally(read=10, sent=10, made=10, volatile=3)
    assert not judge(tally, 7, [NOW_MS + 1], Before(keys=5, resumed=True)).fault.endswith("and 8 are")
    assert not judge(tally, 8, [NOW_MS + 1], Before(keys=5, resumed=True)).fault
    assert judge(tally, 7, [NOW_MS + 1], Before(keys=5, resumed=True)).fault


def test_keys_that_were_there_before_count() -> None:
    tally = Tally(read=10, sent=10, made=4)
    before = Before(keys=20, volatile=3)
    assert judge(tally, 24, before=before) == Verdict("db 3: 10 keys read, 10 sent, 24 there")
    assert not judge(tally, 21, before=before).fault
    assert judge(tally, 20, before=before).fault
    assert judge(tally, 26, before=before).line.endswith("26 there, 2 of them from somebody else")


def test_keys_in_the_way() -> None:
    tally = Tally(read=10, sent=9, made=9, busy=1)
    assert not judge(tally, 9).fault  # It was one of ours, named twice.
    assert judge(tally, 10).fault == "db 3: 1 keys were there already and have not been overwritten"


def test_what_was_not_taken_is_a_fault() -> None:
    found = judge(Tally(read=10, sent=7, made=7, refused=2, vanished=1), 7)
    assert found.fault == "db 3: 2 keys were not transferred"
    assert found.line.endswith("7 there, 1 vanished before they were read, 2 not transferred")


def test_dbs_of_which_nothing_was_read_are_not_shown() -> None:
    tallies = {2: Tally(read=1, sent=1, made=1), 0: Tally(read=1, sent=1, made=1), 1: Tally()}
    lines = [each.line for each in verdicts(tallies, {}, {0: 1, 2: 1}, {}, NOW_MS)]
    assert lines == ["db 0: 1 keys read, 1 sent, 1 there", "db 2: 1 keys read, 1 sent, 1 there"]
