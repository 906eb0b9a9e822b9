"""Awaiting results, under the names of Huey 3; ``await result`` does the same without options."""

from __future__ import annotations

from typing import Any

from huey.results import ChordResult, Result, ResultGroup, gather

__all__ = ["aget_result", "aget_result_group"]


async def aget_result(
    result: Any,
    backoff: float = 1.15,
    max_delay: float = 1.0,
    preserve: bool = False,
    timeout: float | None = None,
) -> Any:
    """Wait for the value of a task without blocking the event loop.

    Args:
        result: the handle; of a chord, its callback is waited for, and of a group all members.
        backoff: growth of the wait between looks, where the storage cannot tell.
        max_delay: its upper bound in seconds.
        preserve: leave the value in the storage.
        timeout: seconds to wait at most; None waits for ever.

    Raises:
        TaskException: the task failed; its ``metadata`` says how.
        ResultTimeout: the value did not come in time.
    """
    match result:
        case ResultGroup():
            return await aget_result_group(result, backoff, max_delay, preserve, timeout)
        case ChordResult():
            result = result.callback
    handle: Result[Any] = result
    return await handle.huey.aget_result(handle, backoff, max_delay, preserve, timeout)


async def aget_result_group(rg: ResultGroup[Any], *args: Any, **kwargs: Any) -> list[Any]:
    """Wait for all values of a group, in the order of its tasks.

    If one task fails, or the coroutine is cancelled, the others are not waited for any more.

    Args:
        rg: the handles.
        args: passed to `aget_result` for each.
        kwargs: likewise.

    Raises:
        TaskException: a task failed.
        ResultTimeout: a value did not come in time.
    """
    return await gather(aget_result(result, *args, **kwargs) for result in rg)
