"""Tasks side by side: groups, and chords with a task on all results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from huey.tasks.task import Task, follow, signature


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
    return follow(task, "on_complete")


def check_followers(task: Task) -> None:
    """Refuse a task that, by way of successors and error handlers, leads back to itself.

    Raises:
        ValueError: it does.
        TypeError: something else than a task hangs on it.
    """
    _check_below(task, set())


def _check_below(task: Task, above: set[int]) -> None:
    if not isinstance(task, Task):
        raise TypeError(f"Only a task can follow a task, got {task!r}: use .then() and .error().")
    if id(task) in above:
        raise ValueError(
            f"The pipeline of task {task.id} ({task.name}) leads back to that task and would never "
            "end: make another task with .s(…) if the function is to run twice."
        )
    above.add(id(task))
    for following in (task.on_complete, task.on_error):
        if following is not None:
            _check_below(following, above)
    above.discard(id(task))


def check_members(members: Sequence[Any], seen: set[str] | None = None) -> None:
    """Refuse members of a chord for which it could never complete.

    Raises:
        ValueError: one is a group, or no task at all; is there twice; or is a unique task, which
            may be refused.
    """
    seen = set() if seen is None else seen
    for member in members:
        if isinstance(member, chord):
            check_members(list(member.tasks), seen)
            head = member.callback
        elif isinstance(member, Task):
            head = member
        else:
            raise ValueError(
                "The members of a chord are tasks, pipelines or chords (each has one result), "
                f"got {type(member).__name__}: {member!r}. Give the members of a group one by one."
            )
        check_followers(head)
        _check_member(head, seen)


def _check_member(head: Task, seen: set[str]) -> None:
    for stage in stages(head):
        if stage.id in seen:
            raise ValueError(
                f"The task {stage.id} ({stage.name}) is in the chord twice, and would report once: "
                "make one with .s(…) for each member."
            )
        seen.add(stage.id)
        if stage.uniqueness is not None:
            raise ValueError(
                f"{stage.name} is a unique task, which may be refused, and then the chord would "
                "never complete: leave it out of chords, or enqueue it from the callback."
            )
