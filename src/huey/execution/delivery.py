"""How a claimed task came to a worker, and where what follows from it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huey.execution.settlement import Aftermath
    from huey.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Delivery:
    """Hangs on a task while a consumer holds it, as ``task._delivery``."""

    #: Revocation flags that the consumer read for a whole batch.
    flags: dict[str, bytes]
    #: Hands what follows from the task to whoever writes it.
    settle: Callable[[Task, Aftermath], None]
    #: Gives the claim back, as if the task had not started.
    release: Callable[[], None]
