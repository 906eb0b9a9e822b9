"""Ticks of periodic tasks: each planned time once, however many consumers there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from huey.exceptions import StorageError
from huey.tasks.cron import PredicateSchedule, Schedule, to_schedule

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.storage.delivery import LosslessStorage
    from huey.tasks.task import PeriodicTask

logger = logging.getLogger("huey.consumer.Scheduler")

#: Seconds that a missed tick may lie in the past and still be made up for.
_HORIZON = 31 * 86_400.0
#: How many missed ticks of a task with ``catch_up="all"`` are made up for in one go.
_MOST = 1000
_NONE, _LAST, _ALL = "none", "last", "all"


class Ticks:
    """Enqueues periodic tasks when their time has come."""

    def __init__(
        self, huey: Huey, storage: LosslessStorage, clock: Callable[[], float] = time.time
    ) -> None:
        self._huey = huey
        self._storage = storage
        self._clock = clock
        self._schedules: dict[str, Schedule] = {}
        #: Task → the instant up to which its ticks were looked at.
        self._looked: dict[str, float] = {}
        self._done: dict[str, float] | None = None

    def run(self) -> float:
        """Enqueue what has come due, and tell after how many seconds to come again.

        Raises:
            StorageError: the storage failed; what was not enqueued is tried again next time.
        """
        now = self._clock()
        self._done = None
        tasks = {self._name(task): task for task in self._huey._registry.periodic_tasks}
        for name, task in tasks.items():
            self._run_one(name, task, now)
        upcoming = min((self._next(name, now) for name in tasks), default=float("inf"))
        return max(0.0, upcoming - self._clock())

    def _name(self, task: PeriodicTask) -> str:
        return self._huey._registry.task_to_string(type(task))

    def _last_tick(self, name: str) -> float | None:
        """Read when a task ticked last, on any consumer; one read serves a whole run."""
        if self._done is None:
            self._done = self._storage.last_ticks()
        return self._done.get(name)

    def _next(self, name: str, now: float) -> float:
        upcoming = self._schedules[name].next_after(now)
        return float("inf") if upcoming is None else upcoming

    def _run_one(self, name: str, task: PeriodicTask, now: float) -> None:
        if name not in self._schedules:
            self._schedules[name] = schedule_of(task, self._huey.utc)
            self._looked[name] = self._since(name, task, now)
        for planned in self._planned(name, task, now):
            if planned > (self._last_tick(name) or 0.0):
                self._tick(name, type(task)(), planned)
        self._looked[name] = now

    def _since(self, name: str, task: PeriodicTask, now: float) -> float:
        """Decide from which instant on missed ticks are made up for."""
        last = self._last_tick(name)
        if task.catch_up == _NONE or last is None:
            return now
        return min(now, max(last, now - _HORIZON))

    def _planned(self, name: str, task: PeriodicTask, now: float) -> list[float]:
        schedule, since = self._schedules[name], self._looked[name]
        try:
            if task.catch_up == _ALL:
                return schedule.all_between(since, now, _MOST)
            last = schedule.last_between(since, now)
        # The rule is the application's code: one that fails must not stop the others.
        except Exception:
            logger.exception("The schedule of periodic task %s failed, skipping this tick.", name)
            return []
        return [] if last is None else [last]

    def _tick(self, name: str, task: PeriodicTask, planned: float) -> None:
        try:
            outgoing: Any = self._huey.prepare(task)
        except StorageError:
            raise
        except Exception:
            logger.exception("Periodic task %s cannot be enqueued.", name)
            return
        if self._storage.tick(name, planned, outgoing):
            logger.info("Enqueued periodic task %s.", task)


def schedule_of(task: PeriodicTask, utc: bool) -> Schedule:
    """Give the schedule of a periodic task: its rule, or its ``validate_datetime`` each minute."""
    if task.schedule_rule is None:
        return PredicateSchedule(task.validate_datetime, utc)
    return to_schedule(task.schedule_rule, utc=utc)
