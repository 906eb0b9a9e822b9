"""What a return or an exception means for a task."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from huey import signals as S
from huey.exceptions import (
    RETRYING_EXCEPTIONS,
    CancelExecution,
    RateLimitExceeded,
    RetryTask,
    TaskLockedException,
    TaskTimeout,
)
from huey.timing import normalize_time

if TYPE_CHECKING:
    from huey.tasks.task import Task


class Interrupted(BaseException):
    """The consumer stops and the task is to end now; not a failure of the task.

    A worker that can be interrupted raises it inside the task.
    """


class Kind(enum.Enum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt led to, and what shall follow."""

    kind: Kind
    value: Any = None
    error: BaseException | None = None
    #: Retries that are left, counting the one that is about to be used.
    retries: int = 0
    #: Naive instant of the next attempt, where the exception names one.
    retry_at: datetime | None = None
    #: Told while the exception is being handled.
    signal: str | None = None
    log_level: int = logging.INFO
    log_message: str = ""

    @property
    def is_final(self) -> bool:
        """Whether no attempt will follow."""
        return not self.retries


def completed(value: Any) -> Outcome:
    """Tell what a returned value means."""
    return Outcome(Kind.COMPLETED, value=value)


def interrupted(error: BaseException) -> Outcome:
    """Tell what being stopped by the consumer means: the attempt did not happen."""
    return Outcome(
        Kind.INTERRUPTED,
        error=error,
        signal=S.SIGNAL_INTERRUPTED,
        log_level=logging.WARNING,
        log_message="Task %s was interrupted.",
    )


def failed(task: Task, error: BaseException, *, now: datetime, utc: bool) -> Outcome:
    """Tell what an exception means.

    Args:
        task: whose attempt raised it.
        error: the exception.
        now: naive instant, in the application's convention.
        utc: that convention: UTC, or local time.
    """
    match error:
        case TaskTimeout():
            return _failure(task, error, S.SIGNAL_TIMEOUT, logging.WARNING, "Task %s timed out.")
        case RateLimitExceeded():
            return _rate_limited(task, error, now)
        case TaskLockedException():
            text = "Task %s could not run, the lock it needs is held."
            return _failure(task, error, S.SIGNAL_LOCKED, logging.WARNING, text)
        case RetryTask():
            return _retry_asked(task, error, utc)
        case CancelExecution():
            return _cancelled(task, error)
    return unexpected(task, error)


def unexpected(task: Task, error: BaseException) -> Outcome:
    """Tell what an exception that Huey has no special meaning for leads to."""
    retries = task.retries if _worth_retrying(task, error) else 0
    text = "Unhandled exception in task %s."
    return Outcome(
        Kind.FAILED,
        error=error,
        retries=retries,
        signal=S.SIGNAL_ERROR,
        log_level=logging.ERROR,
        log_message=text,
    )


def surfaces(outcome: Outcome, store_intermediate: bool) -> bool:
    """Tell whether a failure is shown to callers and error handlers, or waits for more attempts."""
    if outcome.is_final:
        return True
    return store_intermediate and not isinstance(outcome.error, RETRYING_EXCEPTIONS)


def _worth_retrying(task: Task, error: BaseException) -> bool:
    return not task.retry_on or isinstance(error, task.retry_on)


def _failure(
    task: Task,
    error: BaseException,
    signal: str | None,
    level: int,
    message: str,
    *,
    retries: int | None = None,
    retry_at: datetime | None = None,
) -> Outcome:
    return Outcome(
        Kind.FAILED,
        error=error,
        retries=task.retries if retries is None else retries,
        retry_at=retry_at,
        signal=signal,
        log_level=level,
        log_message=message,
    )


def _rate_limited(task: Task, error: RateLimitExceeded, now: datetime) -> Outcome:
    retries = task.retries + (1 if error.retry else 0)
    retry_at = now + timedelta(seconds=task.retry_delay or error.delay) if retries else None
    return _failure(
        task,
        error,
        S.SIGNAL_RATE_LIMITED,
        logging.INFO,
        "Task %s was rate limited.",
        retries=retries,
        retry_at=retry_at,
    )


def _retry_asked(task: Task, error: RetryTask, utc: bool) -> Outcome:
    retry_at = None
    if error.eta or error.delay is not None:
        try:
            retry_at = normalize_time(error.eta, error.delay, utc)
        except Exception as invalid:
            # Both, or no instant at all: the task must fail where everybody sees it.
            return unexpected(task, invalid)
    text = "Task %s raised RetryTask, it will be tried again."
    return _failure(
        task, error, None, logging.INFO, text, retries=task.retries + 1, retry_at=retry_at
    )


def _cancelled(task: Task, error: CancelExecution) -> Outcome:
    if error.retry or (error.retry is None and task.retries > 0):
        retries, text = max(task.retries, 1), "Task %s was cancelled, it will be tried again."
    else:
        retries, text = 0, "Task %s was cancelled."
    return _failure(task, error, S.SIGNAL_CANCELED, logging.WARNING, text, retries=retries)
