"""The log of refusals: what counts as one entry, and how many are kept."""

from router.acl_log import GROUPED_MS, LOOKED_AT_MAX, Entry, Log


def entry(what: bytes, at_ms: int = 1000, reason: str = "key") -> Entry:
    return Entry(reason, "toplevel", what, "alice", f"id={at_ms}", at_ms)


def told(log: Log, now_ms: int = 5000) -> list[tuple[bytes, int, int]]:
    return [(one["object"], one["count"], one["entry-id"]) for one in log.told(100, now_ms)]


def test_one_like_another_counts_for_that() -> None:
    log = Log()
    for what in (b"a", b"b", b"a"):
        log.add(entry(what, 1000 + len(log.entries)), 10)
    assert told(log) == [(b"a", 2, 0), (b"b", 1, 1)]
    log.add(entry(b"a", reason="channel"), 10)
    assert told(log)[0] == (b"a", 1, 2)
    newest = log.told(2, 5000)[1]
    assert newest["timestamp-created"] == 1000 and newest["timestamp-last-updated"] == 1002
    assert newest["age-seconds"] == 3.998 and newest["client-info"] == "id=1002"


def test_only_near_ones_are_alike() -> None:
    log = Log()
    log.add(entry(b"a", 0), 10)
    log.add(entry(b"a", GROUPED_MS), 10)
    assert told(log) == [(b"a", 2, 0)]
    log.add(entry(b"a", 2 * GROUPED_MS + 1), 10)
    assert told(log) == [(b"a", 1, 1), (b"a", 2, 0)]


def test_only_among_the_newest() -> None:
    log = Log()
    log.add(entry(b"a"), 100)
    for number in range(LOOKED_AT_MAX - 1):
        log.add(entry(b"%d" % number), 100)
    log.add(entry(b"a"), 100)
    assert told(log)[0] == (b"a", 2, 0)
    for number in range(LOOKED_AT_MAX):
        log.add(entry(b"x%d" % number), 100)
    log.add(entry(b"a"), 100)
    assert told(log)[0][1] == 1


def test_the_oldest_are_forgotten() -> None:
    log = Log()
    for number in range(4):
        log.add(entry(b"%d" % number), 2)
    assert [what for what, _, _ in told(log)] == [b"3", b"2"]
    log.add(entry(b"z"), 0)
    assert told(log) == []
    assert log.told(-1, 0) == []
