"""The project's databases and tasks: connections closed, enqueueing within a transaction."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections

from huey.exceptions import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")

#: Connections that a forked child inherited: kept, so that nothing closes them from there.
_inherited: list[Any] = []


def refresh_connections() -> None:
    """Do what Django does between two requests: drop dead and old connections, forget queries.

    Connections inside of ``transaction.atomic()`` are left alone: they belong to who opened it.
    """
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            continue
        connection.close_if_unusable_or_obsolete()
        if settings.DEBUG:
            connection.queries_log.clear()


def closing(fn: Callable[P, R], unless: Callable[[], bool]) -> Callable[P, R]:
    """Wrap a function, or coroutine function, so that connections are refreshed around it.

    Args:
        fn: the task function.
        unless: asked at each call; True leaves the connections alone.
    """
    if inspect.iscoroutinefunction(inspect.unwrap(fn)):
        return _closing_async(fn, unless)

    @functools.wraps(fn)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        if unless():
            return fn(*args, **kwargs)
        refresh_connections()
        try:
            return fn(*args, **kwargs)
        finally:
            refresh_connections()

    return inner


def _closing_async(fn: Callable[..., Any], unless: Callable[[], bool]) -> Callable[..., Any]:
    # The queries of a coroutine run in the thread that Django keeps for them: there live the
    # connections.
    refresh = sync_to_async(refresh_connections, thread_sensitive=True)

    @functools.wraps(fn)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        if unless():
            return await fn(*args, **kwargs)
        refuse_greenlets()
        await refresh()
        try:
            return await fn(*args, **kwargs)
        finally:
            await refresh()

    return inner


def refuse_greenlets() -> None:
    """End a coroutine that would wait for ever: asyncio cannot share a thread with gevent.

    Raises:
        ConfigurationError: this process is patched by gevent.
    """
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise ConfigurationError(
            "A coroutine function cannot use Django's databases in a greenlet worker: gevent and "
            "asyncio do not mix. Run its queue with -k asyncio or -k thread, or make it a plain "
            "function."
        )


# ── forks ──────────────────────────────────────────────────────────────────────────────────────


def keep_from_children() -> None:
    """Close this process's connections, and have its forked children open their own."""
    connections.close_all()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_connections)


def _forget_connections() -> None:
    # Closing them would end the sessions of the parent, on the same sockets.
    for connection in connections.all(initialized_only=True):
        _inherited.append(connection)
        del connections[connection.alias]
