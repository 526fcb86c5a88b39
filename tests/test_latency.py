"""The latency monitor: samples, their drawing, and the doctor's words."""

from router.latency import SAMPLES_MAX, Event, LatencyMonitor, age, diagnosis, graph


def event(*samples: tuple[int, int]) -> Event:
    made = Event()
    for at_s, duration_ms in samples:
        made.add(at_s, duration_ms)
    return made


def test_the_longest_of_a_second_is_kept() -> None:
    found = event((100, 5), (100, 9), (100, 7), (101, 3))
    assert list(found.samples) == [[100, 9], [101, 3]]
    assert (found.highest_ms, found.sum_ms, found.count) == (9, 24, 4)
    assert (found.average_ms, found.deviation_ms) == (6, 3)


def test_a_part_that_took_longer_takes_the_place_of_another() -> None:
    found = event((100, 5))
    found.add(100, 9, before_ms=5)
    assert (list(found.samples), found.highest_ms, found.sum_ms, found.count) == ([[100, 9]], 9, 9, 1)


def test_samples_are_bounded() -> None:
    found = event(*((second, 1) for second in range(SAMPLES_MAX + 1)))
    assert len(found.samples) == SAMPLES_MAX
    assert found.samples[0] == [1, 1]
    assert found.count == SAMPLES_MAX + 1


def test_reset() -> None:
    monitor = LatencyMonitor()
    for name in ("command", "expire-cycle", "aof-write"):
        monitor.add(name, 100, 5)
    assert monitor.reset(["command", "nosuch", "command"]) == 1
    assert list(monitor.events) == ["expire-cycle", "aof-write"]
    assert monitor.reset([]) == 2
    assert not monitor.events


def test_graph_of_one_sample() -> None:
    head = f"command - high 20 ms, low 20 ms (all time high 30 ms)\n{'-' * 80}\n"
    found = event((100, 30))
    found.samples[0][1] = 20
    assert graph("command", found, 100) == f"{head} \n \n \n_\n \n0\ns\n"


def test_graph_of_several() -> None:
    drawn = graph("command", event((40, 10), (100, 40), (101, 25), (104, 40)), 104).split("\n")
    assert drawn[0] == "command - high 40 ms, low 10 ms (all time high 40 ms)"
    assert drawn[2:] == [" # #", " |_|", " |||", "_|||", "    ", "1430", "msss", ""]


def test_ages() -> None:
    ages = {-1: "0s", 59: "59s", 60: "1m", 3599: "59m", 3600: "1h", 86399: "23h", 200_000: "2d"}
    assert {seconds: age(seconds) for seconds in ages} == ages


def test_diagnosis() -> None:
    monitor = LatencyMonitor()
    assert "Latency monitoring is disabled" in diagnosis(monitor, 100, 0, 10_000)
    assert "No latency spike was observed" in diagnosis(monitor, 100, 5, 10_000)
    monitor.add("command", 95, 20)
    monitor.add("command", 97, 40)
    text = diagnosis(monitor, 100, 5, 10_000)
    line = (
        "1. command: 2 latency spikes (average 30ms, mean deviation 10ms, period 2.50 sec). Worst all time event 40ms."
    )
    assert line in text
    assert "Please use 'CONFIG SET slowlog-log-slower-than 5000'" in text
    assert "Try to enable the Slow Log" in diagnosis(monitor, 100, 5, -1)
    assert "Slow Log configuration" not in diagnosis(monitor, 100, 5, 5000)
