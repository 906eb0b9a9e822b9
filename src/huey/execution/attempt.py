"""Call a task once, under its time limit, and say what came of it.

The life of a task is one generator, which stops where the function is to be called. Its driver
makes that call: here and now, or awaiting it on an event loop. So there is one story for both.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

from huey.exceptions import TaskTimeout
from huey.execution.outcome import Interrupted, Outcome, completed, interrupted

if TYPE_CHECKING:
    from huey.tasks.task import Task

#: Gives a context in which code may run for so many seconds; TaskTimeout ends it.
TimeLimit = Callable[[float], contextlib.AbstractContextManager[Any]]
#: Waits for a coroutine from synchronous code.
RunCoroutine = Callable[[Any], Any]
#: Stops once, where the task is to be called; is sent what it returns, or thrown what it raises.
Life = Generator[None, Any, Any]


def attempt(
    *,
    keep: Callable[[Any], None],
    judge: Callable[[BaseException], Outcome],
    announce: Callable[[Outcome], None],
) -> Generator[None, Any, Outcome]:
    """Wait for the call of a task, and make an outcome of it.

    Args:
        keep: is given the value, and may raise if it cannot be kept: then the task has failed.
        judge: says what an exception means.
        announce: tells a failure to receivers, while the exception is being handled.
    """
    try:
        value = yield
        keep(value)
        return completed(value)
    except GeneratorExit:
        # Nobody drives this life any more; it is not the task that failed.
        raise
    except Interrupted as stop:
        outcome = interrupted(stop)
        announce(outcome)
    # Whatever a task raises is the failure of that task, even SystemExit: the worker must live.
    except BaseException as error:
        outcome = judge(error)
        announce(outcome)
    return outcome


def drive(life: Life, call: Callable[[], Any]) -> Any:
    """Live a task's life, with a call that is made here and now; returns what the life returns."""
    try:
        next(life)
        value, error = _caught(call)
        # Outside of the handler: what follows from a failure is not an error on top of it.
        if error is None:
            life.send(value)
        else:
            life.throw(error)
    except StopIteration as end:
        return end.value
    finally:
        # It would hold its own frame, and with it all that the task has in its variables.
        error = None
    raise RuntimeError("The life of a task has one call, and this one asks for another.")


def _caught(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return call(), None
    except GeneratorExit as error:
        # Thrown into a life, this one would end it without an outcome.
        stand_in = RuntimeError("The task raised GeneratorExit.")
        stand_in.__cause__ = error
        return None, stand_in
    except BaseException as error:
        return None, error


async def drive_async(life: Life, call: Callable[[], Awaitable[Any]]) -> Any:
    """Live a task's life, with a call that is awaited; returns what the life returns."""
    try:
        next(life)
        try:
            value = await call()
        except BaseException as error:
            life.throw(error)
        else:
            life.send(value)
    except StopIteration as end:
        return end.value
    raise RuntimeError("The life of a task has one call, and this one asks for another.")


def run(task: Task, time_limit: TimeLimit | None, run_coroutine: RunCoroutine) -> Any:
    """Make the call; a coroutine function's coroutine is run to its end."""
    if time_limit is not None and task.timeout:
        with time_limit(task.timeout):
            return _finish(task, task.execute(), run_coroutine)
    return _finish(task, task.execute(), run_coroutine)


def _finish(task: Task, value: Any, run_coroutine: RunCoroutine) -> Any:
    if inspect.iscoroutine(value):
        return run_coroutine(within(value, task.timeout))
    return value


async def within(coroutine: Awaitable[Any], seconds: float | None) -> Any:
    """Await a coroutine for a number of seconds; None and 0 are no limit.

    Raises:
        TaskTimeout: it took longer.
    """
    import asyncio  # deferred: `import huey` stays light

    try:
        async with asyncio.timeout(seconds or None) as limit:
            return await coroutine
    except TimeoutError as error:
        if limit.expired():
            raise TaskTimeout(f"timeout ({seconds}s)") from error
        raise


def run_in_new_loop(coroutine: Any) -> Any:
    """Run a coroutine in an event loop of its own; for workers that have none."""
    import asyncio  # deferred: `import huey` stays light

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    # Immediate mode under the caller's loop: a loop cannot run inside another, a thread can.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()
