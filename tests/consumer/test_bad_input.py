"""What cannot run is kept, told of, and stops nothing."""

import datetime

import pytest

from huey.api import TaskException
from huey.registry import Message
from huey.storage.delivery import DeathCause
from tests.processes import Application, wait_until


def test_corrupt_bytes_become_a_dead_letter_and_the_next_task_runs(app: Application) -> None:
    app.huey.storage.enqueue(b"\x80\x05no pickle at all")

    app.start_consumer("-w", "1")

    assert app.module.add(1, 1).get(blocking=True, timeout=30) == 2
    [letter] = app.huey.storage.dead_letters()
    assert letter.cause == DeathCause.UNDECODABLE
    assert letter.data == b"\x80\x05no pickle at all"


def test_corrupt_bytes_in_the_schedule_become_a_dead_letter(app: Application) -> None:
    past = datetime.datetime(2020, 1, 1)
    app.huey.storage.add_to_schedule(b"rubbish", past)

    app.start_consumer("-w", "1")

    wait_until(lambda: app.huey.storage.dead_count() == 1, "a dead letter")
    assert app.module.add(1, 1).get(blocking=True, timeout=30) == 2


def test_an_unknown_task_is_kept_for_a_consumer_that_knows_it(app: Application) -> None:
    message = Message("1", "tests.apps.not_deployed_yet", None, 0, 0, 0, (), {})
    app.huey.storage.enqueue(app.huey.serializer.serialize(message))

    consumer = app.start_consumer("-w", "1")

    consumer.wait_for_log("tests.apps.not_deployed_yet not found in TaskRegistry")
    wait_until(lambda: app.huey.scheduled_count() == 1, "the message on the schedule")
    assert app.module.add(1, 1).get(blocking=True, timeout=30) == 2
    assert app.huey.storage.dead_count() == 0


def test_a_result_that_cannot_be_pickled_is_a_visible_error(app: Application) -> None:
    app.start_consumer("-w", "1")

    with pytest.raises(TaskException, match=r"returned a builtins\.function"):
        app.module.unpicklable_result().get(blocking=True, timeout=30)


def test_an_exception_that_cannot_be_pickled_reaches_the_error_handler(app: Application) -> None:
    app.start_consumer("-w", "1")
    task = app.module.unpicklable_error.s().error(app.module.told_of)

    result = app.huey.enqueue(task)

    with pytest.raises(TaskException, match="Unpicklable"):
        result.get(blocking=True, timeout=30)
    wait_until(lambda: any("TaskException" in note for note in app.notes()), "the handler's note")


def test_a_failed_task_is_retried_although_its_error_cannot_be_pickled(app: Application) -> None:
    app.start_consumer("-w", "1")

    app.module.unpicklable_error(retries=2)

    app.wait_for_note("unpicklable", 3)


def test_a_consumer_of_a_foreign_file_says_so(app: Application) -> None:
    path = app.folder / "foreign.db"
    path.write_bytes(b"this is no database" * 100)
    app.environment["HUEY_TEST_URL"] = f"sqlite:////{path}"

    consumer = app.start_consumer("-w", "1")

    assert consumer.process.wait(30) == 1
    assert "foreign.db" in consumer.log.read_text()
