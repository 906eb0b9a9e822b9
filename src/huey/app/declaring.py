"""Turning functions into tasks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from huey.app.state import State
from huey.tasks.options import check_options
from huey.tasks.task import PeriodicTask
from huey.tasks.uniqueness import DROP, take_uniqueness
from huey.tasks.wrapper import TaskWrapper
from huey.timing import to_epoch

if TYPE_CHECKING:
    from datetime import datetime

    from huey.app.huey import Huey

P = ParamSpec("P")
R = TypeVar("R")


class TaskDecorator(Protocol):
    """What ``huey.task(…)`` returns: it keeps the signature of the function."""

    @overload
    def __call__(self, func: TaskWrapper[P, R]) -> TaskWrapper[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]]) -> TaskWrapper[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R]) -> TaskWrapper[P, R]: ...


class Declaring(State):
    """The decorators."""

    def task(
        self,
        retries: int = 0,
        retry_delay: float = 0,
        retry_backoff: float = 0,
        priority: float | None = None,
        context: bool = False,
        name: str | None = None,
        expires: Any = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> TaskDecorator:
        """Make a function a task: calling it enqueues the call.

        Args:
            retries: further attempts after one that failed.
            retry_delay: seconds before the next attempt.
            retry_backoff: factor by which the delay grows with each attempt; 0 keeps it.
            priority: the higher, the sooner.
            context: pass the task itself to the function, as the keyword ``task``.
            name: registers the task as ``<module>.<name>`` instead of the function's name.
            expires: seconds, timedelta or datetime after which the task is not started any more.
            timeout: seconds that the function may run.
            kwargs: beyond these, ``retry_max_delay`` (seconds; upper bound of the growing delay),
                ``retry_jitter`` (0 to 1; the share of the delay that is random), ``retry_on`` (the
                exceptions that are worth another attempt), ``delivery`` ("at_least_once" or
                "at_most_once"), and those below; anything else becomes an attribute of the task
                class.

        With ``unique`` a task is not enqueued while another like it has not come to its end:

        * ``unique``: True compares all arguments, a list of names only those, and a function makes
          a key of them; what counts is plain data;
        * ``unique_until``: "done" (the default; after the last retry), or "started";
        * ``unique_for``: seconds after which the place is free in any case;
        * ``on_conflict``: "existing" (the default) gives the result handle of the task that
          waits, "replace" revokes that one and enqueues the new one, "drop" gives None.

        Raises:
            TypeError: a setting of the wrong type; or the parentheses were forgotten.
            ValueError: a setting out of its range.
        """
        check_options(
            retries=retries,
            retry_delay=retry_delay,
            retry_backoff=retry_backoff,
            priority=priority,
            expires=expires,
            timeout=timeout,
            **kwargs,
        )

        def decorator(func: Any) -> Any:
            return self._wrap(
                func,
                None,
                context=context,
                name=name,
                default_retries=retries,
                default_retry_delay=retry_delay,
                default_retry_backoff=retry_backoff,
                default_priority=priority,
                default_expires=expires,
                default_timeout=timeout,
                **_class_attributes(kwargs),
            )

        return decorator

    def periodic_task(
        self,
        validate_datetime: Any,
        retries: int = 0,
        retry_delay: float = 0,
        retry_backoff: float = 0,
        priority: float | None = None,
        context: bool = False,
        name: str | None = None,
        expires: Any = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> TaskDecorator:
        """Make a function a task that also runs by the clock.

        Args:
            validate_datetime: ``crontab(…)``, or any function that is called with the naive
                instant of each whole minute and tells whether the task is to run; or a cron
                string (six fields begin with seconds), a timedelta, a number of seconds.
            retries: see :meth:`task`, like all the following.
            retry_delay: seconds.
            retry_backoff: factor.
            priority: the higher, the sooner.
            context: pass the task itself.
            name: another name.
            expires: seconds, timedelta or datetime.
            timeout: seconds.
            kwargs: as in :meth:`task`; ``tz``, the zone in which the rule is meant; and
                ``catch_up``: what to do about ticks that passed while no consumer ran: ``"none"``,
                ``"last"`` (the default) or ``"all"``; and ``overlap``: False leaves a tick out
                while the task of an earlier one waits or runs.

        Raises:
            TypeError: a setting of the wrong type.
            ValueError: a setting out of its range.
        """
        check_options(
            retries=retries,
            retry_delay=retry_delay,
            retry_backoff=retry_backoff,
            priority=priority,
            expires=expires,
            timeout=timeout,
            **kwargs,
        )
        if not kwargs.pop("overlap", True):
            kwargs = {"unique": True, "on_conflict": DROP, **kwargs}

        rule, validate_datetime = _rule_and_predicate(
            validate_datetime, kwargs.pop("tz", None), self.utc
        )

        # Sentry reads the predicate from this closure, under this name.
        def method(self: PeriodicTask, timestamp: datetime) -> bool:
            return bool(validate_datetime(timestamp))

        def decorator(func: Any) -> Any:
            return self._wrap(
                func,
                PeriodicTask,
                schedule_rule=rule,
                context=context,
                name=name,
                default_retries=retries,
                default_retry_delay=retry_delay,
                default_retry_backoff=retry_backoff,
                default_priority=priority,
                default_expires=expires,
                default_timeout=timeout,
                validate_datetime=method,
                **_class_attributes(kwargs),
            )

        return decorator

    def context_task(
        self, obj: AbstractContextManager[Any], as_argument: bool = False, **kwargs: Any
    ) -> TaskDecorator:
        """Make a function a task that runs inside ``with obj``.

        Args:
            obj: a context manager that can be entered again and again.
            as_argument: pass what entering it gives as the first argument.
            kwargs: settings of :meth:`task`.
        """

        def decorator(func: Any) -> Any:
            @functools.wraps(func)
            def inner(*args: Any, **kws: Any) -> Any:
                with obj as entered:
                    return func(*((entered, *args) if as_argument else args), **kws)

            return self.task(**kwargs)(inner)

        return decorator

    def _wrap(self: Any, func: Any, base: type[PeriodicTask] | None, **settings: Any) -> Any:
        if isinstance(func, TaskWrapper):
            func = func.func
        settings["uniqueness"] = take_uniqueness(func, settings)
        huey: Huey = self
        return huey.task_wrapper_class(huey, func, task_base=base, **settings)


def _rule_and_predicate(rule: Any, tz: Any, utc: bool) -> tuple[Any, Callable[[datetime], bool]]:
    """Give the schedule of a periodic task, and whether it plans anything in a given minute."""
    if callable(rule) and tz is None:
        # Checked as the scheduler will read it, but kept as it is.
        return staticmethod(rule), rule
    from huey.tasks.cron import to_schedule  # deferred: cron strings need a library

    schedule = to_schedule(rule, tz=tz, utc=utc)

    def in_minute(timestamp: datetime) -> bool:
        minute = to_epoch(timestamp.replace(second=0, microsecond=0), utc)
        return schedule.last_between(minute - 1e-6, minute + 60 - 1e-6) is not None

    return schedule, in_minute


#: Settings beyond Huey 3.5.4 that a call cannot change, and the class attribute that holds each.
_RENAMED = {
    "retry_max_delay": "default_retry_max_delay",
    "retry_jitter": "default_retry_jitter",
}


def _class_attributes(settings: dict[str, Any]) -> dict[str, Any]:
    attributes = {_RENAMED.get(name, name): value for name, value in settings.items()}
    retry_on = attributes.get("retry_on")
    if isinstance(retry_on, type):
        attributes["retry_on"] = (retry_on,)
    return attributes
