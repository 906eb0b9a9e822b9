"""How a claimed task came to a worker, and where what follows from it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from huey.execution.settlement import Aftermath
    from huey.tasks.task import Task


class Delivery(Protocol):
    """Hangs on a task while a consumer holds it, as ``task._delivery``."""

    #: Revocation flags that the consumer read for a whole batch.
    flags: dict[str, bytes]

    def settle(self, task: Task, aftermath: Aftermath) -> None:
        """Hand what follows from the task to whoever writes it."""

    def release(self) -> None:
        """Give the claim back, as if the task had not started."""
