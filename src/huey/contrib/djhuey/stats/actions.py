"""What the buttons of the page do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from huey import keys

if TYPE_CHECKING:
    from huey.app.huey import Huey


class Unknown(ValueError):
    """There is no such action, or what it works on was not named."""


def act(huey: Huey, form: Mapping[str, Any]) -> str:
    """Do what a form asks for.

    Args:
        huey: the queue.
        form: ``op``, and ``id``, ``task`` or ``key``, whichever the action works on.

    Returns:
        What was done, for the person who asked.

    Raises:
        Unknown: the form asks for nothing that there is.
    """
    name = str(form.get("op", ""))
    found = _ACTIONS.get(name)
    if found is None:
        raise Unknown(f"There is no action {name!r}.")
    field, action = found
    if field and not form.get(field):
        raise Unknown(f"The action {name} needs {field}.")
    return action(huey, str(form.get(field, "")) if field else "")


def _revoke_id(huey: Huey, task_id: str) -> str:
    huey.revoke_by_id(task_id)
    return f"Task {task_id} will not run."


def _restore_id(huey: Huey, task_id: str) -> str:
    found = huey.restore_by_id(task_id)
    return f"Task {task_id} may run again." if found else f"Task {task_id} was not revoked."


def _revoke_task(huey: Huey, task: str) -> str:
    huey.put(keys.revoked_class(task), (None, False))
    return f"{task} will not run until it is restored."


def _restore_task(huey: Huey, task: str) -> str:
    found = huey.delete(keys.revoked_class(task))
    return f"{task} may run again." if found else f"{task} was not revoked."


def _replay(huey: Huey, key: str) -> str:
    found = huey._lossless.replay(key)
    return "The task is back in the queue." if found else "That dead letter is gone."


def _delete_dead(huey: Huey, key: str) -> str:
    found = huey._lossless.delete_dead(key)
    return "The dead letter is deleted." if found else "That dead letter is gone."


def _flush_queue(huey: Huey, _: str) -> str:
    huey.storage.flush_queue()
    return f"The queue {huey.name} is empty."


def _flush_schedule(huey: Huey, _: str) -> str:
    huey.storage.flush_schedule()
    return f"The schedule of {huey.name} is empty."


def _flush_results(huey: Huey, _: str) -> str:
    huey.storage.flush_results()
    return f"The results of {huey.name} are deleted, revocations and locks with them."


def _flush_locks(huey: Huey, _: str) -> str:
    freed = ", ".join(sorted(huey.flush_locks()))
    return f"Freed: {freed}." if freed else "No lock was held."


#: By name: the field of the form that it works on, and what it does.
_ACTIONS: dict[str, tuple[str, Callable[[Huey, str], str]]] = {
    "revoke_id": ("id", _revoke_id),
    "restore_id": ("id", _restore_id),
    "revoke_task": ("task", _revoke_task),
    "restore_task": ("task", _restore_task),
    "replay": ("key", _replay),
    "delete_dead": ("key", _delete_dead),
    "flush_queue": ("", _flush_queue),
    "flush_schedule": ("", _flush_schedule),
    "flush_results": ("", _flush_results),
    "flush_locks": ("", _flush_locks),
}
