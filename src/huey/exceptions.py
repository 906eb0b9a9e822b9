"""What can be raised, grouped by who must react."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class HueyException(Exception):
    """The base of what Huey itself raises."""


class ConfigurationError(HueyException):
    """The application or the machine is not set up as asked; a person must change something."""


class StorageError(HueyException):
    """The storage could not be reached, or refused the operation; nothing was written."""


class UnknownOutcome(StorageError):
    """The storage's reply to an enqueue was lost: the task may or may not be in the queue."""


class TaskLockedException(HueyException):
    """The lock that the task needs is held by somebody else."""


class ResultTimeout(HueyException):
    """The result did not arrive in time; the task itself is not affected."""


class TaskTimeout(HueyException):
    """The task ran longer than its ``timeout``."""


class WorkerLost(HueyException):
    """The worker that ran the task died before the outcome was written."""


class RateLimitExceeded(HueyException):
    """The rate limit has no room left in this window.

    Args:
        key: name of the limit.
        delay: seconds until the window ends.
        retry: whether a rejected task is tried again in the next window.
    """

    def __init__(self, key: str = "", delay: float = 0, retry: bool = True) -> None:
        super().__init__(key, delay, retry)
        self.key = key
        self.delay = delay
        self.retry = retry

    def __str__(self) -> str:
        text = f'Rate limit exceeded on "{self.key}"'
        return f"{text}, retry in {self.delay:0.1f}s" if self.retry else text


class CancelExecution(Exception):
    """Raised by a hook or a task: do not go on with this task.

    Args:
        msg: reason, for the log and the stored error.
        retry: ``True`` tries again even without retries left, ``False`` never; ``None`` leaves
            it to the task's retries.
    """

    def __init__(self, msg: str | None = None, retry: bool | None = None) -> None:
        super().__init__(*(() if msg is None else (msg,)))
        self.retry = retry


class RetryTask(Exception):
    """Raised by a task: try again, without using up one of the retries.

    Args:
        msg: reason, for the log.
        eta: instant of the next try; or
        delay: seconds (or a timedelta) from now.
    """

    def __init__(
        self,
        msg: str | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(msg, *args)
        self.eta = eta
        self.delay = delay


class TaskException(Exception):
    """The task whose result was asked for had failed; ``metadata`` says how."""

    def __init__(self, metadata: dict[str, Any] | None = None, *args: Any) -> None:
        super().__init__(metadata, *args)
        self.metadata = metadata or {}

    def __str__(self) -> str:
        return str(self.metadata.get("error") or "unknown error")


#: Raised to be tried again: no error is stored while another attempt will follow.
RETRYING_EXCEPTIONS = (RetryTask, RateLimitExceeded, TaskLockedException)
