"""What every kind of worker does, in a real consumer."""

import signal

import pytest

from huey.api import TaskException
from tests.processes import Application, is_running, wait_until


def test_a_task_is_run_and_its_result_arrives(app: Application, kind: str) -> None:
    app.start_consumer("-k", kind, "-w", "2")

    assert app.module.add(1, 2).get(blocking=True, timeout=30) == 3


def test_coroutine_functions_run_on_every_kind(app: Application, kind: str) -> None:
    app.start_consumer("-k", kind, "-w", "2")

    results = app.module.doubled.map(range(20))

    assert results.get(blocking=True, timeout=30) == [2 * n for n in range(20)]


def test_a_task_that_raises_system_exit_fails_and_the_worker_lives(
    app: Application, kind: str
) -> None:
    app.start_consumer("-k", kind, "-w", "1")

    failed = app.module.exits()
    after = app.module.add(1, 1)

    with pytest.raises(TaskException, match="SystemExit"):
        failed.get(blocking=True, timeout=30)
    assert after.get(blocking=True, timeout=30) == 2


def test_sigint_waits_for_running_tasks_and_leaves_the_others_in_order(
    app: Application, kind: str
) -> None:
    consumer = app.start_consumer("-k", kind, "-w", "1")
    running = app.module.waits_for("gate")
    app.wait_for_note("started gate")
    waiting = [app.module.add.s(n, 0) for n in range(5)]
    app.huey.enqueue_many(waiting)

    consumer.send(signal.SIGINT)
    consumer.wait_for_log("Shutting down gracefully")
    (app.folder / "gate").touch()

    assert consumer.process.wait(30) == 0
    assert running.get() == "gate"
    assert [task.id for task in app.huey.pending()] == [task.id for task in waiting]


def test_sigterm_gives_back_what_does_not_end_in_time(app: Application, kind: str) -> None:
    consumer = app.start_consumer("-k", kind, "-w", "1", "-t", "0.2")
    app.module.waits_for("never")
    app.wait_for_note("started never")

    status = consumer.stop(signal.SIGTERM)

    assert status == 0
    assert [task.name for task in app.huey.pending()] == ["waits_for"]
    assert app.huey.storage.consumers() == []


def test_a_second_signal_ends_the_wait(app: Application, kind: str) -> None:
    consumer = app.start_consumer("-k", kind, "-w", "1")
    app.module.waits_for("never")
    app.wait_for_note("started never")

    consumer.send(signal.SIGINT)
    consumer.wait_for_log("Shutting down gracefully")
    status = consumer.stop(signal.SIGINT)

    assert status == 0
    assert [task.name for task in app.huey.pending()] == ["waits_for"]


def test_an_interrupted_task_is_no_crash(app: Application, kind: str) -> None:
    first = app.start_consumer("-k", kind, "-w", "1", "-t", "0.2")
    result = app.module.waits_for("later")
    app.wait_for_note("started later")
    first.stop(signal.SIGTERM)

    (app.folder / "later").touch()
    app.start_consumer("-k", kind, "-w", "1")

    assert result.get(blocking=True, timeout=30) == "later"
    assert app.notes()["started later"] == 2


def test_sighup_restarts_in_place(app: Application, kind: str) -> None:
    consumer = app.start_consumer("-k", kind, "-w", "1")
    consumer.wait_for_log("Huey consumer started")
    before = app.module.add(1, 1).get(blocking=True, timeout=30)

    consumer.send(signal.SIGHUP)
    consumer.wait_for_log("Consumer will restart")
    wait_until(lambda: consumer.log.read_text().count("Huey consumer started") == 2, "a restart")

    assert before == 2
    assert app.module.add(2, 2).get(blocking=True, timeout=30) == 4
    assert consumer.stop() == 0


def test_workers_are_replaced_after_max_tasks_and_lose_nothing(app: Application, kind: str) -> None:
    app.start_consumer("-k", kind, "-w", "2", "-M", "5")

    results = app.module.add.map([(n, 0) for n in range(60)])

    assert results.get(blocking=True, timeout=60) == list(range(60))


@pytest.mark.parametrize("kind", ["process", "greenlet"])
def test_a_timeout_stops_the_task(app: Application, kind: str) -> None:
    app.start_consumer("-k", kind, "-w", "1")

    with pytest.raises(TaskException, match=r"TaskTimeout\('timeout \(0.2s\)'\)"):
        app.module.too_long().get(blocking=True, timeout=30)


def test_after_a_sigkill_the_next_consumer_runs_what_was_running(
    app: Application, kind: str
) -> None:
    first = app.start_consumer("-k", kind, "-w", "2")
    result = app.module.waits_for("gate")
    app.wait_for_note("started gate")
    children = first.children()

    first.kill()
    (app.folder / "gate").touch()
    app.start_consumer("-k", kind, "-w", "2")

    assert result.get(blocking=True, timeout=30) == "gate"
    wait_until(lambda: not any(map(is_running, children)), "the end of orphans", 5)


def test_a_task_that_kills_its_worker_every_time_becomes_a_dead_letter(app: Application) -> None:
    app.start_consumer("-k", "process", "-w", "2")
    poison = app.module.kill_own_process()
    neighbours = [app.module.add(n, n) for n in range(10)]

    with pytest.raises(TaskException, match="exit code 3"):
        poison.get(blocking=True, timeout=30)

    assert [r.get(blocking=True, timeout=30) for r in neighbours] == [2 * n for n in range(10)]
    assert app.notes()["kill"] == 3
    assert [letter.cause for letter in app.huey.storage.dead_letters()] == ["crashed its worker"]


def test_a_redelivered_task_knows_it(app: Application) -> None:
    first = app.start_consumer("-k", "thread", "-w", "1")
    app.module.waits_for("gate")
    app.wait_for_note("started gate")
    first.kill()
    (app.folder / "gate").touch()
    (app.folder / "notes").unlink()

    app.start_consumer("-k", "thread", "-w", "1")

    assert app.module.which_attempt().get(blocking=True, timeout=30) == (1, False)
