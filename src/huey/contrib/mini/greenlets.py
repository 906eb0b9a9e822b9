"""MiniHuey: tasks in greenlets of the application's own process."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from huey.contrib.mini.blocking import Blocking
from huey.contrib.mini.core import MiniTask, logger
from huey.exceptions import ConfigurationError
from huey.storage.drivers import require

if TYPE_CHECKING:
    from huey.contrib.mini.agenda import Call
    from huey.contrib.mini.greenlet_parts import MiniHueyResult

P = ParamSpec("P")
R = TypeVar("R")

_ALTERNATIVES = (
    "AsyncMiniHuey (asyncio) and ThreadMiniHuey (threads) in huey.contrib.mini have the same "
    "interface."
)


class GreenletTaskDecorator(Protocol):
    """What ``MiniHuey.task()`` returns: it keeps the signature of the function."""

    def __call__(self, func: Callable[P, R]) -> MiniTask[P, MiniHueyResult[R]]:
        """Make the function a task."""


class MiniHuey(Blocking):
    """Runs tasks in greenlets; nothing is stored, and no other process is needed.

    Patch the standard library first: ``from gevent import monkey; monkey.patch_all()``.

    Args:
        name: for log lines.
        interval: seconds between two looks at the clock at the latest.
        pool_size: how many tasks may run at once; a further call waits for a place.

    Raises:
        ConfigurationError: gevent is not there or cannot work here, or a setting is not above 0.
    """

    def __init__(
        self, name: str = "huey", interval: float = 1, pool_size: int | None = None
    ) -> None:
        super().__init__(name, interval, pool_size)
        objection = objection_to_greenlets(
            free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
            loop_is_running=_loop_is_running(),
        )
        if objection is not None:
            raise ConfigurationError(f"MiniHuey needs gevent, and {objection} {_ALTERNATIVES}")
        try:
            gevent = require("gevent", extra="gevent", purpose="MiniHuey")
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} {_ALTERNATIVES}") from error
        from gevent.event import Event

        from huey.contrib.mini.greenlet_parts import MiniHueyResult, TaskPool

        self._gevent = gevent
        self._new_result = MiniHueyResult  # type: ignore[method-assign]  # one call less
        self._shutdown = Event()
        self._bell = Event()
        self._pool = TaskPool(pool_size)

    @overload
    def task(self, validate_func: None = None) -> GreenletTaskDecorator: ...
    @overload
    def task(self, validate_func: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def task(self, validate_func: Any = None) -> Any:
        """Make a function a task, or, with a rule, one that runs by the clock: `MiniCore.task`."""
        return super().task(validate_func)

    def start(self) -> None:
        """Start the scheduler and return at once; see `Blocking.start`."""
        super().start()
        from gevent import monkey

        if not monkey.is_module_patched("socket"):
            logger.warning(
                "The standard library is not patched for gevent: a task that waits for the network "
                "or sleeps stops the whole process. Call gevent.monkey.patch_all() first."
            )

    def _prepare(self, func: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(inspect.unwrap(func)):
            raise ConfigurationError(
                f"MiniHuey cannot run the coroutine function {func!r}: greenlets have no event "
                "loop. Use AsyncMiniHuey, which runs it on the application's loop."
            )
        return func

    def _spawn(self, call: Call) -> None:
        self._pool.run(self._perform, call)

    def _run_in_background(self) -> Any:
        return self._gevent.spawn(self._run)

    def _join_tasks(self, timeout: float | None) -> bool:
        return bool(self._pool.join(timeout))


def objection_to_greenlets(*, free_threaded: bool, loop_is_running: bool) -> str | None:
    """Tell why gevent cannot work here, as the end of a sentence; None if nothing is against it."""
    if free_threaded:
        return "there is no gevent for a Python without the global interpreter lock."
    if loop_is_running:
        return "an asyncio event loop is running here, which greenlets would block."
    return None


def _loop_is_running() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
