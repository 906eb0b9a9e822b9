"""Tasks side by side: groups, and chords with a task on all results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huey.tasks.task import Task, signature


class group:
    """Tasks that run side by side; enqueueing it gives a ``ResultGroup``.

    Args:
        tasks: what ``.s()`` of task functions returned; a generator will do.
    """

    def __init__(self, tasks: Iterable[Any]) -> None:
        self.tasks = tasks

    def then(self, task: Any, *args: Any, **kwargs: Any) -> chord:
        """Run ``task`` with the list of all results when every member has finished."""
        return chord(self.tasks, signature(task, args, kwargs))

    def error(self, task: Any, *args: Any, **kwargs: Any) -> group:
        """Run ``task`` with the exception of each member that fails."""
        self.tasks = _with_error(self.tasks, task, args, kwargs)
        return self


class chord:
    """Tasks that run side by side, and one that receives the list of their results.

    Args:
        tasks: tasks, pipelines or chords. A group is refused: it has no single result.
        callback: a task function, or what its ``.s()`` returned.
    """

    def __init__(self, tasks: Iterable[Any], callback: Any) -> None:
        self.tasks = tasks
        self.callback = signature(callback)

    def then(self, task: Any, *args: Any, **kwargs: Any) -> chord:
        """Run ``task`` with the value of the callback."""
        self.callback.then(task, *args, **kwargs)
        return self

    def error(self, task: Any, *args: Any, **kwargs: Any) -> chord:
        """Run ``task`` with the exception if the callback fails."""
        self.callback.error(task, *args, **kwargs)
        return self


def _with_error(
    tasks: Iterable[Any], task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Any]:
    members = list(tasks)
    for member in members:
        member.error(task, *args, **kwargs)
    return members


def stages(task: Task) -> list[Task]:
    """List a pipeline from head to tail."""
    found = [task]
    while found[-1].on_complete is not None:
        found.append(found[-1].on_complete)
    return found
