"""AsyncMiniHuey: tasks on the application's own event loop, or beside it in a few threads."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from huey.contrib.mini.core import MiniCore, MiniTask, logger
from huey.contrib.mini.threads import MiniFuture
from huey.exceptions import ConfigurationError, HueyException, ResultTimeout

if TYPE_CHECKING:
    from huey.contrib.mini.agenda import Call, Slot

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds for which the end of a lifespan waits for tasks; below the 10 s of container stops.
LIFESPAN_PATIENCE = 8.0


class AsyncMiniResult(MiniFuture[R]):
    """Fetches what a task returned: ``await result``, on any event loop.

    An await that is cancelled changes nothing for the task, or for others who await it.
    """

    def __await__(self) -> Generator[Any, None, R]:
        return asyncio.wrap_future(self).__await__()

    async def get(self, timeout: float | None = None) -> R:
        """Fetch the value.

        Args:
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            ResultTimeout: it did not come in time.
            BaseException: what the task raised.
        """
        if self.done():
            return self.result()
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self
        except TimeoutError:
            if not limit.expired():  # it is the task's own
                raise
            raise ResultTimeout(f"The task did not end within {timeout} seconds.") from None

    __call__ = get

    def fail(self, error: BaseException) -> None:
        """Keep what the task raised."""
        if isinstance(error, StopIteration):
            # No future can hold it: it would end the coroutine that awaits.
            stopped = RuntimeError("The task raised StopIteration.")
            stopped.__cause__ = error
            error = stopped
        super().fail(error)


class AsyncTaskDecorator(Protocol):
    """What ``AsyncMiniHuey.task()`` returns: it keeps the signature of the function."""

    @overload
    def __call__(
        self, func: Callable[P, Coroutine[Any, Any, R]]
    ) -> MiniTask[P, AsyncMiniResult[R]]: ...
    @overload
    def __call__(self, func: Callable[P, R]) -> MiniTask[P, AsyncMiniResult[R]]: ...


class AsyncMiniHuey(MiniCore):
    """Runs coroutine functions on the running event loop, other functions in a pool of threads.

    Nothing is stored, and no other process is needed. A web framework starts and stops it with its
    own life: ``FastAPI(lifespan=mini.lifespan)``, ``Starlette(lifespan=mini.lifespan)``,
    ``Litestar(lifespan=[mini.lifespan])``.

    Once it is started, tasks may also be called in other threads: they run on the loop on which it
    was started.

    Args:
        name: for log lines and names of threads.
        interval: seconds between two looks at the clock at the latest.
        pool_size: how many tasks may run at once; further ones wait in line, the caller does not.
            None sets no limit, but functions that are no coroutine functions share some threads.

    Raises:
        ConfigurationError: a setting is not above 0.
    """

    def __init__(
        self, name: str = "huey", interval: float = 1, pool_size: int | None = None
    ) -> None:
        super().__init__(name, interval, pool_size)
        self._pool_size = pool_size
        self._run_t: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()
        self._places: asyncio.Semaphore | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @overload
    def task(self, validate_func: None = None) -> AsyncTaskDecorator: ...
    @overload
    def task(self, validate_func: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def task(self, validate_func: Any = None) -> Any:
        """Make a function a task, or, with a rule, one that runs by the clock: `MiniCore.task`."""
        return super().task(validate_func)

    # ── the scheduler ──────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the scheduler on the running event loop, and return at once.

        Without it, calls of tasks run, but nothing that is scheduled or periodic.

        Raises:
            HueyException: it is running already.
            ConfigurationError: no event loop is running.
        """
        if self._is_running():
            raise HueyException("Task runner is already running: await stop() first.")
        self._move_to(_running_loop("start() needs"))
        assert self._loop is not None
        self._bell = asyncio.Event()
        self._agenda.begin(time.time())
        self._run_t = self._loop.create_task(self._run(), name=f"{self.name}-scheduler")
        logger.info("task runner started.")

    async def stop(self, wait: bool = False, timeout: float | None = None) -> bool:
        """Stop the scheduler. What is scheduled stays, and goes on with the next start.

        Args:
            wait: wait for the tasks that are running, too.
            timeout: wait for them, but for so many seconds at most.

        Returns:
            False if tasks are still running although they were waited for.

        Raises:
            HueyException: it is not running.
        """
        if not self._is_running():
            raise HueyException("Task runner does not appear to have started: call start() first.")
        assert self._run_t is not None
        logger.info("shutdown requested.")
        self._run_t.cancel()
        await asyncio.wait([self._run_t])
        self._run_t = None
        logger.info("exiting task runner")
        if self._tasks and (wait or timeout is not None):
            await asyncio.wait(self._tasks, timeout=timeout)
            return not self._tasks
        return True

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """Run the scheduler while an application lives.

        At the end, running tasks are waited for, but not for longer than 8 seconds.

        Args:
            app: the application; a framework passes it, and it is not used.
        """
        self.start()
        try:
            yield
        finally:
            if not await self.stop(timeout=LIFESPAN_PATIENCE):
                logger.warning(
                    "%d tasks were still running after %g seconds, and are left behind.",
                    len(self._tasks),
                    LIFESPAN_PATIENCE,
                )

    def _is_running(self) -> bool:
        # A loop that was closed meanwhile has taken the scheduler with it.
        return self._run_t is not None and not self._run_t.done()

    async def _run(self) -> None:
        while True:
            pause = self._tick()
            try:
                async with asyncio.timeout(pause):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()

    def _ring(self) -> None:
        if self._is_running():
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._bell.set)

    # ── running ────────────────────────────────────────────────────────────────────────────────

    def _new_result(self) -> Slot:
        return AsyncMiniResult[Any]()

    def _spawn(self, call: Call) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._spawn_from_elsewhere(call)
        else:
            self._move_to(loop)
            self._begin(call)

    def _spawn_from_elsewhere(self, call: Call) -> None:
        if not self._is_running():
            _running_loop("A call of a task before start() needs")
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._begin, call, context=contextvars.copy_context())

    def _begin(self, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self._conduct(call), name=call.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _conduct(self, call: Call) -> None:
        """Make a call when there is a place for it, and keep what came of it."""
        try:
            async with self._places or contextlib.nullcontext():
                if inspect.iscoroutinefunction(inspect.unwrap(call.func)):
                    await self._perform_on_loop(call)
                else:
                    await self._perform_in_thread(call)
        except asyncio.CancelledError as error:
            logger.warning("task %s was cancelled with its event loop", call.name)
            call.result.fail(error)
            raise

    async def _perform_on_loop(self, call: Call) -> None:
        began = time.perf_counter()
        try:
            value = await call.func(*call.args, **call.kwargs)
        except asyncio.CancelledError:
            raise
        # Whatever a task raises is its failure, even SystemExit: the loop must live.
        except BaseException as error:
            self._fail(call, error)
        else:
            self._succeed(call, value, began)

    async def _perform_in_thread(self, call: Call) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._pool_size, f"{self.name}-task")
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, context.run, self._perform, call)

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve this event loop, unless the scheduler runs on another."""
        if self._loop is loop or self._is_running():
            return
        self._loop = loop
        self._places = None if self._pool_size is None else asyncio.Semaphore(self._pool_size)


def _running_loop(what: str) -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{what} a running event loop: call it in a coroutine, or use ThreadMiniHuey."
        ) from error
