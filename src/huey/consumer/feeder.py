"""Claims messages in adaptive batches, in one place per process."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from huey.consumer import policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey.consumer.intake import Intake
    from huey.consumer.reach import Reach
    from huey.consumer.work import InHand, Work
    from huey.storage.delivery import Claim, LosslessStorage

logger = logging.getLogger("huey.consumer")

#: Seconds for which one idle claim waits.
_BLOCK = 5.0


class Feeder:
    """Keeps workers fed, and holds as little as that takes.

    Args:
        storage: what is claimed from.
        intake: turns claims into work.
        in_hand: all work of this process.
        reach: who reports outages.
        pace: how long tasks take.
        slots: how many tasks may run at once.
        consumer: gives the identity to claim under; None while nothing may be started.
        unsettled: counts the finished tasks whose outcome is not written yet.
    """

    def __init__(
        self,
        storage: LosslessStorage,
        intake: Intake,
        in_hand: InHand,
        reach: Reach,
        pace: policy.Pace,
        slots: int,
        consumer: Callable[[], str | None],
        unsettled: Callable[[], int],
    ) -> None:
        self._storage = storage
        self._intake = intake
        self._in_hand = in_hand
        self._reach = reach
        self._pace = pace
        self._slots = slots
        self._consumer = consumer
        self._unsettled = unsettled
        self._failures = 0
        self._unopened: list[Claim] = []
        self._suspects: list[Work] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="Feeder", daemon=True)
        #: What workers take from; None tells a worker to end.
        self.ready: queue.SimpleQueue[Work | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more, and give back what nobody has started."""
        self._stopping.set()
        consumer = self._consumer()
        if consumer is not None:
            self._storage.wake(consumer)
        self.look_again()
        self._thread.join(_BLOCK)
        self.give_back()

    def look_again(self) -> None:
        """Have the feeder count again how much it may claim."""
        with self._in_hand.changed:
            self._in_hand.changed.notify_all()

    # ── the loop ───────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except Exception as error:
                self._failures += 1
                self._reach.failed("feeder", error)
                self._stopping.wait(policy.reconnect_delay(self._failures))

    def _round(self) -> None:
        if self._unopened:
            self._open()
            return
        if self._suspects:
            self._run_alone(self._suspects.pop(0))
            return
        consumer = self._consumer()
        wanted = self._wanted()
        if consumer is None or wanted <= 0:
            self._wait_for_room(consumer)
            return
        self._unopened = self._storage.claim(consumer, wanted, _BLOCK)
        if self._unopened:
            self._open()
        self._failures = 0
        self._reach.worked("feeder")

    def _open(self) -> None:
        # Kept until it succeeds: they are ours, and nobody else gets them meanwhile.
        work = self._intake.open(self._unopened)
        self._unopened = []
        self._hand_out(work)

    def _wanted(self) -> int:
        """Count the messages to claim now; 0 while enough are in hand."""
        ahead = self._pace.ahead()
        settling = min(self._unsettled(), policy.unsettled_allowance(self._slots))
        held = len(self._in_hand) - settling
        if ahead and held > self._slots + ahead // 2:
            # Wait until half of it is used up: few large claims are cheaper than many small ones.
            return 0
        return min(policy.BATCH, self._slots + ahead - held)

    def _wait_for_room(self, consumer: str | None) -> None:
        if consumer is None:
            self._stopping.wait(policy.UNSTARTED)
            return
        with self._in_hand.changed:
            self._in_hand.changed.wait_for(
                lambda: self._wanted() > 0 or self._stopping.is_set(),
                policy.UNSTARTED if not self.ready.empty() else _BLOCK,
            )
        if not self.ready.empty() and self._wanted() <= 0:
            self._release_unstarted()

    def _hand_out(self, work: list[Work]) -> None:
        for item in work:
            if item.is_suspect:
                self._suspects.append(item)
            else:
                self.ready.put(item)

    # ── suspects ───────────────────────────────────────────────────────────────────────────────

    def _run_alone(self, suspect: Work) -> None:
        """Run a task whose holder died before with no neighbours, so that the next death is clear.

        Neither it nor its neighbours wait long for that: a task that runs on is no crash.
        """
        others = len(self._suspects)
        self._in_hand.wait_until_at_most(1 + others, policy.SECLUSION)
        if others:
            self._release(self._suspects)
            self._suspects = []
        self.ready.put(suspect)
        self._in_hand.wait_until_at_most(0, policy.SECLUSION)

    # ── giving back ────────────────────────────────────────────────────────────────────────────

    def _release_unstarted(self) -> None:
        """Give back what has waited for a worker for too long, for others to run."""
        stale = time.monotonic() - policy.UNSTARTED
        taken: list[Work] = []
        while (item := self._take_ready()) is not None:
            taken.append(item)
        if taken and taken[0].arrived > stale:
            for item in taken:
                self.ready.put(item)
            return
        self._release(taken)

    def give_back(self) -> None:
        """Give back all that nobody has started."""
        unstarted, self._suspects = self._suspects, []
        while (item := self._take_ready()) is not None:
            unstarted.append(item)
        self._release(unstarted)
        if self._unopened:
            self._storage.release(self._unopened)
            self._unopened = []

    def _take_ready(self) -> Work | None:
        try:
            return self.ready.get_nowait()
        except queue.Empty:
            return None

    def _release(self, work: list[Work]) -> None:
        if not work:
            return
        try:
            self._storage.release([item.claim for item in work])
        except Exception as error:
            # They are recovered when this consumer is missed, or signs off.
            self._reach.failed("feeder", error)
        self._in_hand.remove([item.claim.receipt for item in work])
