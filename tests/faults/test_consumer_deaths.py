"""No task is lost when consumers die."""

import os
import resource
import signal
import subprocess
import sys
from functools import partial

import pytest

from huey.api import Result
from tests.processes import Application, wait_until

WORKERS = 4


def test_ten_kills_under_load_lose_nothing_and_repeat_only_what_was_running(
    app: Application,
) -> None:
    kills, each = 10, 60
    module = app.module
    plain = [module.noted.s(n, 0.004) for n in range(kills * each)]
    retried = [module.noted_at_second_try.s(n, 0.004) for n in range(10_000, 10_050)]
    delayed = [module.noted.s(n, 0.004, delay=0.5) for n in range(20_000, 20_050)]
    results: list[Result[int]] = [Result(app.huey, task) for task in (*plain, *retried, *delayed)]
    app.huey.enqueue_many([*plain, *retried, *delayed])

    def enough(kill: int) -> bool:
        return app.notes().total() >= kill * each * 0.8

    for kill in range(1, kills + 1):
        consumer = app.start_consumer("-w", str(WORKERS))
        wait_until(partial(enough, kill), "some work")
        consumer.kill()
    app.start_consumer("-w", str(WORKERS))

    # A retried task shows the error of its first try until the second has succeeded.
    wait_until(lambda: len(app.notes()) == len(results), "every task to run")
    for result in results[: len(plain)] + results[-len(delayed) :]:
        assert result.get(blocking=True, timeout=30) is not None
    runs = app.notes()
    assert sum(count - 1 for count in runs.values()) <= kills * WORKERS


def test_two_consumers_and_three_producers_share_one_file(sqlite_app: Application) -> None:
    each = 200
    for _ in range(2):
        sqlite_app.start_consumer("-w", "2")

    producers = [
        subprocess.Popen(
            [sys.executable, "-c", PRODUCER, str(start), str(start + each)],
            env=sqlite_app.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for start in range(0, 3 * each, each)
    ]
    errors = [producer.communicate()[1] for producer in producers]

    assert errors == ["", "", ""]
    wait_until(lambda: sqlite_app.huey.result_count() == 3 * each, "all results")
    assert sqlite_app.notes() == {str(n): 1 for n in range(3 * each)}


PRODUCER = """
import sys
from tests.apps import noted
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    noted(number)
"""


def test_a_consumer_that_was_stopped_past_its_lease_writes_nothing_stale(
    app: Application,
) -> None:
    first = app.start_consumer("-w", "1", quick=True)
    result = app.module.waits_for("gate")
    app.wait_for_note("started gate")

    first.send(signal.SIGSTOP)
    second = app.start_consumer("-w", "1", quick=True)
    second.wait_for_log("is dead (no heartbeat")
    app.wait_for_note("started gate", 2)
    (app.folder / "gate").touch()
    assert result.get(blocking=True, timeout=30) == "gate"
    first.send(signal.SIGCONT)

    first.wait_for_log("was declared dead")
    first.wait_for_log("is not written")
    result.reset()
    assert result.get() is None
    assert app.module.add(1, 2).get(blocking=True, timeout=30) == 3
    assert len(app.huey.storage.consumers()) == 2


def test_a_task_that_lets_nothing_else_run_is_not_taken_for_dead(app: Application) -> None:
    app.start_consumer("-w", "1", quick=True)
    result = app.module.holds_the_gil(4.0)
    app.wait_for_note("holds")

    app.start_consumer("-w", "1", quick=True)

    assert result.get(blocking=True, timeout=30) == "done"
    assert app.notes()["holds"] == 1


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux: prlimit")
def test_a_full_disk_costs_no_outcome(sqlite_app: Application) -> None:
    consumer = sqlite_app.start_consumer("-w", "2")
    assert sqlite_app.module.add(1, 1).get(blocking=True, timeout=30) == 2
    running = [sqlite_app.module.waits_for("gate"), sqlite_app.module.waits_for("gate")]
    sqlite_app.wait_for_note("started gate", 2)

    resource.prlimit(consumer.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    (sqlite_app.folder / "gate").touch()
    consumer.wait_for_log("Cannot use the storage")
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(consumer.pid, resource.RLIMIT_FSIZE, unlimited)

    assert [r.get(blocking=True, timeout=30) for r in running] == ["gate", "gate"]
    assert sqlite_app.notes()["started gate"] == 2
    assert sqlite_app.module.add(2, 2).get(blocking=True, timeout=30) == 4


def test_a_producer_that_is_killed_leaves_whole_messages_only(app: Application) -> None:
    endless = "from tests.apps import noted\nwhile True: noted(1)"
    producer = subprocess.Popen([sys.executable, "-c", endless], env=app.environment)
    wait_until(lambda: len(app.huey) > 50, "some messages")
    os.kill(producer.pid, signal.SIGKILL)
    producer.wait()
    waiting = len(app.huey)

    app.start_consumer("-w", "2")

    wait_until(lambda: app.huey.result_count() == waiting, "every message to be run")
    assert app.huey.storage.dead_count() == 0


def test_work_goes_on_within_two_seconds_of_a_restart(app: Application) -> None:
    first = app.start_consumer("-w", "1")
    running = app.module.waits_for("gate")
    app.wait_for_note("started gate")
    first.kill()
    (app.folder / "gate").touch()

    app.start_consumer("-w", "1").wait_for_log("its process is gone")

    assert running.get(blocking=True, timeout=30) == "gate"
