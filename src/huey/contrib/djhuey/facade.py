"""The decorators and helpers of djhuey, for one queue or several."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from django.db import transaction

from huey.contrib.djhuey.database import closing
from huey.results import Result
from huey.tasks.task import Task
from huey.tasks.workflow import chord, group
from huey.tasks.wrapper import TaskWrapper

if TYPE_CHECKING:
    from huey.app.declaring import TaskDecorator
    from huey.app.huey import Huey
    from huey.guards.lock import TaskLock
    from huey.guards.rate import RateLimit

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class UnknownQueue(KeyError):
    """The settings declare no queue of that name."""

    def __init__(self, name: object, known: list[str]) -> None:
        super().__init__(name)
        self._text = f"There is no queue {name!r}: the settings declare {', '.join(known)}."

    def __str__(self) -> str:
        return self._text


class Queues:
    """The queues of a project; its methods are the names that ``djhuey`` exposes.

    Each method takes ``queue=``: the key of a queue in the settings. Without it the queue is the
    one that a given task was declared for, or else the default.
    """

    def __init__(
        self, hueys: dict[str, Huey], default: str, consumers: dict[str, dict[str, Any]]
    ) -> None:
        self.hueys = hueys
        self.default = default
        #: Options of the consumers, as the settings give them.
        self.consumers = consumers

    def get_queue(self, queue: str | None = None) -> Huey:
        """Give the Huey of a queue; without a name that of the default.

        Raises:
            UnknownQueue: there is none of that name.
        """
        try:
            return self.hueys[self.default if queue is None else queue]
        except (KeyError, TypeError):
            raise UnknownQueue(queue, list(self.hueys)) from None

    def _owner(self, item: Any, queue: str | None) -> Huey:
        """Give the Huey that a task, its result, its function or a group of them belongs to."""
        if queue is not None or len(self.hueys) == 1:
            return self.get_queue(queue)
        match item:
            case Result() | TaskWrapper():
                return item.huey
            case Task():
                item = type(item)
            case group() | chord() if isinstance(item.tasks, list | tuple) and item.tasks:
                return self._owner(item.tasks[0], None)
        known = (huey for huey in self.hueys.values() if item in huey._registry._names)
        return next(known, self.get_queue())

    # ── decorators ─────────────────────────────────────────────────────────────────────────────

    def task(self, *args: Any, queue: str | None = None, **kwargs: Any) -> TaskDecorator:
        """Make a function a task; takes the settings of ``Huey.task``."""
        return self.get_queue(queue).task(*args, **kwargs)

    def periodic_task(self, *args: Any, queue: str | None = None, **kwargs: Any) -> TaskDecorator:
        """Make a function a task that also runs by the clock; see ``Huey.periodic_task``."""
        return self.get_queue(queue).periodic_task(*args, **kwargs)

    def context_task(
        self,
        obj: AbstractContextManager[Any],
        as_argument: bool = False,
        *,
        queue: str | None = None,
        **kwargs: Any,
    ) -> TaskDecorator:
        """Make a function a task that runs inside ``with obj``; see ``Huey.context_task``."""
        return self.get_queue(queue).context_task(obj, as_argument, **kwargs)

    def db_task(self, *args: Any, queue: str | None = None, **kwargs: Any) -> TaskDecorator:
        """Make a function that queries databases a task: connections are refreshed around it.

        The wrapper's ``call_local`` is the function itself, which leaves connections alone.
        """
        decorate: TaskDecorator = self.get_queue(queue).task(*args, **kwargs)
        closing_too: TaskDecorator = self._with_connections(decorate, queue)
        return closing_too

    def db_periodic_task(
        self, *args: Any, queue: str | None = None, **kwargs: Any
    ) -> TaskDecorator:
        """Like ``periodic_task``, for a function that queries databases."""
        decorate: TaskDecorator = self.get_queue(queue).periodic_task(*args, **kwargs)
        closing_too: TaskDecorator = self._with_connections(decorate, queue)
        return closing_too

    def _with_connections(self, decorate: TaskDecorator, queue: str | None) -> Any:
        def decorator(fn: Any) -> TaskWrapper[..., Any]:
            fn = fn.func if isinstance(fn, TaskWrapper) else fn
            wrapper: TaskWrapper[..., Any] = decorate(self.close_db(fn, queue=queue))
            wrapper.call_local = fn  # type: ignore[method-assign]  # as in Huey 3.5.4
            return wrapper

        return decorator

    def close_db(self, fn: Callable[P, R], *, queue: str | None = None) -> Callable[P, R]:
        """Wrap a function: database connections are refreshed before and after it, as Django does
        for a request; not in immediate mode, and not inside of ``transaction.atomic()``.
        """
        huey = self.get_queue(queue)
        return closing(fn, lambda: huey.immediate)

    def on_commit_task(
        self, *args: Any, queue: str | None = None, using: str | None = None, **kwargs: Any
    ) -> Callable[[Callable[P, R]], Callable[P, Result[R]]]:
        """Make a function a task whose calls are enqueued when the transaction has committed.

        A call returns a Result at once. If the transaction is rolled back, the task never runs and
        the Result never becomes ready. ``using`` is the alias of the database whose transaction is
        meant.
        """
        huey = self.get_queue(queue)

        def decorator(fn: Callable[P, R]) -> Callable[P, Result[R]]:
            wrapper = self.db_task(*args, queue=queue, **kwargs)(fn)

            def inner(*fn_args: P.args, **fn_kwargs: P.kwargs) -> Result[R]:
                task = wrapper.s(*fn_args, **fn_kwargs)
                transaction.on_commit(functools.partial(huey.enqueue, task), using=using)
                return huey._result_handle(task)

            functools.update_wrapper(inner, fn)
            inner.call_local = fn  # type: ignore[attr-defined]  # like that of a wrapper
            inner.task_wrapper = wrapper  # type: ignore[attr-defined]  # for .s(), .schedule() …
            return inner

        return decorator

    def lock_task(
        self, lock_name: str, ttl: float | None = None, *, queue: str | None = None
    ) -> TaskLock:
        """Give a lock; see ``Huey.lock_task``."""
        return self.get_queue(queue).lock_task(lock_name, ttl)

    def rate_limit(
        self,
        name: str,
        limit: int,
        per: float,
        retry: bool = True,
        *,
        queue: str | None = None,
    ) -> RateLimit:
        """Give a rate limit; see ``Huey.rate_limit``."""
        return self.get_queue(queue).rate_limit(name, limit, per, retry)

    # ── hooks and signals ──────────────────────────────────────────────────────────────────────

    def on_startup(self, name: str | None = None, *, queue: str | None = None) -> Callable[[F], F]:
        """Call the function once per worker, at its start."""
        return self.get_queue(queue).on_startup(name)

    def on_shutdown(self, name: str | None = None, *, queue: str | None = None) -> Callable[[F], F]:
        """Call the function once per worker, at its end."""
        return self.get_queue(queue).on_shutdown(name)

    def pre_execute(self, name: str | None = None, *, queue: str | None = None) -> Callable[[F], F]:
        """Call the function with each task before it runs."""
        return self.get_queue(queue).pre_execute(name)

    def post_execute(
        self, name: str | None = None, *, queue: str | None = None
    ) -> Callable[[F], F]:
        """Call the function with each task, its value and its exception."""
        return self.get_queue(queue).post_execute(name)

    def signal(self, *signals: str, queue: str | None = None) -> Callable[[F], F]:
        """Call the function as ``(signal, task, …)`` for these signals, or for all."""
        return self.get_queue(queue).signal(*signals)

    def disconnect_signal(
        self, receiver: Callable[..., Any], *signals: str, queue: str | None = None
    ) -> None:
        """Stop calling the function for these signals, or for all."""
        self.get_queue(queue).disconnect_signal(receiver, *signals)

    # ── tasks ──────────────────────────────────────────────────────────────────────────────────

    def enqueue(self, item: Any, *, queue: str | None = None) -> Any:
        """Enqueue a task, a group or a chord."""
        return self._owner(item, queue).enqueue(item)

    def result(self, id: str, *args: Any, queue: str | None = None, **kwargs: Any) -> Any:
        """Fetch the result of the task with this id; see ``Huey.result``."""
        return self.get_queue(queue).result(id, *args, **kwargs)

    def pending(self, limit: int | None = None, *, queue: str | None = None) -> list[Task]:
        """List the tasks that are ready to run, in order."""
        return self.get_queue(queue).pending(limit)

    def scheduled(self, limit: int | None = None, *, queue: str | None = None) -> list[Task]:
        """List the scheduled tasks, soonest first."""
        return self.get_queue(queue).scheduled(limit)

    def is_locked(self, lock_name: str, *, queue: str | None = None) -> bool:
        """Tell whether somebody holds the lock of this name."""
        return self.get_queue(queue).is_locked(lock_name)

    def flush_locks(self, *names: str, queue: str | None = None) -> set[str]:
        """Free all locks that this process knows, and those named; see ``Huey.flush_locks``."""
        return self.get_queue(queue).flush_locks(*names)

    # ── revoking ───────────────────────────────────────────────────────────────────────────────

    def revoke(
        self,
        task: Any,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        *,
        queue: str | None = None,
    ) -> None:
        """Tell a task, given as Task or Result, not to run."""
        self._owner(task, queue).revoke(task, revoke_until, revoke_once)

    def revoke_by_id(
        self,
        id: str,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        *,
        queue: str | None = None,
    ) -> None:
        """Tell the task with this id not to run."""
        self.get_queue(queue).revoke_by_id(id, revoke_until, revoke_once)

    def revoke_all(
        self,
        task_class: Any,
        revoke_until: datetime | None = None,
        revoke_once: bool = False,
        *,
        queue: str | None = None,
    ) -> None:
        """Tell all tasks of a function, or task class, not to run."""
        self._owner(task_class, queue).revoke_all(task_class, revoke_until, revoke_once)

    def restore(self, task: Any, *, queue: str | None = None) -> bool:
        """Take the revocation of a task back; False if there was none."""
        return self._owner(task, queue).restore(task)

    def restore_by_id(self, id: str, *, queue: str | None = None) -> bool:
        """Take the revocation of a task id back; False if there was none."""
        return self.get_queue(queue).restore_by_id(id)

    def restore_all(self, task_class: Any, *, queue: str | None = None) -> bool:
        """Take the revocation of a function or task class back; False if there was none."""
        return self._owner(task_class, queue).restore_all(task_class)

    def is_revoked(
        self,
        task: Any,
        timestamp: datetime | None = None,
        peek: bool = True,
        *,
        queue: str | None = None,
    ) -> bool:
        """Tell whether a task, its result, its function or an id is revoked."""
        return self._owner(task, queue).is_revoked(task, timestamp, peek)
