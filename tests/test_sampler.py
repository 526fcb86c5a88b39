"""The sampler of instantaneous figures: it follows the traffic, and rests when there is none."""

from router.sampler import IDLE_PERIOD_S, PERIOD_S, REST, Sampler


def run(
    sampler: Sampler, seconds: float, ops_per_s: int, start: tuple[float, int], clients: int = 1
) -> tuple[float, int]:
    """Looks as often as it wants, under that traffic; the time and the counter at the end."""
    now_s, commands = start
    end_s = now_s + seconds
    while now_s < end_s:
        sampler.look(now_s, commands, commands * 30, commands * 5)
        period_s = sampler.next_look_s(clients, 0.0)
        assert period_s is not None
        now_s += period_s
        commands += int(ops_per_s * period_s)
    sampler.look(now_s, commands, commands * 30, commands * 5)
    return now_s, commands


def test_rates() -> None:
    sampler = Sampler()
    run(sampler, 3, 1000, (0.0, 0))
    rates = sampler.rates()
    assert 900 < rates["instantaneous_ops_per_sec"] < 1100
    assert 27_000 < rates["input_bytes_per_second"] < 33_000
    assert 4_500 < rates["output_bytes_per_second"] < 5_500


def test_it_follows_what_changes() -> None:
    sampler = Sampler()
    state = run(sampler, 3, 1000, (0.0, 0))
    state = run(sampler, 4, 0, state)
    assert sampler.rates()["instantaneous_ops_per_sec"] == 0
    run(sampler, 5, 500, state)
    assert 450 < sampler.rates()["instantaneous_ops_per_sec"] < 550


def test_it_rests_when_idle_and_sleeps_without_clients() -> None:
    sampler = Sampler()
    sampler.look(0.0, 0, 0, 0)
    assert sampler.next_look_s(1, 0.0) == IDLE_PERIOD_S
    sampler.look(1.0, 10, 0, 0)
    assert sampler.next_look_s(1, 0.0) == PERIOD_S
    assert sampler.next_look_s(1, 0.01) == 0.01 * REST
    assert sampler.next_look_s(0, 0.0) == PERIOD_S  # The clients are gone, their figures are not yet.
    sampler.look(1.1, 10, 0, 0)
    assert sampler.next_look_s(0, 0.0) is None
    assert not sampler.running
    assert set(sampler.rates().values()) == {0.0}


def test_a_counter_that_was_reset() -> None:
    sampler = Sampler()
    sampler.look(0.0, 100, 100, 100)
    sampler.look(1.0, 5, 5, 5)
    assert sampler.rates()["instantaneous_ops_per_sec"] == 0
    sampler.forget()
    assert sampler.rates()["instantaneous_ops_per_sec"] == 0
