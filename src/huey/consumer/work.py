"""A claimed task in the hands of this process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from huey.execution.settlement import Aftermath
    from huey.storage.delivery import Claim
    from huey.tasks.task import Task


class Hands(Protocol):
    """Where work goes when it is done, or given back."""

    def settle(self, work: Work, aftermath: Aftermath) -> None:
        """Have an outcome written."""

    def release(self, work: Work) -> None:
        """Give a claim back, as if the task had not started."""


class Work:
    """One claim, from its arrival until its outcome is written.

    It hangs on its task as ``task._delivery``: see ``execution/delivery.py``.
    """

    __slots__ = ("_hands", "arrived", "claim", "flags", "settled", "started", "task")

    def __init__(self, claim: Claim, task: Task, hands: Hands) -> None:
        self.claim = claim
        self.task = task
        self._hands = hands
        #: Revocation flags that were read for a whole batch.
        self.flags: dict[str, bytes] = {}
        #: Monotonic seconds.
        self.arrived = time.monotonic()
        self.started: float | None = None
        #: Set once the outcome is written; made only if a worker waits for it.
        self.settled: threading.Event | None = None

    def await_settling(self) -> None:
        """Have ``settled`` set when the outcome is written."""
        self.settled = threading.Event()

    def settle(self, task: Task, aftermath: Aftermath) -> None:
        """Hand what follows from the task to whoever writes it."""
        self._hands.settle(self, aftermath)

    def release(self) -> None:
        """Give the claim back, as if the task had not started."""
        self._hands.release(self)

    @property
    def is_suspect(self) -> bool:
        """Whether an earlier holder died with this task."""
        return self.claim.redelivered


class InHand:
    """All work that this process holds, by receipt; safe for threads."""

    def __init__(self) -> None:
        self._work: dict[str, Work] = {}
        self.changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._work)

    def add(self, work: list[Work]) -> None:
        """Note claims that arrived."""
        with self.changed:
            self._work.update((item.claim.receipt, item) for item in work)

    def remove(self, receipts: list[str]) -> list[Work]:
        """Forget claims that were settled, released or lost; returns those that were held."""
        with self.changed:
            removed = [self._work.pop(receipt, None) for receipt in receipts]
            self.changed.notify_all()
        return [item for item in removed if item is not None]

    def holds(self, work: Work) -> bool:
        """Tell whether a claim is still ours."""
        return self._work.get(work.claim.receipt) is work

    def clear(self) -> list[Work]:
        """Forget everything: the claims are lost."""
        with self.changed:
            lost = list(self._work.values())
            self._work.clear()
            self.changed.notify_all()
        return lost

    def snapshot(self) -> list[Work]:
        """Copy what is held now."""
        with self.changed:
            return list(self._work.values())

    def wait_until_at_most(self, count: int, timeout: float | None) -> bool:
        """Wait until no more than ``count`` claims are held; False if time runs out first."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self._work) <= count, timeout)
