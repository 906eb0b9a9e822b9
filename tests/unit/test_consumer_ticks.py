"""Ticks of periodic tasks, by a clock that the test moves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from huey import MemoryHuey, crontab
from huey.consumer.ticks import Ticks

NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC


class Clock:
    """Epoch seconds."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def huey() -> MemoryHuey:
    return MemoryHuey("ticking")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ticks(huey: MemoryHuey, clock: Clock) -> Ticks:
    return Ticks(huey, huey._lossless, clock)


def declare(huey: MemoryHuey, rule: Any, **settings: Any) -> Callable[..., Any]:
    @huey.periodic_task(rule, **settings)
    def task() -> None:
        """Do nothing."""

    return task


def test_the_next_tick_is_at_the_whole_minute(huey: MemoryHuey, ticks: Ticks, clock: Clock) -> None:
    declare(huey, crontab())
    clock.now = NOON + 12.5

    wait = ticks.run()

    assert wait == 47.5
    assert len(huey) == 0


def test_a_tick_is_enqueued_once_however_many_schedulers_look(
    huey: MemoryHuey, clock: Clock
) -> None:
    declare(huey, crontab())
    schedulers = [Ticks(huey, huey._lossless, clock) for _ in range(3)]
    for scheduler in schedulers:
        scheduler.run()

    clock.now = NOON + 60
    for scheduler in schedulers:
        scheduler.run()
        scheduler.run()

    assert len(huey) == 1


def test_a_restart_within_the_minute_doubles_nothing(
    huey: MemoryHuey, ticks: Ticks, clock: Clock
) -> None:
    declare(huey, crontab())
    ticks.run()
    clock.now = NOON + 60
    ticks.run()

    clock.now = NOON + 61
    Ticks(huey, huey._lossless, clock).run()

    assert len(huey) == 1


@pytest.mark.parametrize(("catch_up", "expected"), [("none", 0), ("last", 1), ("all", 5)])
def test_ticks_missed_while_no_consumer_ran_follow_catch_up(
    huey: MemoryHuey, ticks: Ticks, clock: Clock, catch_up: str, expected: int
) -> None:
    declare(huey, crontab(), catch_up=catch_up)
    ticks.run()
    clock.now = NOON + 60
    ticks.run()
    huey.storage.flush_queue()

    clock.now = NOON + 60 + 5 * 60 + 30
    Ticks(huey, huey._lossless, clock).run()

    assert len(huey) == expected


def test_a_stalled_scheduler_is_late_once(huey: MemoryHuey, ticks: Ticks, clock: Clock) -> None:
    declare(huey, crontab())
    ticks.run()

    clock.now = NOON + 5 * 60
    wait = ticks.run()

    assert len(huey) == 1
    assert wait == 60


def test_intervals_are_aligned_to_the_clock(huey: MemoryHuey, ticks: Ticks, clock: Clock) -> None:
    declare(huey, timedelta(seconds=7))
    clock.now = NOON + 0.25

    wait = ticks.run()

    assert (clock.now + wait) % 7 == 0


def test_a_rule_that_raises_stops_no_other(huey: MemoryHuey, ticks: Ticks, clock: Clock) -> None:
    def broken(now: datetime) -> bool:
        raise ZeroDivisionError

    @huey.periodic_task(broken)
    def never() -> None:
        """Do nothing."""

    declare(huey, crontab())
    ticks.run()

    clock.now = NOON + 60
    ticks.run()

    assert [task.name for task in huey.pending()] == ["task"]


def test_a_task_declared_while_it_runs_ticks_as_well(
    huey: MemoryHuey, ticks: Ticks, clock: Clock
) -> None:
    ticks.run()

    declare(huey, crontab())
    ticks.run()
    clock.now = NOON + 60
    ticks.run()

    assert len(huey) == 1
