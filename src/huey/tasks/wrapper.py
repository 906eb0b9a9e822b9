"""What a decorator leaves in place of the function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from huey.tasks.options import check_options
from huey.tasks.task import CALL_OPTIONS, Task
from huey.timing import normalize_time

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.results import Result, ResultGroup

P = ParamSpec("P")
R = TypeVar("R")


class TaskWrapper(Generic[P, R]):
    """A function that is run by a consumer when it is called.

    Args:
        huey: the application that the task belongs to.
        func: the function, or coroutine function.
        context: whether the function receives its :class:`Task` as the keyword ``task``.
        name: registers the task as ``<module>.<name>`` instead of under the function's name.
        task_base: the class to derive the task class from.
        settings: class attributes of the task class, such as ``default_retries``.

    Raises:
        ValueError: a task of this module and name exists already.
    """

    def __init__(
        self,
        huey: Huey,
        func: Callable[..., Any],
        context: bool = False,
        name: str | None = None,
        task_base: type[Task] | None = None,
        **settings: Any,
    ) -> None:
        self.huey = huey
        self.func = func
        self.context = context
        self.name = name
        self.settings = settings
        self.task_base = task_base or Task
        self.__doc__ = func.__doc__
        self.task_class = self.create_task(func, context, name, **settings)
        huey._registry.register(self.task_class)

    def create_task(
        self,
        func: Callable[..., Any],
        context: bool = False,
        name: str | None = None,
        **settings: Any,
    ) -> type[Task]:
        """Make the task class whose instances are calls of ``func``."""

        def execute(self: Task) -> Any:
            args, kwargs = self.data
            if context:
                # A copy: the task must not be among its own arguments when it is stored again.
                kwargs = {**kwargs, "task": self}
            return func(*args, **kwargs)

        attributes: dict[str, Any] = {
            "context": context,
            "is_async": inspect.iscoroutinefunction(inspect.unwrap(func)),
            "execute": execute,
            "__module__": func.__module__,
            "__doc__": func.__doc__,
            **settings,
        }
        return type(name or func.__name__, (self.task_base,), attributes)

    def unregister(self) -> bool:
        """Forget the task; messages of it become unknown. False if it was forgotten already."""
        return self.huey._registry.unregister(self.task_class)

    @property
    def retries(self) -> int:
        """Attempts after the first, unless a call says otherwise."""
        return self.task_class.default_retries

    @property
    def retry_delay(self) -> float:
        """Seconds between attempts, unless a call says otherwise."""
        return self.task_class.default_retry_delay

    # ── calling ────────────────────────────────────────────────────────────────────────────────

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        """Enqueue a call of the function; the arguments are the function's own.

        Also taken, as keywords: ``id``, ``eta``, ``delay``, ``retries``, ``retry_delay``,
        ``retry_backoff``, ``priority``, ``expires`` and ``timeout``.
        """
        # Type checkers know the usual case; a pipeline gives a ResultGroup, and results=False None.
        return cast("Result[R]", self.huey.enqueue(self.s(*args, **kwargs)))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        """Enqueue a call of the function without blocking the event loop; see a plain call."""
        return cast("Result[R]", await self.huey.aenqueue(self.s(*args, **kwargs)))

    def s(self, *args: Any, **kwargs: Any) -> Task:
        """Make the task without enqueueing it; takes the same arguments as a call.

        Raises:
            TypeError: an option of the call is of the wrong type.
            ValueError: one is out of its range, or both ``eta`` and ``delay`` were given.
        """
        if not kwargs:
            return self.task_class(args, kwargs)
        eta = kwargs.pop("eta", None)
        delay = kwargs.pop("delay", None)
        if eta is not None or delay is not None:
            eta = normalize_time(eta, delay, self.huey.utc)
        options = {name: kwargs.pop(name, None) for name in CALL_OPTIONS if name != "eta"}
        check_options(**options)
        return self.task_class(args, kwargs, eta=eta, **options)

    def options(self, **options: Any) -> BoundCall[P, R]:
        """Set the options first, so that the call itself takes exactly the function's arguments.

        ``add.options(delay=10)(1, 2)`` is ``add(1, 2, delay=10)``, checked by type checkers.

        Raises:
            TypeError: an option is not among those of a call.
        """
        unknown = options.keys() - {*CALL_OPTIONS, "delay"}
        if unknown:
            raise TypeError(
                f"Unknown option {', '.join(sorted(unknown))}: "
                f"a call takes {', '.join(('delay', *CALL_OPTIONS))}."
            )
        return BoundCall(self, options)

    def schedule(
        self,
        args: Any = None,
        kwargs: dict[str, Any] | None = None,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        priority: float | None = None,
        retries: int | None = None,
        retry_delay: float | None = None,
        retry_backoff: float | None = None,
        expires: Any = None,
        timeout: float | None = None,
        id: str | None = None,
    ) -> Result[R]:
        """Enqueue a call for later: at ``eta``, or after ``delay`` seconds.

        A lone first argument that is a number, a timedelta or a datetime is the delay or the eta.

        Raises:
            TypeError: an option is of the wrong type.
            ValueError: no time was given, or two, or ``kwargs`` is no dict.
        """
        if eta is None and delay is None:
            args, eta, delay = None, *_time_of(args)
        if kwargs is not None and not isinstance(kwargs, dict):
            raise ValueError(f"kwargs must be a dict of keyword arguments, got {kwargs!r}.")
        options: dict[str, Any] = {
            "id": id,
            "retries": retries,
            "retry_delay": retry_delay,
            "priority": priority,
            "expires": expires,
            "timeout": timeout,
            "retry_backoff": retry_backoff,
        }
        check_options(**options)
        eta = normalize_time(eta, delay, self.huey.utc)
        task = self.task_class(args or (), kwargs or {}, eta=eta, **options)
        return cast("Result[R]", self.huey.enqueue(task))

    def map(self, iterable: Iterable[Any]) -> ResultGroup[R] | None:
        """Enqueue a call per item, many in one round trip; a tuple is spread over the arguments."""
        tasks = (self.s(*(item if isinstance(item, tuple) else (item,))) for item in iterable)
        return cast("ResultGroup[R] | None", self.huey.enqueue_many(tasks))

    def call_local(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the function here and now, without the queue."""
        return self.func(*args, **kwargs)

    # ── revoking ───────────────────────────────────────────────────────────────────────────────

    def revoke(self, revoke_until: datetime | None = None, revoke_once: bool = False) -> None:
        """Tell all tasks of this function not to run: until an instant, once, or for good."""
        self.huey.revoke_all(self, revoke_until, revoke_once)

    def restore(self) -> bool:
        """Take a revocation back; False if there was none."""
        return self.huey.restore_all(self)

    def is_revoked(self, timestamp: datetime | None = None, peek: bool = True) -> bool:
        """Tell whether this function is revoked at ``timestamp`` (now)."""
        return self.huey.is_revoked(self, timestamp, peek)


class BoundCall(Generic[P, R]):
    """A wrapper whose call options are set already."""

    def __init__(self, wrapper: TaskWrapper[P, R], options: dict[str, Any]) -> None:
        self._wrapper = wrapper
        self._options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        """Enqueue the call."""
        return cast("Result[R]", self._wrapper.huey.enqueue(self.s(*args, **kwargs)))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        """Enqueue the call without blocking the event loop."""
        return cast("Result[R]", await self._wrapper.huey.aenqueue(self.s(*args, **kwargs)))

    def s(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Make the task without enqueueing it."""
        return self._wrapper.s(*args, **kwargs, **self._options)


def _time_of(value: Any) -> tuple[datetime | None, float | timedelta | None]:
    """Read the lone argument of ``schedule`` as (eta, delay)."""
    match value:
        case datetime():
            return value, None
        case int() | float() | timedelta():
            return None, value
    raise ValueError(
        "schedule() needs a time: give eta=<datetime> or delay=<seconds or timedelta>, "
        f"got neither (first argument: {value!r})."
    )
