"""Writes outcomes in batches, in one place per process."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from huey.consumer import policy
from huey.exceptions import StorageError
from huey.storage.delivery import Settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey.app.huey import Huey
    from huey.consumer.reach import Reach
    from huey.consumer.work import InHand, Work
    from huey.execution.settlement import Aftermath
    from huey.storage.delivery import LosslessStorage, Settlement

logger = logging.getLogger("huey.consumer")


class Settler:
    """Writes what is there once the storage is free: at once when idle, in bulk under load."""

    def __init__(self, huey: Huey, storage: LosslessStorage, in_hand: InHand, reach: Reach) -> None:
        self._huey = huey
        self._storage = storage
        self._in_hand = in_hand
        self._reach = reach
        self._waiting: deque[tuple[Work, Aftermath]] = deque()
        self._writing = 0
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="Settler", daemon=True)
        #: Called with the due time of each message that goes to the schedule.
        self.on_scheduled: Callable[[float], None] = lambda due: None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, work: Work, aftermath: Aftermath) -> None:
        """Have an outcome written; the work stays in hand until it is."""
        self._waiting.append((work, aftermath))
        self._arrived.set()

    def __len__(self) -> int:
        """Count the outcomes that are not written yet."""
        return len(self._waiting) + self._writing

    def stop(self, timeout: float | None) -> bool:
        """Write what is left and end; False if that took longer than ``timeout`` seconds."""
        self._stopping.set()
        self._arrived.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ── the loop ───────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while not (self._stopping.is_set() and not self._waiting):
            self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch = self._take()
                self._writing = len(batch)
                try:
                    self._write(batch)
                except Exception:
                    # A fault of ours must not end this thread: every worker waits for it. What was
                    # not written is still claimed, and runs again when this consumer signs off.
                    logger.exception("%d outcomes could not be written.", len(batch))
                    self._let_go(batch)
                self._writing = 0

    def _take(self) -> list[tuple[Work, Aftermath]]:
        count = min(len(self._waiting), policy.BATCH)
        return [self._waiting.popleft() for _ in range(count)]

    def _write(self, batch: list[tuple[Work, Aftermath]]) -> None:
        failures = 0
        while batch:
            try:
                settled = self._storage.settle([self._settlement(*item) for item in batch])
            except StorageError as error:
                failures += 1
                self._reach.failed("settler", error)
                self._stopping.wait(policy.reconnect_delay(failures))
            except Exception as error:
                batch = self._without_refused(batch, error)
            else:
                self._reach.worked("settler")
                batch = self._conclude(batch, settled)

    def _conclude(
        self, batch: list[tuple[Work, Aftermath]], settled: list[Settled]
    ) -> list[tuple[Work, Aftermath]]:
        """Act on what became of a batch, and return what has to be written still."""
        done, again = [], []
        for (work, aftermath), what in zip(batch, settled, strict=True):
            match what:
                case Settled.CHORD_COMPLETE:
                    if self._completed(work, aftermath):
                        again.append((work, aftermath))
                        continue
                case Settled.LOST:
                    logger.warning(
                        "The claim on task %s was recovered by another consumer while it ran: "
                        "its outcome is not written.",
                        work.task.id,
                    )
            done.append((work, aftermath))
        self._let_go(done)
        return again

    def _let_go(self, done: list[tuple[Work, Aftermath]]) -> None:
        self._in_hand.remove([work.claim.receipt for work, _ in done])
        for work, aftermath in done:
            if work.settled is not None:
                work.settled.set()
            for outgoing in aftermath.outgoing:
                if outgoing.due is not None:
                    self.on_scheduled(outgoing.due)

    def _completed(self, work: Work, aftermath: Aftermath) -> bool:
        try:
            self._huey.complete_chord(aftermath)
        except StorageError as error:
            # The claim is still held, and the step is repeated with it.
            self._reach.failed("settler", error)
        except Exception:
            logger.exception("The chord that task %s completes cannot go on.", work.task.id)
            aftermath.chord = None
        return True

    def _without_refused(
        self, batch: list[tuple[Work, Aftermath]], error: Exception
    ) -> list[tuple[Work, Aftermath]]:
        """Write a batch that was refused one by one, to find the outcome that cannot be written."""
        if len(batch) > 1:
            for item in batch:
                self._write([item])
            return []
        [(work, aftermath)] = batch
        logger.error("The outcome of task %s cannot be written: %s", work.task.id, error)
        if not aftermath.results and not aftermath.outgoing:
            self._let_go(batch)
            return []
        return [(work, self._huey.refused(work.task, aftermath, error))]

    def _settlement(self, work: Work, aftermath: Aftermath) -> Settlement:
        return self._huey.settlement_of(aftermath, work.claim)
