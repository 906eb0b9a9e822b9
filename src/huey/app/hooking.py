"""Hooks, which may change the course of a task, and signals, which only report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from huey import signals as S
from huey.app import outbox
from huey.app.state import State, logger
from huey.exceptions import CancelExecution

if TYPE_CHECKING:
    from huey.tasks.task import Task

F = TypeVar("F", bound=Callable[..., Any])


class Hooking(State):
    """What the application wants to be called for."""

    # ── hooks ──────────────────────────────────────────────────────────────────────────────────

    def pre_execute(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function with the task before it runs; CancelExecution stops the task."""
        return _register(self._pre_execute, name)

    def post_execute(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function with (task, value, exception or None) after the task has run."""
        return _register(self._post_execute, name)

    def on_startup(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function once per worker, at its start."""
        return _register(self._startup, name)

    def on_shutdown(self, name: str | None = None) -> Callable[[F], F]:
        """Call the function once per worker, at its end."""
        return _register(self._shutdown, name)

    def unregister_pre_execute(self, name: str | Callable[..., Any]) -> bool:
        """Forget a hook, by name or function; False if it is not registered."""
        return _unregister(self._pre_execute, name)

    def unregister_post_execute(self, name: str | Callable[..., Any]) -> bool:
        """Forget a hook, by name or function; False if it is not registered."""
        return _unregister(self._post_execute, name)

    def unregister_on_startup(self, name: str | Callable[..., Any]) -> bool:
        """Forget a hook, by name or function; False if it is not registered."""
        return _unregister(self._startup, name)

    def unregister_on_shutdown(self, name: str | Callable[..., Any] | None = None) -> bool:
        """Forget a hook, by name or function; False if it is not registered."""
        return name is not None and _unregister(self._shutdown, name)

    def _run_pre_execute(self, task: Task) -> CancelExecution | None:
        for name, callback in tuple(self._pre_execute.items()):
            logger.debug("Running pre-execute hook %s before task %s.", name, task.id)
            try:
                callback(task)
            except CancelExecution as cancelled:
                logger.warning("Task %s was cancelled by pre-execute hook %s.", task.id, name)
                return cancelled
            except Exception:
                logger.exception("Pre-execute hook %s failed for task %s.", name, task)
        return None

    def _run_post_execute(self, task: Task, value: Any, error: BaseException | None) -> None:
        for name, callback in tuple(self._post_execute.items()):
            logger.debug("Running post-execute hook %s after task %s.", name, task.id)
            try:
                callback(task, value, error)
            except Exception:
                logger.exception("Post-execute hook %s failed for task %s.", name, task)

    # ── signals ────────────────────────────────────────────────────────────────────────────────

    def signal(self, *signals: str) -> Callable[[F], F]:
        """Call the function as ``(signal, task, …)`` for these signals, or for every one.

        Raises:
            TypeError: a signal is no text.
        """
        for signal in signals:
            _refuse_function("signal", signal)

        def decorator(receiver: F) -> F:
            self._signal.connect(receiver, *signals)
            return receiver

        return decorator

    def disconnect_signal(self, receiver: Callable[..., Any], *signals: str) -> None:
        """Stop calling the function for these signals, or for all."""
        self._signal.disconnect(receiver, *signals)

    def _emit(self, signal: str, task: Task, *args: Any, **kwargs: Any) -> None:
        if self._signal.has_receivers(signal):
            with outbox.writing_through():
                self._signal.send(signal, task, *args, **kwargs)

    def notify_interrupted_tasks(self) -> None:
        """Send ``interrupted`` for each task that was in flight when the consumer ended."""
        while self._tasks_in_flight:
            try:
                task = self._tasks_in_flight.pop()
            except KeyError:
                # A worker finished the last one in between.
                return
            self._emit(S.SIGNAL_INTERRUPTED, task)


def _register(hooks: dict[str, Any], name: str | None) -> Callable[[F], F]:
    if name is not None:
        _refuse_function("name of a hook", name)

    def decorator(callback: F) -> F:
        hooks[name or callback.__name__] = callback
        return callback

    return decorator


def _refuse_function(what: str, value: Any) -> None:
    if not isinstance(value, str):
        hint = ": write the parentheses of the decorator" if callable(value) else ""
        raise TypeError(f"The {what} is text, got {value!r}{hint}.")


def _unregister(hooks: dict[str, Any], name: str | Callable[..., Any]) -> bool:
    key = name if isinstance(name, str) else name.__name__
    return hooks.pop(key, None) is not None
