"""Making failures visible: error results, error handlers, chords, dead letters."""

from __future__ import annotations

import copy
import itertools
import sys
import traceback
from typing import TYPE_CHECKING, Any

from huey import signals as S
from huey.app import outbox
from huey.app.settling import Settling
from huey.app.state import logger
from huey.exceptions import TaskException, WorkerLost
from huey.execution.settlement import Aftermath
from huey.storage.delivery import DeadLetter, DeathCause
from huey.tasks.task import PeriodicTask
from huey.tasks.workflow import stages
from huey.utils import Error

if TYPE_CHECKING:
    from huey.tasks.task import Task


class Reporting(Settling):
    """What callers, error handlers and operators get to see of a failure."""

    def build_error_result(self, task: Task, exception: BaseException) -> dict[str, Any]:
        """Describe a failure; the dict is what ``TaskException.metadata`` will be.

        Keys: ``error`` (text), ``retries`` (left before the next one is used), ``traceback``
        (text), ``task_id``.
        """
        if isinstance(exception, TaskException):
            error = exception.metadata.get("error") or safe_repr(exception)
        else:
            error = safe_repr(exception)
        return {
            "error": error,
            "retries": task.retries,
            "traceback": _traceback_text(exception),
            "task_id": task.id,
        }

    def _surface(
        self,
        task: Task,
        exception: BaseException,
        aftermath: Aftermath,
        *,
        stages_after_only: bool = False,
    ) -> bytes:
        """Store the failure as the result of a task and, if final, of all stages after it."""
        raw = self._serialize_error(task, exception)
        if self.results and not isinstance(task, PeriodicTask):
            final = stages_after_only or not task.retries
            failed = stages(task) if final else [task]
            for stage in failed[1:] if stages_after_only else failed:
                aftermath.results[stage.id] = raw
        return raw

    def _serialize_error(self, task: Task, exception: BaseException) -> bytes:
        metadata = self.build_error_result(task, exception)
        try:
            return self.serializer.serialize(Error(metadata))
        except Exception:
            # An override of build_error_result put something in that cannot be stored.
            logger.exception("The error result of task %s cannot be stored in full.", task.id)
            texts = {key: _storable(value) for key, value in metadata.items()}
            return self.serializer.serialize(Error(texts))

    def _serialize_value(self, task: Task, value: Any) -> bytes:
        """Serialise what a task returned.

        Raises:
            TypeError: it cannot be stored; the text names its type.
        """
        try:
            return self.serializer.serialize(value)
        except Exception as error:
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise TypeError(
                f"Task {task.name} returned a {kind}, which cannot be stored: {error}. "
                "Return plain data, or switch results off for it."
            ) from error

    def _enqueue_error_handler(
        self, task: Task, handler: Task, exception: BaseException, aftermath: Aftermath
    ) -> None:
        # A copy: each failed attempt hands its own exception to the handler.
        call = copy.copy(handler)
        call.kwargs = {**handler.kwargs}
        call.extend_data(self._travelling(exception))
        try:
            with outbox.collecting(self, aftermath):
                self.enqueue(call)
        except Exception:
            logger.exception("The error handler of task %s cannot be enqueued.", task.id)

    def _travelling(self, exception: BaseException) -> BaseException:
        """Give the exception if it survives a trip through the storage, else a stand-in."""
        if self.immediate:
            return exception
        try:
            self.serializer.deserialize(self.serializer.serialize(exception))
        except Exception:
            return TaskException({"error": safe_repr(exception)})
        return exception

    def refused(self, task: Task, aftermath: Aftermath, error: Exception) -> Aftermath:
        """Make an aftermath that the storage can write, after it refused the real one.

        The usual reason is a value beyond what the storage takes, in the result or on its way to a
        successor. An error that says so takes the place of both; a retry is kept. If that is
        refused, too, the task becomes a dead letter.
        """
        smaller = Aftermath(
            delete=aftermath.delete,
            delete_if=aftermath.delete_if,
            delete_counters=aftermath.delete_counters,
            refused=True,
        )
        if aftermath.refused:
            smaller.dead = self._last_letter(task, error)
            return smaller
        smaller.outgoing = _of_itself(task, aftermath)
        if not smaller.outgoing:
            task.retries = 0
        raw = self._surface(task, error, smaller, stages_after_only=not aftermath.results)
        if not smaller.outgoing:
            self._report_to_chord(task, raw, smaller)
        return smaller

    def _last_letter(self, task: Task, error: Exception) -> DeadLetter | None:
        try:
            return DeadLetter(self.serialize_task(task), DeathCause.FAILED, safe_repr(error))
        except Exception:
            logger.exception("Task %s cannot even become a dead letter.", task.id)
            return None

    def give_up(self, task: Task) -> None:
        """End a task whose execution raised where it must not: call it inside the ``except``.

        It is stored as an error, and does not run again.
        """
        error = sys.exc_info()[1]
        assert error is not None
        task.retries = 0
        aftermath = Aftermath()
        self._free_place(task, aftermath)
        raw = self._surface(task, error, aftermath)
        self._report_to_chord(task, raw, aftermath)
        self._settle(task, aftermath)

    def bury(self, task: Task, data: bytes, error: WorkerLost, cause: str) -> None:
        """Give a task up whose worker died, where everybody can see it.

        Callers, chords and error handlers get ``error``, and the message becomes a dead letter.
        """
        logger.error("Task %s will not be tried again: %s", task.id, error)
        task.retries = 0
        aftermath = Aftermath()
        aftermath.dead = DeadLetter(data, cause, str(error))
        self._free_place(task, aftermath)
        raw = self._surface(task, error, aftermath)
        if task.on_error is not None:
            self._enqueue_error_handler(task, task.on_error, error, aftermath)
        self._report_to_chord(task, raw, aftermath)
        self._emit(S.SIGNAL_DEAD, task, cause)
        self._settle(task, aftermath)


def _of_itself(task: Task, aftermath: Aftermath) -> list[Any]:
    """Pick the messages that are the task itself, to come again: they must not be lost."""
    pairs = itertools.zip_longest(aftermath.outgoing, aftermath.announced)
    return [
        out
        for out, other in pairs
        if out is not None and (out.attempt > 1 or (other is not None and other.id == task.id))
    ]


def safe_repr(exception: BaseException) -> str:
    """Show an exception, even one whose own ``repr`` fails."""
    try:
        return repr(exception)
    except Exception as error:
        return f"<{type(exception).__qualname__} whose repr failed: {type(error).__qualname__}>"


def _traceback_text(exception: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(exception))
    except Exception:
        frames = "".join(traceback.format_tb(exception.__traceback__))
        return f"{frames}{safe_repr(exception)}\n"


def _storable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
