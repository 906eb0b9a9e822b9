"""The numbers of the consumer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huey.consumer import policy


class TestPace:
    def test_a_new_consumer_is_careful(self) -> None:
        pace = policy.Pace()

        assert not pace.is_short
        assert pace.ahead() == 0

    def test_short_tasks_earn_work_ahead(self) -> None:
        pace = policy.Pace()

        for _ in range(100):
            pace.observe(0.0001)

        assert pace.is_short
        assert pace.ahead() > 10

    def test_one_long_task_ends_that(self) -> None:
        pace = policy.Pace()
        for _ in range(100):
            pace.observe(0.0001)

        pace.observe(10.0)

        assert not pace.is_short
        assert pace.ahead() == 0

    @given(st.lists(st.floats(0, 1e6), max_size=50))
    def test_no_more_than_a_batch_is_claimed_ahead(self, durations: list[float]) -> None:
        pace = policy.Pace()

        for duration in durations:
            pace.observe(duration)

        assert 0 <= pace.ahead() <= policy.BATCH


class TestUnknownDelay:
    def test_the_first_look_comes_soon(self) -> None:
        assert policy.unknown_delay(1) == policy.UNKNOWN_FIRST

    def test_later_looks_are_further_apart(self) -> None:
        delays = [policy.unknown_delay(attempt) for attempt in range(1, 20)]

        assert delays == sorted(delay for delay in delays if delay is not None)
        assert delays[-1] == policy.UNKNOWN_MOST

    def test_after_a_day_there_is_no_other_look(self) -> None:
        attempt, waited = 1, 0.0
        while (delay := policy.unknown_delay(attempt)) is not None:
            waited += delay
            attempt += 1

        assert policy.UNKNOWN_AGE <= waited <= policy.UNKNOWN_AGE + policy.UNKNOWN_MOST


@pytest.mark.parametrize("failures", [1, 5, 10_000])
def test_a_storage_that_is_down_is_neither_hammered_nor_forgotten(failures: int) -> None:
    assert 0.05 <= policy.reconnect_delay(failures) <= 2.05
