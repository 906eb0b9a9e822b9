"""Looking at the queue, the schedule and the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey.app.queueing import Queueing, log_undecodable
from huey.tasks.task import Task

if TYPE_CHECKING:
    from huey.results import Result


class Inspecting(Queueing):
    """Questions that change nothing."""

    def pending(self, limit: int | None = None) -> list[Task]:
        """List the tasks that are ready to run, in order."""
        return self._tasks_of(self.storage.enqueued_items(limit))

    def scheduled(self, limit: int | None = None) -> list[Task]:
        """List the scheduled tasks, soonest first."""
        return self._tasks_of(self.storage.scheduled_items(limit))

    def _tasks_of(self, items: list[bytes]) -> list[Task]:
        tasks = []
        for data in items:
            try:
                tasks.append(self.deserialize_task(data))
            except Exception as error:
                log_undecodable(data, error)
        return tasks

    def pending_count(self) -> int:
        """Count the tasks that are ready to run."""
        return self.storage.queue_size()

    def scheduled_count(self) -> int:
        """Count the scheduled tasks."""
        return self.storage.schedule_size()

    def result_count(self) -> int:
        """Count the entries of the key/value area: results, revocations, locks."""
        return self.storage.result_store_size()

    def all_results(self) -> dict[str, bytes]:
        """Copy the whole key/value area, serialised."""
        return self.storage.result_items()

    def __len__(self) -> int:
        return self.pending_count()

    def __bool__(self) -> bool:
        return True

    def flush(self) -> None:
        """Remove everything: queue, schedule, results, counters."""
        self.storage.flush_all()

    def result(
        self,
        id: str,
        blocking: bool = False,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
        revoke_on_timeout: bool = False,
        preserve: bool = False,
    ) -> Any:
        """Fetch the result of the task with this id, as ``Result.get`` would."""
        handle: Result[Any] = self._result_handle(Task(id=id))
        return handle.get(blocking, timeout, backoff, max_delay, revoke_on_timeout, preserve)
