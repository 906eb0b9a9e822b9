"""For the tests of a project: run tasks at once, or capture them; transactions included.

Django's ``TestCase`` never commits, so what waits for a commit would never be enqueued there. At
the end of the ``with`` blocks below it is, as ``captureOnCommitCallbacks(execute=True)`` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS
from django.test import TestCase

from huey import signals as S

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.storage.base import BaseStorage
    from huey.tasks.task import Task

#: More rounds than any sound chain of tasks takes: tasks that enqueue themselves end here.
_MOST_TASKS = 10_000


@contextlib.contextmanager
def immediate_mode(*queues: str, databases: Sequence[str] = (DEFAULT_DB_ALIAS,)) -> Iterator[None]:
    """Run tasks where they are called; storages are fresh and in memory.

    Args:
        queues: keys of queues in the settings; without any, all of them.
        databases: aliases whose ``on_commit`` callbacks are called at the end of the block.
    """
    hueys = _hueys(queues)
    storages = [huey.get_immediate_storage() for huey in hueys]
    with _switched(hueys, storages, immediate=True), _committing(databases):
        yield


@contextlib.contextmanager
def captured_tasks(
    *queues: str, databases: Sequence[str] = (DEFAULT_DB_ALIAS,)
) -> Iterator[CapturedTasks]:
    """Keep enqueued tasks in memory, for the test to look at them and to run them.

    Args:
        queues: keys of queues in the settings; without any, all of them.
        databases: aliases whose ``on_commit`` callbacks are called at the end of the block.
    """
    captured = CapturedTasks(_hueys(queues))
    with captured.switched(), _committing(databases):
        yield captured


class CapturedTasks:
    """What was enqueued in a block, also to be asked after it."""

    def __init__(self, hueys: list[Huey]) -> None:
        self._hueys = hueys
        self._storages = [huey.get_immediate_storage() for huey in hueys]

    def switched(self) -> contextlib.AbstractContextManager[None]:
        """Give a context in which the queues are in memory."""
        return _switched(self._hueys, self._storages, immediate=False)

    def pending(self, function: Any = None) -> list[Task]:
        """List what may run now, of one task function or of all."""
        return self._listed(True, function)

    def scheduled(self, function: Any = None) -> list[Task]:
        """List what waits for its time, of one task function or of all."""
        return self._listed(False, function)

    def __len__(self) -> int:
        return len(self.pending()) + len(self.scheduled())

    def run(self) -> int:
        """Run what is ready, and what that enqueues, until nothing is left.

        Returns:
            How many tasks ran.

        Raises:
            Exception: what a task raised; the tasks after it are still there.
        """
        count = 0
        with self.switched():
            while ran := sum(_run_one(huey) for huey in self._hueys):
                count += ran
                if count > _MOST_TASKS:
                    raise RuntimeError(f"Ran {count} tasks, and there are more: do they loop?")
        return count

    def _listed(self, ready: bool, function: Any) -> list[Task]:
        with self.switched():
            found = [
                task
                for huey in self._hueys
                # Tasks for later are in the queue, until a consumer moves them to the schedule.
                for task in (*huey.pending(), *huey.scheduled())
                if huey.ready_to_run(task) is ready
            ]
        if function is None:
            return found
        # What on_commit_task leaves holds its wrapper; a wrapper is one itself.
        kind = getattr(function, "task_wrapper", function).task_class
        return [task for task in found if type(task) is kind]


class ImmediateTasks(TestCase):
    """A test case in which tasks run where they are called.

    With ``self.committed()`` around the code under test, tasks that wait for the commit run, too.
    """

    def setUp(self) -> None:
        """Enter immediate mode for one test."""
        super().setUp()
        self.enterContext(immediate_mode(databases=()))

    def committed(self, *databases: str) -> contextlib.AbstractContextManager[None]:
        """Give a context at whose end what waits for a commit is done."""
        return _committing(databases or (DEFAULT_DB_ALIAS,))


def _run_one(huey: Huey) -> bool:
    task = huey.dequeue()
    if task is None:
        return False
    errors: list[BaseException] = []

    def note(signal: str, failed: Task, error: BaseException | None = None) -> None:
        if failed.id == task.id and error is not None:
            errors.append(error)

    huey._signal.connect(note, S.SIGNAL_ERROR)
    try:
        huey.execute(task)
    finally:
        huey.disconnect_signal(note, S.SIGNAL_ERROR)
    if errors:
        raise errors[0]
    return True


def _hueys(keys: Sequence[str]) -> list[Huey]:
    from huey.contrib.djhuey import queues

    return [queues.get_queue(key) for key in keys or queues.hueys]


@contextlib.contextmanager
def _switched(hueys: list[Huey], storages: list[BaseStorage], *, immediate: bool) -> Iterator[None]:
    # Not through the property, which would build a new storage on the way back.
    before = [(huey, huey.storage, huey._immediate) for huey in hueys]
    for huey, storage in zip(hueys, storages, strict=True):
        huey.storage, huey._immediate = storage, immediate
    try:
        yield
    finally:
        for huey, storage, was_immediate in before:
            huey.storage, huey._immediate = storage, was_immediate


@contextlib.contextmanager
def _committing(databases: Sequence[str]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for alias in databases:
            stack.enter_context(TestCase.captureOnCommitCallbacks(using=alias, execute=True))
        yield
