"""Telling tasks not to run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from huey import keys
from huey.app.storing import Storing
from huey.execution.admission import in_force
from huey.results import Result
from huey.tasks.task import Task
from huey.tasks.wrapper import TaskWrapper
from huey.timing import normalize_time
from huey.timing import now as naive_now


class Revoking(Storing):
    """Revocations: flags that are looked at before a task starts."""

    def revoke(
        self, task: Any, revoke_until: datetime | None = None, revoke_once: bool = False
    ) -> None:
        """Tell a task not to run.

        Args:
            task: the Task, or its Result.
            revoke_until: the revocation ends at this instant; None: never.
            revoke_once: it ends with the first attempt that it stopped.

        Raises:
            TypeError: it is neither; :meth:`revoke_by_id` takes an id.
            ValueError: ``revoke_until`` is no datetime.
        """
        self._put_flag(_own_key(task, "revoke"), revoke_until, revoke_once)

    def revoke_by_id(
        self, id: str, revoke_until: datetime | None = None, revoke_once: bool = False
    ) -> None:
        """Tell the task with this id not to run."""
        self._put_flag(keys.revoked_id(id), revoke_until, revoke_once)

    def revoke_all(
        self, task_class: Any, revoke_until: datetime | None = None, revoke_once: bool = False
    ) -> None:
        """Tell all tasks of a function, or task class, not to run."""
        self._put_flag(self._class_key(task_class), revoke_until, revoke_once)

    def restore(self, task: Any) -> bool:
        """Take the revocation of a task back; False if there was none."""
        return self.delete(_own_key(task, "restore"))

    def restore_by_id(self, id: str) -> bool:
        """Take the revocation of a task id back; False if there was none."""
        return self.delete(keys.revoked_id(id))

    def restore_all(self, task_class: Any) -> bool:
        """Take the revocation of a function or task class back; False if there was none."""
        return self.delete(self._class_key(task_class))

    def is_revoked(self, task: Any, timestamp: datetime | None = None, peek: bool = True) -> bool:
        """Tell whether a task is revoked.

        Args:
            task: a Task or Result (its own and its class's revocation count), a task function or
                class, or an id.
            timestamp: naive instant at which ``revoke_until`` is compared; now by default.
            peek: leave one-time and outdated revocations in place.
        """
        found: Any = self._prefetched_flags(task)
        if found is not None and not found:
            return False
        when = timestamp or naive_now(self.utc)
        wanted = self._revocation_keys(task)
        if found is None:
            found = self.storage.peek_many(wanted)
        for key in wanted:
            if key in found and self._is_in_force(key, found[key], when, peek):
                return True
        return False

    def _is_in_force(self, key: str, raw: bytes, when: datetime, peek: bool) -> bool:
        flag = self.serializer.deserialize(raw)
        if peek:
            return in_force(flag, when)
        if flag[1]:
            # Once means once: whoever takes the flag away is the one that it stops.
            return self.delete(key)
        if not in_force(flag, when):
            self.delete(key)
            return False
        return True

    def _prefetched_flags(self, task: Any) -> dict[str, bytes] | None:
        """Give the flags that the consumer read for a whole batch of claims."""
        delivery = getattr(task, "_delivery", None)
        return None if delivery is None else delivery.flags

    def _revocation_keys(self, task: Any) -> list[str]:
        match task:
            case Result():
                return [task.revoke_id, self._class_key(type(task.task))]
            case Task():
                return [task.revoke_id, self._class_key(type(task))]
            case TaskWrapper():
                return [self._class_key(task)]
            case type() if issubclass(task, Task):
                return [self._class_key(task)]
        return [keys.revoked_id(str(task))]

    def revocation_keys(self, tasks: Iterable[Task]) -> list[str]:
        """List the key/value entries that decide whether these tasks are revoked."""
        return list(dict.fromkeys(key for task in tasks for key in self._revocation_keys(task)))

    def _class_key(self, task_class: Any) -> str:
        if isinstance(task_class, TaskWrapper):
            task_class = task_class.task_class
        if not (isinstance(task_class, type) and issubclass(task_class, Task)):
            raise TypeError(
                "Expected a function decorated with @huey.task(), or its task class, "
                f"got {task_class!r}."
            )
        return keys.revoked_class(self._registry.task_to_string(task_class))

    def _put_flag(self, key: str, until: datetime | None, once: bool) -> None:
        if until is not None:
            until = normalize_time(eta=until, utc=self.utc)
        self.put(key, (until, once))


def _own_key(task: Any, verb: str) -> str:
    key: str | None = getattr(task, "revoke_id", None)
    if key is None:
        raise TypeError(f"Expected a task or its result, got {task!r}: {verb}_by_id() takes an id.")
    return key
