"""Tasks for later, and tasks by the clock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from huey import signals as S
from huey.app import outbox
from huey.app.queueing import Queueing, log_undecodable
from huey.app.state import logger
from huey.execution.admission import is_ready
from huey.timing import now as naive_now

if TYPE_CHECKING:
    from huey.tasks.task import PeriodicTask, Task


class Scheduling(Queueing):
    """The schedule."""

    def ready_to_run(self, task: Task, timestamp: datetime | None = None) -> bool:
        """Tell whether the task's time has come at ``timestamp`` (now)."""
        return is_ready(task, timestamp or naive_now(self.utc))

    def add_schedule(self, task: Task) -> None:
        """Put a task on the schedule, until its ``eta``."""
        outgoing = self._outgoing(task, scheduled=True)
        box = outbox.collection_of(self)
        if box is None:
            self._lossless.enqueue_many([outgoing])
        else:
            box.outgoing.append(outgoing)
            box.announced.append(task)
        logger.info("Added task %s to schedule, eta %s", task.id, task.eta)
        self._emit(S.SIGNAL_SCHEDULED, task)

    def read_schedule(self, timestamp: datetime | None = None) -> list[Task]:
        """Take the tasks that are due off the schedule, for good. The consumer promotes instead."""
        tasks = []
        for data in self.storage.read_schedule(timestamp or naive_now(self.utc)):
            try:
                tasks.append(self.deserialize_task(data))
            except Exception as error:
                log_undecodable(data, error)
        return tasks

    def read_periodic(self, timestamp: datetime | None) -> list[PeriodicTask]:
        """Make the periodic tasks that are to run in the minute of ``timestamp`` (now)."""
        when = timestamp or naive_now(self.utc)
        return [task for task in self._registry.periodic_tasks if task.validate_datetime(when)]
