"""ThreadMiniHuey: tasks in threads of the application's own process."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from huey.contrib.mini.blocking import Blocking
from huey.contrib.mini.core import MiniTask
from huey.exceptions import ResultTimeout

if TYPE_CHECKING:
    from huey.contrib.mini.agenda import Call, Slot

P = ParamSpec("P")
R = TypeVar("R")


class MiniFuture(Future[R]):
    """Where a call leaves what came of it; it cannot be cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()

    def set(self, value: R) -> None:
        """Keep what the task returned, unless it was given up before."""
        with contextlib.suppress(InvalidStateError):
            self.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Keep what the task raised, unless it was given up before."""
        with contextlib.suppress(InvalidStateError):
            self.set_exception(error)

    def ready(self) -> bool:
        """Tell whether the task has ended."""
        return self.done()

    def successful(self) -> bool:
        """Tell whether the task has ended, and well."""
        return self.done() and self.exception() is None


class ThreadMiniResult(MiniFuture[R]):
    """Fetches what a task returned; functions of ``concurrent.futures`` take it, too."""

    def get(self, block: bool = True, timeout: float | None = None) -> R:
        """Fetch the value.

        Args:
            block: wait for it.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            ResultTimeout: it did not come in time.
            BaseException: what the task raised.
        """
        if not self.wait(timeout if block else 0):
            raise ResultTimeout(f"The task did not end within {timeout if block else 0} seconds.")
        return self.result()

    __call__ = get

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the task has ended; False if ``timeout`` seconds passed first."""
        try:
            self.exception(timeout)
        except TimeoutError:
            return False
        return True


class ThreadTaskDecorator(Protocol):
    """What ``ThreadMiniHuey.task()`` returns: it keeps the signature of the function."""

    @overload
    def __call__(
        self, func: Callable[P, Coroutine[Any, Any, R]]
    ) -> MiniTask[P, ThreadMiniResult[R]]: ...
    @overload
    def __call__(self, func: Callable[P, R]) -> MiniTask[P, ThreadMiniResult[R]]: ...


class ThreadMiniHuey(Blocking):
    """Runs each task in a new thread; nothing is stored, and no other process is needed.

    The process does not exit before the tasks that are running have ended. A coroutine function
    runs in an event loop of its own.

    Args:
        name: for log lines and names of threads.
        interval: seconds between two looks at the clock at the latest.
        pool_size: how many tasks may run at once; a further call waits for a place.

    Raises:
        ConfigurationError: a setting is not above 0.
    """

    def __init__(
        self, name: str = "huey", interval: float = 1, pool_size: int | None = None
    ) -> None:
        super().__init__(name, interval, pool_size)
        self._shutdown = threading.Event()
        self._bell = threading.Event()
        self._pool = TaskThreads(name, pool_size)

    @overload
    def task(self, validate_func: None = None) -> ThreadTaskDecorator: ...
    @overload
    def task(self, validate_func: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def task(self, validate_func: Any = None) -> Any:
        """Make a function a task, or, with a rule, one that runs by the clock: `MiniCore.task`."""
        return super().task(validate_func)

    def _prepare(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(inspect.unwrap(func)):
            return func

        def run(*args: Any, **kwargs: Any) -> Any:
            import asyncio  # deferred: other tasks do not need it

            return asyncio.run(func(*args, **kwargs))

        return run

    def _new_result(self) -> Slot:
        return ThreadMiniResult[Any]()

    def _spawn(self, call: Call) -> None:
        self._pool.run(self._perform, call)

    def _is_running(self) -> bool:
        # A forked child has a copy of the attribute, and no such thread.
        return self._run_t is not None and self._run_t.is_alive()

    def _run_in_background(self) -> Any:
        thread = threading.Thread(target=self._run, name=f"{self.name}-scheduler", daemon=True)
        thread.start()
        return thread

    def _join_tasks(self, timeout: float | None) -> bool:
        return self._pool.join(timeout)


class TaskThreads:
    """The threads of running tasks; with a size, a further one waits for a place."""

    def __init__(self, name: str, size: int | None) -> None:
        self._name = name
        self._size = size
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._running = 0
        self._changed = threading.Condition()

    def run(self, function: Callable[[Any], None], argument: Any) -> None:
        """Run a function, which must not raise, in a new thread."""
        if self._pid != os.getpid():
            # The threads stayed behind in the parent; the lock may have been theirs.
            self._begin_anew()
        with self._changed:
            self._changed.wait_for(lambda: self._size is None or self._running < self._size)
            self._running += 1
        thread = threading.Thread(
            target=self._run, args=(function, argument), name=f"{self._name}-task"
        )
        try:
            thread.start()
        except BaseException:
            self._leave()
            raise

    def _run(self, function: Callable[[Any], None], argument: Any) -> None:
        try:
            function(argument)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until none runs; False if ``timeout`` seconds passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout)
