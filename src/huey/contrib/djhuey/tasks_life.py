"""The life of one task of ``django.tasks`` in a consumer, step by step into its record."""

from __future__ import annotations

import asyncio
import os
import socket
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from huey.contrib.djhuey.tasks_api import (
    TaskContext,
    TaskError,
    TaskResultStatus,
    normalize_json,
    signals,
)
from huey.contrib.djhuey.tasks_records import (
    Record,
    change,
    function_at,
    load,
    record_of,
    result_of,
    save,
)
from huey.execution.outcome import Interrupted, failed
from huey.timing import now as naive_now

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.tasks.task import Task


class NotRun(Exception):
    """The base of what a FAILED result names when the task function was not called to its end."""


class TaskRevoked(NotRun):
    """The task was revoked before it started."""


class TaskExpired(NotRun):
    """The task was not started in time."""


class TaskCancelled(NotRun):
    """A hook that runs before tasks cancelled this one."""


class TaskLost(NotRun):
    """The workers that ran the task died, so it was given up."""


class Life:
    """One attempt.

    Args:
        huey: whose consumer runs it.
        task: the message.
        path: import path of the function.
        fresh: the record, if none could be stored when the task was enqueued.
        sender: of the signals: the class of the backend.
    """

    def __init__(
        self, huey: Huey, task: Task, path: str, fresh: Record | None, sender: type
    ) -> None:
        self._huey = huey
        self._task = task
        self._path = path
        self._sender = sender
        self._record = load(huey, task.id) or fresh
        self.result: Any = None if self._record is None else result_of(self._record)

    def begin(self) -> None:
        """Note that the task runs."""
        if self.result is None:
            return
        now = timezone.now()
        change(
            self.result,
            status=TaskResultStatus.RUNNING,
            started_at=self.result.started_at or now,
            last_attempted_at=now,
            finished_at=None,
            worker_ids=[*self.result.worker_ids, f"{socket.gethostname()}.{os.getpid()}"],
        )
        self._save()
        self._send(signals.task_started)

    def function(self) -> Any:
        """Import the function.

        Raises:
            ImportError: it is not there.
        """
        return function_at(self._path)

    def arguments(self, args: list[Any]) -> list[Any]:
        """Give the positional arguments, the context first if the function takes it."""
        if self.result is None or not self.result.task.takes_context:
            return args
        return [TaskContext(task_result=self.result), *args]

    def succeed(self, value: Any) -> None:
        """Note what the function returned.

        Raises:
            TypeError: it cannot be written as JSON.
        """
        if self.result is None:
            return
        change(
            self.result,
            _return_value=normalize_json(value),
            finished_at=timezone.now(),
            status=TaskResultStatus.SUCCESSFUL,
        )
        self._save()
        self._send(signals.task_finished)

    def fail(self, error: BaseException) -> None:
        """Note what the attempt raised; call it inside of the ``except``."""
        if self.result is None:
            return
        if isinstance(error, Interrupted):
            self._wait_again()
            return
        if isinstance(error, asyncio.CancelledError):
            # The consumer cancels what is interrupted or too late, and says which by a signal.
            return
        if isinstance(error, KeyboardInterrupt) and self._huey.immediate:
            # It came from the person at the keyboard, who wants the program to end.
            return
        change(self.result, errors=[*self.result.errors, error_of(error)], _return_value=None)
        if self._is_final(error):
            self._end()
        else:
            self._wait_again()

    def _is_final(self, error: BaseException) -> bool:
        utc = self._huey.utc
        return failed(self._task, error, now=naive_now(utc), utc=utc).is_final

    def _end(self) -> None:
        change(self.result, finished_at=timezone.now(), status=TaskResultStatus.FAILED)
        self._save()
        self._send(signals.task_finished)

    def _wait_again(self) -> None:
        change(self.result, status=TaskResultStatus.READY, finished_at=None)
        self._save()

    def _save(self) -> None:
        save(self._huey, record_of(self.result))

    def _send(self, signal: Any) -> None:
        # Robust: a receiver that fails is logged by Django, and the task goes on.
        signal.send_robust(self._sender, task_result=self.result)


def give_up(huey: Huey, result_id: str, error: BaseException, sender: type) -> None:
    """Note that a task ended without a value, unless its record has an end already."""
    record = load(huey, result_id)
    result = None if record is None else result_of(record)
    if result is None or result.is_finished:
        return
    change(
        result,
        errors=[*result.errors, error_of(error)],
        finished_at=timezone.now(),
        status=TaskResultStatus.FAILED,
    )
    save(huey, record_of(result))
    signals.task_finished.send_robust(sender, task_result=result)


def put_back(huey: Huey, result_id: str) -> None:
    """Note that a task that was interrupted waits for another worker."""
    record = load(huey, result_id)
    if record is not None and record["status"] == TaskResultStatus.RUNNING.value:
        save(huey, {**record, "status": TaskResultStatus.READY.value})


def error_of(error: BaseException) -> Any:
    """Describe an exception the way ``django.tasks`` does."""
    kind = type(error)
    return TaskError(
        exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
        traceback="".join(format_exception(error)),
    )
