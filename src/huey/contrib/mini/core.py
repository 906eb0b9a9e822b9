"""What MiniHuey is on every environment: declaring, calling, scheduling, one tick of the clock."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

from huey.contrib.mini.agenda import Agenda, Call, Slot, to_rule
from huey.exceptions import ConfigurationError
from huey.timing import normalize_time, to_epoch

P = ParamSpec("P")
H_co = TypeVar("H_co", covariant=True)

logger = logging.getLogger("huey.mini")


class MiniTask(Protocol[P, H_co]):
    """What the decorator leaves in place of a function: calling it gives a result handle."""

    __name__: str
    #: The function itself.
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> H_co:
        """Run the function aside, at once."""

    def schedule(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        delay: float | timedelta | None = None,
        eta: datetime | None = None,
    ) -> H_co:
        """Run the function aside after ``delay`` (seconds or a timedelta), or at ``eta``.

        A naive ``eta`` is in local time. The scheduler must have been started by then.

        Raises:
            ValueError: not exactly one of ``delay`` and ``eta`` was given.
        """


class MiniCore:
    """The environments derive from this, and add how to run a call and how to wait.

    Args:
        name: for log lines.
        interval: seconds between two looks at the clock at the latest; what is planned starts when
            it is due, not at the next look.
        pool_size: how many tasks may run at once; None sets no limit.

    Raises:
        ConfigurationError: ``interval`` or ``pool_size`` is not above 0.
    """

    def __init__(
        self, name: str = "huey", interval: float = 1, pool_size: int | None = None
    ) -> None:
        if interval <= 0 or (pool_size is not None and pool_size <= 0):
            raise ConfigurationError(
                "interval is a number of seconds above 0, and pool_size a number of tasks above 0 "
                f"or None, got interval={interval!r} and pool_size={pool_size!r}."
            )
        self.name = name
        self._interval = interval
        self._agenda = Agenda(time.time())
        self._scheduled_tasks = self._agenda.calls
        self._periodic_tasks = self._agenda.periodic
        self._counter = self._agenda.numbers

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def _last_check(self) -> datetime:
        """The minute, in local time, up to which periodic tasks were looked after."""
        checked = datetime.fromtimestamp(self._agenda.checked)
        return checked.replace(second=0, microsecond=0)

    @_last_check.setter
    def _last_check(self, instant: datetime) -> None:
        self._agenda.checked = to_epoch(instant, utc=False)

    # ── declaring ──────────────────────────────────────────────────────────────────────────────

    def task(self, validate_func: Any = None) -> Callable[[Callable[..., Any]], Any]:
        """Make a function a task, or, with a rule, one that runs by the clock.

        Args:
            validate_func: ``crontab(…)``, a cron string (six fields begin with seconds), a
                timedelta, a number of seconds, or a function that is called with the local time
                once a minute and tells whether to run. All are meant in local time.

        Returns:
            A decorator. Without a rule it leaves a task: see `MiniTask`. With one, the function
            itself, which runs in the caller when it is called.

        Raises:
            TypeError, ValueError: ``validate_func`` is no rule.
        """
        if validate_func is None:
            return self._as_task
        rule = to_rule(validate_func)

        def decorator(func: Callable[..., Any]) -> Callable[..., Any]:
            self._agenda.add_periodic(rule, _name_of(func), self._prepare(func), time.time())
            return func

        return decorator

    def periodic_task(self, validate_func: Any) -> Callable[[Callable[..., Any]], Any]:
        """Make a function run by the clock; the same as ``task(validate_func)``."""
        return self.task(validate_func)

    def _as_task(self, func: Callable[..., Any]) -> Any:
        name, run = _name_of(func), self._prepare(func)

        @functools.wraps(func)
        def task(*args: Any, **kwargs: Any) -> Any:
            call = Call(name, run, args, kwargs, self._new_result())
            logger.info("enqueueing %s", name)
            self._spawn(call)
            return call.result

        def schedule(
            args: Any = None,
            kwargs: dict[str, Any] | None = None,
            delay: float | timedelta | None = None,
            eta: datetime | None = None,
        ) -> Any:
            due = to_epoch(normalize_time(eta, delay, utc=False), utc=False)
            call = Call(name, run, args or (), kwargs or {}, self._new_result())
            if self._agenda.add_call(due, call):
                self._ring()
            return call.result

        task.schedule = schedule  # type: ignore[attr-defined]  # see MiniTask
        return task

    # ── running ────────────────────────────────────────────────────────────────────────────────

    def _perform(self, call: Call) -> None:
        """Make a call, in its own greenlet or thread, and keep what came of it."""
        began = time.perf_counter()
        try:
            value = call.func(*call.args, **call.kwargs)
        # Whatever a task raises is its failure, even SystemExit: get() raises it to who asks.
        except BaseException as error:
            self._fail(call, error)
        else:
            self._succeed(call, value, began)

    def _succeed(self, call: Call, value: Any, began: float) -> None:
        logger.info("executed %s in %0.3fs", call.name, time.perf_counter() - began)
        call.result.set(value)

    def _fail(self, call: Call, error: BaseException) -> None:
        logger.error("task %s failed", call.name, exc_info=error)
        call.result.fail(error)

    # ── the clock ──────────────────────────────────────────────────────────────────────────────

    def _tick(self) -> float:
        """Start what is due; tell how many seconds the scheduler may sleep."""
        try:
            now = time.time()
            for entry in self._agenda.due_ticks(now):
                self._start(Call(entry.name, entry.func, (), {}, self._new_result()))
            for call in self._agenda.due_calls(now):
                self._start(call)
            return min(self._agenda.pause(time.time()), self._interval)
        except Exception:
            logger.exception("error in task scheduler, which goes on.")
            return self._interval

    def _start(self, call: Call) -> None:
        logger.info("enqueueing %s", call.name)
        try:
            self._spawn(call)
        except Exception as error:
            # Nobody calls this one: its handle must tell.
            self._fail(call, error)

    # ── what an environment adds ───────────────────────────────────────────────────────────────

    def _prepare(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Give what is to be called for a function; refuse one that cannot be run here."""
        return func

    def _new_result(self) -> Slot:
        raise NotImplementedError

    def _spawn(self, call: Call) -> None:
        """Run a call aside."""
        raise NotImplementedError

    def _ring(self) -> None:
        """Let the scheduler look again: something is due earlier than it knows."""
        raise NotImplementedError


def _name_of(func: Callable[..., Any]) -> str:
    return str(getattr(func, "__name__", func))
