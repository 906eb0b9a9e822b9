"""One call of a function: its identity, its rules and its arguments."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from huey import keys
from huey.exceptions import TaskTimeout
from huey.timing import normalize_expire_time

if TYPE_CHECKING:
    from datetime import datetime

    from huey.execution.delivery import Delivery
    from huey.tasks.uniqueness import Uniqueness
    from huey.utils import ChordConfig

#: The options that a call takes beside the arguments of the function.
CALL_OPTIONS = (
    "id",
    "eta",
    "retries",
    "retry_delay",
    "priority",
    "expires",
    "timeout",
    "retry_backoff",
)


def new_id() -> str:
    """Make a task id: the text of a random UUID, read from the system so that forks differ."""
    # Formatted here: uuid.uuid4() takes several times as long, and every task pays for it.
    text = os.urandom(16).hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


class Task:
    """One call of a function, waiting or running.

    Args:
        args: positional arguments of the function.
        kwargs: keyword arguments of the function.
        id: identity; a random UUID if not given.
        eta: naive instant, in the application's convention, before which it does not start.
        retries: attempts that are left after this one.
        retry_delay: seconds before the next attempt.
        priority: the higher, the sooner.
        expires: seconds or a timedelta from the enqueueing, or an instant, after which the task
            is not started any more.
        on_complete: the task that receives this one's value.
        on_error: the task that receives this one's exception.
        expires_resolved: ``expires`` as a naive instant.
        timeout: seconds that the function may run.
        chord_config: the chord that this task reports to.
        retry_backoff: factor by which ``retry_delay`` grows with each attempt.

    Every option that is None falls back to the default of the task's class.
    """

    default_expires: ClassVar[Any] = None
    default_priority: ClassVar[float | None] = None
    default_retries: ClassVar[int] = 0
    default_retry_delay: ClassVar[float] = 0
    default_retry_backoff: ClassVar[float] = 0
    default_retry_max_delay: ClassVar[float | None] = None
    default_retry_jitter: ClassVar[float] = 0
    default_timeout: ClassVar[float | None] = None
    #: The exceptions that are worth another attempt; empty: all of them.
    retry_on: ClassVar[tuple[type[BaseException], ...]] = ()
    #: "at_least_once", "at_most_once", or None for what the application says.
    delivery: ClassVar[str | None] = None
    #: The rule by which a task like this one is kept out of the queue; None: there is none.
    uniqueness: ClassVar[Uniqueness | None] = None

    #: Which try this is; 1 on the first. Set by the consumer.
    attempt: int = 1
    #: Whether an earlier holder of this task died with it.
    redelivered: bool = False
    #: The claim under which a consumer holds this task.
    _delivery: Delivery | None = None
    #: The key/value entry that this task holds because it is unique.
    _place: tuple[str, bytes] | None = None

    def __init__(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        id: str | None = None,
        eta: datetime | None = None,
        retries: int | None = None,
        retry_delay: float | None = None,
        priority: float | None = None,
        expires: Any = None,
        on_complete: Task | None = None,
        on_error: Task | None = None,
        expires_resolved: datetime | None = None,
        timeout: float | None = None,
        chord_config: ChordConfig | None = None,
        retry_backoff: float | None = None,
    ) -> None:
        self.name = type(self).__name__
        self.args = () if args is None else args
        self.kwargs = {} if kwargs is None else kwargs
        self.id = id or self.create_id()
        self.revoke_id = keys.revoked_id(self.id)
        self.eta = eta
        self.retries = self.default_retries if retries is None else retries
        self.retry_delay = self.default_retry_delay if retry_delay is None else retry_delay
        self.retry_backoff = self.default_retry_backoff if retry_backoff is None else retry_backoff
        self.priority = self.default_priority if priority is None else priority
        self.expires = self.default_expires if expires is None else expires
        self.timeout = self.default_timeout if timeout is None else timeout
        self.expires_resolved = expires_resolved
        self.on_complete = on_complete
        self.on_error = on_error
        self.chord_config = chord_config
        self._deadline: float | None = None

    def create_id(self) -> str:
        """Make the identity of a new task."""
        return new_id()

    @property
    def data(self) -> tuple[Any, dict[str, Any]]:
        """The arguments: ``(args, kwargs)``."""
        return self.args, self.kwargs

    def resolve_expires(self, utc: bool = True) -> datetime | None:
        """Fix the instant after which the task is not started any more.

        A relative expiry counts from the first call of this method; later calls keep it.
        """
        if self.expires is not None and self.expires_resolved is None:
            self.expires_resolved = normalize_expire_time(self.expires, utc)
        return self.expires_resolved

    # ── time limit ─────────────────────────────────────────────────────────────────────────────

    def start_clock(self) -> None:
        """Start counting towards ``timeout``."""
        self._deadline = time.monotonic() + self.timeout if self.timeout else None

    @property
    def time_remaining(self) -> float:
        """Seconds until the timeout; infinite without one, never below 0."""
        if self._deadline is None:
            return float("inf")
        return max(0.0, self._deadline - time.monotonic())

    @property
    def is_timed_out(self) -> bool:
        """Whether the task has run longer than its timeout."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def check_timeout(self) -> None:
        """End the task if its time is over.

        Raises:
            TaskTimeout: it is.
        """
        if self.is_timed_out:
            raise TaskTimeout(f"timeout {self.timeout}s")

    # ── pipelines ──────────────────────────────────────────────────────────────────────────────

    def extend_data(self, data: Any) -> None:
        """Add what an earlier task returned to the arguments.

        A tuple becomes positional arguments, a dict keyword arguments that are not given yet,
        None nothing, and anything else one positional argument.
        """
        if data is None:
            return
        if isinstance(data, tuple):
            self.args = (*self.args, *data)
        elif isinstance(data, dict):
            for key, value in data.items():
                self.kwargs.setdefault(key, value)
        else:
            self.args = (*self.args, data)

    def then(self, task: Any, *args: Any, **kwargs: Any) -> Task:
        """Run ``task`` with this one's value after it (after the last one, in a pipeline).

        Raises:
            TypeError: it is no task.
            ValueError: it is in this pipeline already.
        """
        last = self
        while last.on_complete is not None:
            last = last.on_complete
        last.on_complete = self._next(signature(task, args, kwargs), "on_complete")
        return self

    def error(self, task: Any, *args: Any, **kwargs: Any) -> Task:
        """Run ``task`` with the exception if this one fails; a second one handles the first's.

        Raises:
            TypeError: it is no task.
            ValueError: it is among these handlers already.
        """
        last = self
        while last.on_error is not None:
            last = last.on_error
        last.on_error = self._next(signature(task, args, kwargs), "on_error")
        return self

    def _next(self, task: Task, link: str) -> Task:
        """Give the task back unless it, or what follows it, is in this chain: a circle."""
        mine = {id(other) for other in follow(self, link)}
        for other in follow(task, link):
            if id(other) in mine:
                raise ValueError(
                    f"{other} is in this pipeline already, which would never end: "
                    "make another task with .s(…) if the function is to run twice."
                )
        return task

    # ── running ────────────────────────────────────────────────────────────────────────────────

    def execute(self) -> Any:
        """Call the function; task classes made by a decorator do."""
        raise NotImplementedError(f"{type(self).__name__} has no function to call.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Task):
            return False
        return self.id == other.id and self.eta == other.eta and type(self) is type(other)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return describe(self)


class PeriodicTask(Task):
    """A task that the scheduler enqueues by the clock; its results are not stored."""

    #: What the scheduler goes by; None: ``validate_datetime`` at each whole minute.
    schedule_rule: ClassVar[Any] = None
    catch_up: ClassVar[str] = "last"

    def validate_datetime(self, timestamp: datetime) -> bool:
        """Tell whether the task is to run in the minute of this naive instant."""
        return False


def follow(task: Task, link: str) -> list[Task]:
    """List a chain of tasks that are joined by ``on_complete``, or by ``on_error``."""
    chain = [task]
    while (following := getattr(chain[-1], link)) is not None:
        chain.append(following)
    return chain


def describe(task: Task) -> str:
    """Put a task in one line, for logs and debuggers."""
    pieces = [f"{type(task).__module__}.{task.name}: {task.id}"]
    for present, text in (
        (task.eta, " @{0.eta}"),
        (task.expires, " exp={0.expires}"),
        (_differs(task), " ({0.expires_resolved})"),
        (task.priority, " p={0.priority}"),
        (task.retries, " {0.retries} retries"),
        (task.timeout, " timeout={0.timeout}"),
        (task.on_complete, " -> {0.on_complete}"),
        (task.on_error, ", on error {0.on_error}"),
        (task.chord_config, ", chord {0.chord_config.cid}"),
    ):
        if present:
            pieces.append(text.format(task))
    return "".join(pieces)


def _differs(task: Task) -> bool:
    return bool(task.expires and task.expires_resolved and task.expires != task.expires_resolved)


def signature(task: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Task:
    """Make a Task of a Task or of anything with ``.s()``, with these arguments added.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(task, Task):
        task.extend_data(args)
        task.extend_data(kwargs)
        return task
    make: Callable[..., Task] | None = getattr(task, "s", None)
    if make is None:
        raise TypeError(
            "Expected a task (the result of .s()) or a function decorated with @huey.task(), "
            f"got {task!r}."
        )
    return make(*args, **(kwargs or {}))
