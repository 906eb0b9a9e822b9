"""Claims, runs and settles tasks in this process: feeder, workers and settler joined."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from huey.consumer import identity, policy
from huey.consumer.feeder import Feeder
from huey.consumer.intake import Intake
from huey.consumer.settler import Settler
from huey.consumer.work import InHand, Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey.app.huey import Huey
    from huey.consumer.reach import Reach
    from huey.consumer.workers.base import Worker
    from huey.execution.settlement import Aftermath
    from huey.storage.delivery import LosslessStorage

logger = logging.getLogger("huey.consumer")


class Engine:
    """Everything that one process needs to run tasks.

    Args:
        huey: the application.
        storage: its storage, under the lossless contract.
        slots: how many tasks may run at once.
        worker_type: told to watchers and operators.
        reach: who reports outages.
        id: the identity to claim under, where somebody else chose it.
    """

    def __init__(
        self,
        huey: Huey,
        storage: LosslessStorage,
        slots: int,
        worker_type: str,
        reach: Reach,
        id: str | None = None,
    ) -> None:
        self.huey = huey
        self.storage = storage
        self.slots = slots
        self.worker_type = worker_type
        self.reach = reach
        self.pace = policy.Pace()
        self.in_hand = InHand()
        self.settler = Settler(huey, storage, self.in_hand, reach)
        intake = Intake(huey, storage, self.in_hand, self)
        self.feeder = Feeder(
            storage,
            intake,
            self.in_hand,
            reach,
            self.pace,
            slots,
            self.claiming_as,
            self.settler.__len__,
        )
        #: The identity under which messages are claimed; a new one after being declared dead.
        self.id = id or identity.new_id()
        self._stopping = threading.Event()
        self._last_beat = time.monotonic()
        self._signed_on = False

    # ── proof of life ──────────────────────────────────────────────────────────────────────────

    def sign_on(self) -> None:
        """Make this process known to the storage."""
        self.storage.sign_on(self.id, identity.describe(self.slots, self.worker_type))
        self._signed_on = True
        self._last_beat = time.monotonic()
        self.huey._holder = self.id

    def beat(self) -> None:
        """Send a heartbeat; under a new identity if this one was declared dead."""
        if not self._signed_on or not self.storage.heartbeat(self.id):
            self._start_over()
        self._last_beat = time.monotonic()

    def _start_over(self) -> None:
        lost = self.in_hand.clear()
        if self._signed_on:
            logger.warning(
                "This consumer was declared dead while it was silent: %d claims were taken over by "
                "others, and what it still runs will not be written. Going on as a new consumer.",
                len(lost),
            )
        self._signed_on = False
        self.id = identity.new_id()
        self.sign_on()

    def claiming_as(self) -> str | None:
        """Give the identity to claim under; None while it is unsure whether it is still ours."""
        return self.id if self._signed_on and not self._is_in_doubt() else None

    def _is_in_doubt(self) -> bool:
        silent = time.monotonic() - self._last_beat
        return silent > policy.LEASE * policy.CAUTION

    def may_start(self, work: Work) -> bool:
        """Wait until it is sure that a claim is still ours; False if it is not, or we stop."""
        while self._is_in_doubt() and not self._stopping.wait(policy.UNSTARTED):
            pass
        # It may have been recovered, or given back, while it waited for a worker.
        return self.in_hand.holds(work)

    # ── start and stop ─────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start to settle and to claim."""
        self.settler.start()
        self.feeder.start()

    def make_worker(self, kind: Callable[..., Worker], max_tasks: int | None) -> Worker:
        """Make a worker that takes its work from here."""
        waits = not policy.unsettled_allowance(self.slots)
        return kind(self.huey, self.feeder.ready, self.pace, self.may_start, max_tasks, waits)

    def drain(self, workers: int) -> None:
        """Claim nothing more, give back what has not started, and tell the workers to end."""
        self._stopping.set()
        self.feeder.stop()
        for _ in range(workers):
            self.feeder.ready.put(None)

    def finish(self, timeout: float | None) -> None:
        """Write the outcomes that are left and sign off; what is still held is given back."""
        written = self.settler.stop(timeout)
        if not written:
            logger.warning("Outcomes could not be written in time: their tasks will run again.")
            return
        try:
            self.storage.sign_off(self.id)
        except Exception as error:
            logger.warning("Could not sign off: %s. Others will recover what is held.", error)

    # ── giving back ────────────────────────────────────────────────────────────────────────────

    def interrupt(self) -> None:
        """Tell that the tasks which still run are interrupted, and give them back.

        A receiver of the signal may enqueue such a task itself; no second copy is made then.
        """
        for work in self.in_hand.snapshot():
            if work.started is None:
                continue
            logger.warning("Task %s is interrupted and goes back to the queue.", work.task)
            self.huey._tasks_in_flight.discard(work.task)
            self.huey.interrupt(work.task)

    def settle(self, work: Work, aftermath: Aftermath) -> None:
        """Have the outcome of a task written."""
        self.settler.submit(work, aftermath)
        if policy.unsettled_allowance(self.slots):
            # Its place may be taken now, before it is settled.
            self.feeder.look_again()

    def release(self, work: Work) -> None:
        """Give a claim back, as if its task had not started."""
        self.storage.release([work.claim])
        self.in_hand.remove([work.claim.receipt])
        if work.settled is not None:
            work.settled.set()
