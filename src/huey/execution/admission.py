"""May a task run now?"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huey.tasks.task import Task


class Verdict(enum.Enum):
    """What to do with a task that was brought to a worker."""

    RUN = "run"
    TOO_EARLY = "too early"
    REVOKED = "revoked"
    EXPIRED = "expired"


def is_ready(task: Task, now: datetime) -> bool:
    """Tell whether the task's time has come."""
    return task.eta is None or task.eta <= now


def is_expired(task: Task, now: datetime) -> bool:
    """Tell whether it is too late to start; at the very instant of expiry it is not."""
    return task.expires_resolved is not None and task.expires_resolved < now


def in_force(flag: tuple[datetime | None, bool], now: datetime) -> bool:
    """Tell whether a stored revocation ``(until, once)`` applies at ``now``."""
    until, once = flag
    return once or until is None or until > now
