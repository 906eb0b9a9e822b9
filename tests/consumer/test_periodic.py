"""Periodic and scheduled tasks in real consumers."""

import signal
import time

from tests.processes import Application, wait_until

#: The interval of the application's periodic task, in seconds.
TICK = 0.2


def test_each_tick_is_enqueued_once_by_three_consumers(app: Application) -> None:
    began = time.time()
    for _ in range(3):
        app.start_consumer("-w", "1", periodic=True)

    app.wait_for_note("tick", 8)
    for consumer in app.consumers:
        consumer.stop()

    last = app.huey.storage.last_ticks()["tests.apps.ticks"]
    planned = int((last - began) / TICK) + 1
    assert 8 <= app.notes()["tick"] + len(app.huey) <= planned


def test_a_tick_that_was_missed_is_made_up_for_once(app: Application) -> None:
    first = app.start_consumer("-w", "1", periodic=True)
    app.wait_for_note("tick")
    first.stop()
    before = app.notes()["tick"]
    last = app.huey.storage.last_ticks()["tests.apps.ticks"]

    second = app.start_consumer("-w", "1", periodic=True)
    wait_until(lambda: app.notes()["tick"] > before, "a tick")
    second.stop(signal.SIGINT)

    assert app.huey.storage.last_ticks()["tests.apps.ticks"] > last


def test_without_periodic_nothing_ticks(app: Application) -> None:
    app.start_consumer("-w", "1", "-n")

    assert app.module.add(1, 1).get(blocking=True, timeout=30) == 2

    assert app.huey.storage.last_ticks() == {}


def test_no_task_starts_before_its_time_and_all_start(app: Application) -> None:
    app.start_consumer("-w", "2")

    results = [app.module.instant.schedule(delay=n / 50) for n in range(25)]

    for result in results:
        started = result.get(blocking=True, timeout=30)
        assert started >= result.task.eta.isoformat()


def test_retries_with_delay_come_back_through_the_schedule(app: Application) -> None:
    app.start_consumer("-w", "1")

    result = app.module.noted_at_second_try(7, retry_delay=0.05)

    app.wait_for_note("7")
    wait_until(lambda: app.huey.storage.has_data_for_key(result.id), "the result")
