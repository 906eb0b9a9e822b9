"""Call a task once, under its time limit, and say what came of it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from huey.execution.outcome import Interrupted, Outcome, completed, interrupted

if TYPE_CHECKING:
    from huey.tasks.task import Task

#: Gives a context in which code may run for so many seconds; TaskTimeout ends it.
TimeLimit = Callable[[float], contextlib.AbstractContextManager[Any]]
#: Waits for a coroutine from synchronous code.
RunCoroutine = Callable[[Any], Any]


def attempt(
    task: Task,
    *,
    call: Callable[[Task], Any],
    judge: Callable[[BaseException], Outcome],
    announce: Callable[[Outcome], None],
) -> Outcome:
    """Call the task once.

    Args:
        task: what to call.
        call: makes the call, and raises whatever the task raises.
        judge: says what an exception means.
        announce: tells a failure to receivers, while the exception is being handled.
    """
    try:
        return completed(call(task))
    except Interrupted as stop:
        outcome = interrupted(stop)
        announce(outcome)
    # Whatever a task raises is the failure of that task, even SystemExit: the worker must live.
    except BaseException as error:
        outcome = judge(error)
        announce(outcome)
    return outcome


def run(task: Task, time_limit: TimeLimit | None, run_coroutine: RunCoroutine) -> Any:
    """Make the call; a coroutine function's coroutine is run to its end."""
    if time_limit is not None and task.timeout:
        with time_limit(task.timeout):
            return _finish(task.execute(), run_coroutine)
    return _finish(task.execute(), run_coroutine)


def _finish(value: Any, run_coroutine: RunCoroutine) -> Any:
    if inspect.iscoroutine(value):
        return run_coroutine(value)
    return value


def run_in_new_loop(coroutine: Any) -> Any:
    """Run a coroutine in an event loop of its own; for workers that have none."""
    import asyncio  # deferred: `import huey` stays light

    return asyncio.run(coroutine)
