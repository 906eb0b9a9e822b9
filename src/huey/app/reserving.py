"""Places of unique tasks: taken when they are enqueued, freed when they start or are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey import keys
from huey.app.state import logger
from huey.app.storing import Storing
from huey.results import ResultGroup
from huey.storage.delivery import Outgoing, Reservation
from huey.tasks.uniqueness import DROP, REPLACE, STARTED

if TYPE_CHECKING:
    from huey.execution.settlement import Aftermath
    from huey.tasks.task import Task


class Reserving(Storing):
    """One waiting task per place."""

    def _reservation(self, task: Task) -> Reservation | None:
        """Give the place that must be free for a task to be enqueued; None if it needs none.

        Raises:
            TypeError: an argument that counts has no stable text form.
        """
        rule = task.uniqueness
        # A retry must not be refused, nor what a consumer holds: it was accepted long ago.
        if rule is None or task.attempt > 1 or task._delivery is not None:
            return None
        key = keys.unique(rule.key(task))
        task._place = (key, task.id.encode())
        once = self.serializer.serialize((None, True)) if rule.on_conflict == REPLACE else None
        return Reservation(key, task.id, rule.ttl, once)

    def _take_place(self, task: Task) -> str | None:
        """Take the place of a task that is not sent anywhere; gives the id that refuses it."""
        wish = self._reservation(task)
        if wish is None:
            return None
        storage, value = self._lossless, wish.value.encode()
        while not storage.lock(wish.key, value, wish.ttl):
            standing = storage.peek_data(wish.key)
            if standing == value:
                break
            if isinstance(standing, bytes):
                other = standing.decode()
                if wish.revoke_with is None:
                    return other
                storage.put_data(keys.revoked_id(other), wish.revoke_with)
                storage.unlock(wish.key, standing)
        return None

    def _place_of(self, task: Task) -> tuple[str, bytes] | None:
        """Give the entry that a task may hold; it is named before the task changes arguments."""
        if task.uniqueness is not None and task._place is None:
            try:
                task._place = (keys.unique(task.uniqueness.key(task)), task.id.encode())
            # The key may be a function of the application; and it was not there before an upgrade.
            except Exception:
                logger.exception("The place of unique task %s cannot be named.", task.id)
        return task._place

    def _leave_place_at_start(self, task: Task) -> None:
        place = self._place_of(task)
        if place is not None and task.uniqueness is not None and task.uniqueness.until == STARTED:
            self._lossless.unlock(*place)

    def _free_place(self, task: Task, aftermath: Aftermath) -> None:
        """Have a task's place freed with all that follows from it, if it still holds one."""
        if task.uniqueness is not None and (place := self._place_of(task)) is not None:
            aftermath.delete_if.append(place)

    def free_place(self, task: Task) -> None:
        """Free the place of a unique task at once, because another is to stand in for it."""
        if task.uniqueness is not None and (place := self._place_of(task)) is not None:
            self._lossless.unlock(*place)


def refusals(messages: list[Outgoing], standing: list[str | None]) -> dict[str, str]:
    """Tell which tasks were not enqueued: their ids, and whose id stands in their place."""
    return {
        message.reservation.value: other
        for message, other in zip(messages, standing, strict=True)
        if message.reservation is not None
        and message.reservation.revoke_with is None
        and other is not None
    }


def redirect(handle: Any, task: Task, other: str) -> Any:
    """Let the handle of a task that was refused fetch what the one in its place returns.

    Gives the handle, or None if the task is to be dropped.
    """
    if handle is None or (task.uniqueness is not None and task.uniqueness.on_conflict == DROP):
        return None
    first = next(iter(handle)) if isinstance(handle, ResultGroup) else handle
    first.follow(type(task)(task.args, task.kwargs, id=other))
    return handle
