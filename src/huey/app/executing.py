"""The life of a task in a worker: admission, hooks, attempt, outcome, what follows."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey import signals as S
from huey.app import outbox
from huey.app.reporting import Reporting
from huey.app.revoking import Revoking
from huey.app.scheduling import Scheduling
from huey.app.state import logger
from huey.constants import AT_MOST_ONCE
from huey.exceptions import WorkerLost
from huey.execution.admission import Verdict, is_expired
from huey.execution.attempt import Life, attempt, drive, drive_async, run
from huey.execution.outcome import Kind, Outcome, failed, surfaces
from huey.execution.settlement import Aftermath, reporting_task
from huey.storage.delivery import DeathCause
from huey.tasks.task import PeriodicTask
from huey.timing import now as naive_now
from huey.utils import SKIPPED

if TYPE_CHECKING:
    from huey.tasks.task import Task


class Executing(Scheduling, Revoking, Reporting):
    """Running one task."""

    def execute(self, task: Task, timestamp: datetime | None = None) -> Any:
        """Run a task if it may run now, and write what follows from it.

        Args:
            task: what to run.
            timestamp: naive instant that counts as now.

        Returns:
            The value of the function; None if the task did not run, or failed.
        """
        now = timestamp or naive_now(self.utc)
        return self._execute(task, now) if self._enter(task, now) else None

    async def aexecute(
        self,
        task: Task,
        call: Callable[[Task], Awaitable[Any]],
        timestamp: datetime | None = None,
    ) -> Any:
        """Do what :meth:`execute` does, on an event loop: ``call`` awaits the function."""
        if not self._enter(task, timestamp or naive_now(self.utc)):
            return None
        return await drive_async(self._life(task), lambda: call(task))

    # ── before ─────────────────────────────────────────────────────────────────────────────────

    def _enter(self, task: Task, now: datetime) -> bool:
        """Tell whether a task runs now; what follows is written if it does not."""
        match self._admit(task, now):
            case Verdict.TOO_EARLY:
                self._put_off(task)
                return False
            case Verdict.REVOKED:
                logger.warning("Task %s was revoked, not executing.", task)
                self._drop(task, S.SIGNAL_REVOKED)
                return False
            case Verdict.EXPIRED:
                logger.info("Task %s expired, not executing.", task)
                self._drop(task, S.SIGNAL_EXPIRED)
                return False
        if task.uniqueness is not None:
            self._leave_place_at_start(task)
        logger.info("Executing %s", task, extra=_about(task))
        self._emit(S.SIGNAL_EXECUTING, task)
        return True

    def _admit(self, task: Task, now: datetime) -> Verdict:
        if not self.ready_to_run(task, now):
            return Verdict.TOO_EARLY
        if self.is_revoked(task, now, peek=False):
            return Verdict.REVOKED
        return Verdict.EXPIRED if is_expired(task, now) else Verdict.RUN

    def _put_off(self, task: Task) -> None:
        aftermath = Aftermath()
        with outbox.collecting(self, aftermath):
            self.add_schedule(task)
        self._settle(task, aftermath)

    def _drop(self, task: Task, signal: str) -> None:
        self._emit(signal, task)
        aftermath = Aftermath()
        self._free_place(task, aftermath)
        if reporting_task(task) is not None:
            self._report_to_chord(task, self.serializer.serialize(SKIPPED), aftermath)
        self._settle(task, aftermath)

    # ── the attempt ────────────────────────────────────────────────────────────────────────────

    def _execute(self, task: Task, timestamp: datetime | None = None) -> Any:
        # Outsiders replace this method on the class, so every synchronous attempt passes here.
        return drive(
            self._life(task), lambda: run(task, self._timeout_handler, self._run_coroutine)
        )

    def _life(self, task: Task) -> Life:
        """Tell the story of one attempt; it stops once, for the call of the function."""
        if self._pre_execute and self._run_pre_execute(task) is not None:
            return self._drop(task, S.SIGNAL_CANCELED)
        task.start_clock()
        self._tasks_in_flight.add(task)
        started = time.monotonic()
        aftermath = Aftermath()
        try:
            outcome = yield from attempt(
                keep=lambda value: self._keep(task, value, aftermath),
                judge=lambda error: failed(task, error, now=naive_now(self.utc), utc=self.utc),
                announce=lambda outcome: self._announce(task, outcome, aftermath),
            )
        finally:
            self._tasks_in_flight.discard(task)
        return self._conclude(task, outcome, aftermath, time.monotonic() - started)

    def _keep(self, task: Task, value: Any, aftermath: Aftermath) -> None:
        """Prepare what a task returned for the storage, which may fail."""
        stored = self._is_stored(task) and (value is not None or self.store_none)
        if not stored and task.chord_config is None:
            return
        raw = self._serialize_value(task, value)
        if stored:
            aftermath.results[task.id] = raw
        if task.chord_config is not None and task.on_complete is None:
            self._report_to_chord(task, raw, aftermath)

    def _is_stored(self, task: Task) -> bool:
        return self.results and not isinstance(task, PeriodicTask)

    def _announce(self, task: Task, outcome: Outcome, aftermath: Aftermath) -> None:
        """Tell of a failure while it is being handled: receivers read ``sys.exc_info()``."""
        if outcome.kind is Kind.INTERRUPTED:
            self._tell_interrupted(task, aftermath)
            logger.warning(outcome.log_message, task.id, extra=_about(task))
            return
        logger.log(
            outcome.log_level,
            outcome.log_message,
            task.id,
            exc_info=outcome.error if outcome.signal == S.SIGNAL_ERROR else None,
            extra=_about(task),
        )
        if outcome.signal == S.SIGNAL_ERROR:
            self._emit(outcome.signal, task, outcome.error)
        elif outcome.signal is not None:
            self._emit(outcome.signal, task)

    # ── what follows ───────────────────────────────────────────────────────────────────────────

    def _conclude(self, task: Task, outcome: Outcome, aftermath: Aftermath, duration: float) -> Any:
        if outcome.kind is Kind.INTERRUPTED:
            return self._hand_back(task, aftermath)
        if not isinstance(task, PeriodicTask):
            aftermath.delete.append(task.revoke_id)
        if outcome.is_final:
            self._free_place(task, aftermath)
        if outcome.kind is Kind.COMPLETED:
            logger.info("%s executed in %0.3fs", task, duration, extra=_about(task))
            self._follow_success(task, outcome.value, aftermath)
        else:
            self._follow_failure(task, outcome, aftermath)
        self._settle(task, aftermath)
        if self.immediate and isinstance(outcome.error, KeyboardInterrupt):
            # In the caller's own thread it came from the person at the keyboard.
            raise outcome.error
        return outcome.value

    def _tell_interrupted(self, task: Task, aftermath: Aftermath) -> None:
        # Collected: a receiver that enqueues the task itself must not cause a second copy of it.
        with outbox.collecting(self, aftermath):
            self._signal.send(S.SIGNAL_INTERRUPTED, task)

    def interrupt(self, task: Task) -> None:
        """Tell that a task which cannot be stopped is interrupted, and give its claim back."""
        aftermath = Aftermath()
        self._tell_interrupted(task, aftermath)
        self._hand_back(task, aftermath)

    def _hand_back(self, task: Task, aftermath: Aftermath) -> None:
        delivery = task._delivery
        if delivery is None or aftermath.contains(task):
            self._settle(task, aftermath)
            return
        if (task.delivery or self.delivery) == AT_MOST_ONCE:
            error = WorkerLost("The task was interrupted, and runs at most once.")
            self.bury(task, self.serialize_task(task), error, DeathCause.WORKER_LOST)
            return
        # What else the receivers enqueued does not wait for the next attempt.
        if aftermath.outgoing:
            self._lossless.enqueue_many(aftermath.outgoing)
        delivery.release()

    def _follow_success(self, task: Task, value: Any, aftermath: Aftermath) -> None:
        if self._post_execute or self._signal.has_receivers(S.SIGNAL_COMPLETE):
            with outbox.visible(self, aftermath):
                self._run_post_execute(task, value, None)
                self._emit(S.SIGNAL_COMPLETE, task)
        if task.on_complete is not None:
            self._enqueue_successor(task, task.on_complete, value, aftermath)

    def _enqueue_successor(
        self, task: Task, successor: Task, value: Any, aftermath: Aftermath
    ) -> None:
        try:
            successor.extend_data(value)
            with outbox.collecting(self, aftermath):
                self.enqueue(successor)
        except Exception as error:
            logger.exception("Task %s finished, but what follows it cannot be enqueued.", task.id)
            raw = self._surface(task, error, aftermath, stages_after_only=True)
            self._report_to_chord(task, raw, aftermath)

    def _follow_failure(self, task: Task, outcome: Outcome, aftermath: Aftermath) -> None:
        assert outcome.error is not None
        aftermath.results.clear()
        aftermath.chord = None
        task.retries = outcome.retries
        error_result = None
        if surfaces(outcome, self.store_intermediate_errors):
            error_result = self._surface(task, outcome.error, aftermath)
        with outbox.visible(self, aftermath):
            self._run_post_execute(task, None, outcome.error)
        if error_result is not None and task.on_error is not None:
            self._enqueue_error_handler(task, task.on_error, outcome.error, aftermath)
        if outcome.is_final:
            assert error_result is not None
            self._report_to_chord(task, error_result, aftermath)
        else:
            with outbox.visible(self, aftermath):
                self._emit(S.SIGNAL_RETRYING, task)
            with outbox.collecting(self, aftermath):
                self._requeue(task, outcome.retry_at)

    def _requeue(self, task: Task, retry_at: datetime | None) -> None:
        task.retries -= 1
        task.attempt += 1
        logger.info("Requeueing %s, %s retries", task.id, task.retries, extra=_about(task))
        if retry_at is not None:
            task.eta = retry_at
            self.add_schedule(task)
        elif task.retry_delay:
            delay = retry_wait(task)
            task.eta = naive_now(self.utc) + timedelta(seconds=delay)
            if task.retry_backoff:
                task.retry_delay *= task.retry_backoff
            self.add_schedule(task)
        else:
            self.enqueue(task)


def retry_wait(task: Task) -> float:
    """Seconds before the next attempt: the delay, capped, with its random share taken off."""
    delay = float(task.retry_delay)
    if task.default_retry_max_delay is not None:
        delay = min(delay, task.default_retry_max_delay)
    return delay * (1 - task.default_retry_jitter * random.random())


def _about(task: Task) -> dict[str, Any]:
    """Name the task in a log record, for formatters that show it."""
    return {"task_id": task.id, "task_name": task.name, "attempt": task.attempt}
