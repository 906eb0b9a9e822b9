"""The backend of ``django.tasks``: what is promised there, in a consumer and in immediate mode."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from huey.contrib import djhuey
from huey.contrib.djhuey import tasks_backend, tasks_records
from huey.contrib.djhuey.tasks_api import (
    PACKAGE,
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    signals,
)
from huey.contrib.djhuey.testing import immediate_mode
from tests.django import framework_tasks as tasks

BACKEND = "huey.contrib.djhuey.tasks_backend.HueyBackend"
READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
SUCCESSFUL, FAILED = TaskResultStatus.SUCCESSFUL, TaskResultStatus.FAILED


def run_all() -> None:
    while (task := djhuey.HUEY.dequeue()) is not None:
        djhuey.HUEY.execute(task)


def done(result: Any) -> Any:
    run_all()
    result.refresh()
    return result


@pytest.fixture(autouse=True)
def empty_queue() -> Iterator[None]:
    djhuey.HUEY.flush()
    tasks.seen.clear()
    yield
    djhuey.HUEY.flush()


@pytest.fixture
def events() -> Iterator[list[str]]:
    """The signals, as they come."""
    told: list[str] = []
    receivers = []
    for name in ("task_enqueued", "task_started", "task_finished"):

        def receive(sender: type, task_result: Any, name: str = name, **kwargs: Any) -> None:
            assert sender is tasks_backend.HueyBackend
            told.append(f"{name} {task_result.status}")

        receivers.append((getattr(signals, name), receive))
        receivers[-1][0].connect(receive)
    yield told
    for signal, receive in receivers:
        signal.disconnect(receive)


class TestEnqueueing:
    def test_a_result_is_ready_and_knows_its_task(self, events: list[str]) -> None:
        result = tasks.double.enqueue(4)

        assert (result.status, result.args, result.attempts) == (READY, [4], 0)
        assert result.enqueued_at is not None
        assert result.task == tasks.double == tasks.double.get_result(result.id).task
        assert len(result.id) < 64
        assert events == ["task_enqueued READY"]

    def test_arguments_are_made_fit_for_json(self) -> None:
        assert tasks.double.enqueue((1, b"x")).args == [[1, "x"]]

    def test_tasks_run_by_priority(self) -> None:
        for priority in (0, -10, 10):
            tasks.notes.using(priority=priority).enqueue(str(priority))

        run_all()

        assert tasks.seen == ["10", "0", "-10"]

    def test_a_task_for_later_waits(self) -> None:
        result = tasks.double.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(1)
        run_all()

        assert [task.id for task in djhuey.scheduled()] == [result.id]
        assert done(result).status == READY

    def test_a_function_that_a_consumer_would_not_find_is_refused(self) -> None:
        def double(number: int) -> int:
            return number

        double.__qualname__ = double.__name__ = "double"
        double.__module__ = tasks.__name__
        hidden = object.__new__(type(tasks.double))
        for field in ("priority", "backend", "queue_name", "run_after", "takes_context"):
            object.__setattr__(hidden, field, getattr(tasks.double, field))
        object.__setattr__(hidden, "func", double)

        with pytest.raises(InvalidTask, match="leads elsewhere"):
            hidden.enqueue(1)
        assert not djhuey.pending()

    def test_an_unknown_queue_is_refused(self) -> None:
        with pytest.raises(InvalidTask, match="not valid for backend"):
            tasks.double.using(queue_name="nowhere")

    def test_it_can_be_awaited(self) -> None:
        async def view() -> Any:
            result = await tasks.double.aenqueue(5)
            return await tasks.double.aget_result(result.id)

        assert done(asyncio.run(view())).return_value == 10

    def test_a_storage_that_fails_leaves_no_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        huey = djhuey.HUEY

        def refuse(*args: Any) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(huey.storage, "enqueue", refuse)
        with pytest.raises(OSError, match="disk full"):
            tasks.double.enqueue(1)

        assert huey.result_count() == 0


class TestRunning:
    @pytest.mark.parametrize("task", [tasks.double, tasks.double_later])
    def test_a_value_comes_back(self, task: Any, events: list[str]) -> None:
        result = done(task.enqueue(4))

        assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, 8, 1)
        assert result.worker_ids == [f"{socket.gethostname()}.{os.getpid()}"]
        assert result.enqueued_at <= result.started_at <= result.finished_at
        assert events == [
            "task_enqueued READY",
            "task_started RUNNING",
            "task_finished SUCCESSFUL",
        ]

    def test_a_coroutine_may_query_the_database(self) -> None:
        assert done(tasks.count_orders_later.enqueue()).return_value == 0

    @pytest.mark.parametrize("task", [tasks.fails, tasks.fails_later])
    def test_an_error_is_told(self, task: Any, caplog: pytest.LogCaptureFixture) -> None:
        logging.getLogger(PACKAGE).propagate = True

        result = done(task.enqueue())

        assert (result.status, result.attempts) == (FAILED, 1)
        [error] = result.errors
        assert error.exception_class is LookupError
        assert error.traceback.endswith("LookupError: nobody there\n")
        # Django's own log line has the traceback only if the signal is sent while it is handled.
        [record] = [r for r in caplog.records if "state=FAILED" in r.getMessage()]
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], LookupError)

    @pytest.mark.parametrize(
        ("task", "error"),
        [
            (tasks.leaves, SystemExit),
            (tasks.interrupts, KeyboardInterrupt),
            (tasks.returns_an_object, TypeError),
        ],
    )
    def test_whatever_goes_wrong_is_a_failed_task(
        self, task: Any, error: type[BaseException]
    ) -> None:
        result = done(task.enqueue())

        assert (result.status, result.errors[0].exception_class) == (FAILED, error)

    def test_a_context_counts_attempts(self) -> None:
        assert done(tasks.attempts.enqueue()).return_value == 1

    def test_a_retry_is_ready_again_and_counted(self) -> None:
        result = done(tasks.third_time.enqueue())

        assert (result.return_value, result.attempts, len(result.errors)) == (3, 3, 2)

    def test_a_function_that_is_gone_is_a_failed_task(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = tasks.double.enqueue(1)
        monkeypatch.delattr(tasks, "double")

        run_all()
        found = tasks_backend.HueyBackend("default", {}).get_result(result.id)

        assert (found.status, found.errors[0].exception_class) == (FAILED, ImportError)
        assert found.task.module_path == result.task.module_path

    def test_without_a_record_the_function_is_called_all_the_same(self) -> None:
        result = tasks.notes.enqueue("here")
        djhuey.HUEY.delete(tasks_records.key_of(result.id))

        run_all()

        assert tasks.seen == ["here"]


class TestNotRunning:
    def test_a_revoked_task_is_a_failed_one(self, events: list[str]) -> None:
        result = tasks.double.enqueue(1)
        djhuey.revoke_by_id(result.id)

        assert done(result).status == FAILED
        assert result.errors[0].exception_class.__name__ == "TaskRevoked"
        assert events[-1] == "task_finished FAILED"

    def test_a_task_that_a_hook_cancelled_is_a_failed_one(self) -> None:
        from huey import CancelExecution

        @djhuey.pre_execute(name="refuse")
        def refuse(task: Any) -> None:
            raise CancelExecution

        try:
            result = done(tasks.double.enqueue(1))
        finally:
            djhuey.HUEY.unregister_pre_execute("refuse")

        assert result.errors[0].exception_class.__name__ == "TaskCancelled"

    def test_an_interrupted_task_is_ready_again(self) -> None:
        result = tasks.double.enqueue(1)
        task = djhuey.HUEY.dequeue()
        assert task is not None
        record = tasks_records.load(djhuey.HUEY, result.id)
        assert record is not None
        tasks_records.save(djhuey.HUEY, {**record, "status": "RUNNING"})

        djhuey.HUEY.interrupt(task)

        result.refresh()
        assert result.status == READY


class TestOnCommit:
    def settings(self, **options: Any) -> Any:
        return override_settings(TASKS={"default": {"BACKEND": BACKEND, **options}})

    @pytest.mark.parametrize(
        "options", [{"ENQUEUE_ON_COMMIT": True}, {"OPTIONS": {"enqueue_on_commit": True}}]
    )
    def test_nothing_is_stored_before_the_commit(
        self, options: dict[str, Any], events: list[str]
    ) -> None:
        with self.settings(**options), transaction.atomic():
            result = tasks.double.enqueue(1)

            assert result.enqueued_at is None
            assert not djhuey.pending()
            with pytest.raises(TaskResultDoesNotExist):
                result.refresh()
            assert not events

        assert result.enqueued_at is not None
        assert done(result).return_value == 2

    def test_by_default_a_transaction_is_not_waited_for(self) -> None:
        with transaction.atomic():
            tasks.double.enqueue(1)

            assert len(djhuey.pending()) == 1


class TestImmediateMode:
    def test_a_result_is_finished(self) -> None:
        with immediate_mode():
            result = tasks.double.enqueue(4)

        assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, 8, 1)

    def test_a_coroutine_can_be_awaited_from_async_code(self) -> None:
        async def view() -> Any:
            return await tasks.double_later.aenqueue(3)

        with immediate_mode():
            assert asyncio.run(view()).return_value == 6

    def test_the_person_at_the_keyboard_can_end_the_program(self) -> None:
        with immediate_mode(), pytest.raises(KeyboardInterrupt):
            tasks.interrupts.enqueue()

    def test_the_end_of_a_program_is_a_failed_task(self) -> None:
        with immediate_mode():
            assert tasks.leaves.enqueue().errors[0].exception_class is SystemExit


class TestTheBackend:
    def backend(self, **options: Any) -> Any:
        return tasks_backend.HueyBackend("default", {"OPTIONS": options})

    def test_it_can_all_that_the_storage_can(self, reloaded: Any) -> None:
        backend = self.backend()
        assert backend.supports_defer
        assert backend.supports_async_task
        assert backend.supports_get_result
        assert backend.supports_priority

        reloaded(HUEY={"huey_class": "huey.RedisHuey", "immediate": False})
        assert not backend.supports_priority
        reloaded(HUEY={"huey_class": "huey.BlackHoleHuey", "immediate": False})
        assert not backend.supports_get_result

    def test_an_unknown_result_does_not_exist(self) -> None:
        with pytest.raises(TaskResultDoesNotExist):
            self.backend().get_result("nobody")

    def test_a_queue_name_leads_to_the_queue_of_that_key(self) -> None:
        with override_settings(TASKS={"default": {"BACKEND": BACKEND, "QUEUES": ["mail"]}}):
            tasks.double.using(queue_name="mail").enqueue(1)

        mail = djhuey.get_queue("mail")
        assert (mail.pending_count(), djhuey.HUEY.pending_count()) == (1, 0)
        mail.flush()

    def test_retries_can_be_asked_for(self) -> None:
        options = {"OPTIONS": {"retries": 1}}
        with override_settings(TASKS={"default": {"BACKEND": BACKEND, **options}}):
            result = done(tasks.fails.enqueue())

        assert (result.status, result.attempts) == (FAILED, 2)

    def test_wrong_options_are_found_by_the_system_checks(self) -> None:
        ids = [message.id for message in self.backend(queue="post", retreis=1).check()]

        assert ids == ["huey.W005", "huey.E008"]


def test_the_task_travels_under_the_name_of_huey_3() -> None:
    tasks.double.enqueue(4)

    [task] = djhuey.pending()
    assert djhuey.HUEY._registry.task_to_string(type(task)) == (
        "huey.contrib.djhuey.tasks_backend.djtasks.run"
    )
    assert task.args == (f"{tasks.__name__}.double", [4], {})
