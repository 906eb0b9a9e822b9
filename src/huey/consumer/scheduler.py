"""Sleeps until the next due time; makes due messages ready, and periodic tasks tick."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from huey import signals as S
from huey.consumer import policy
from huey.consumer.ticks import Ticks
from huey.storage.delivery import Move
from huey.timing import to_epoch

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.consumer.reach import Reach
    from huey.storage.delivery import LosslessStorage, Scheduled

logger = logging.getLogger("huey.consumer.Scheduler")

#: How many due messages are moved in one step.
_CHUNK = 500
#: Seconds between two looks for entries that Huey 3.5.4 may have filed under local time.
_VERIFY = 30.0


class Scheduler:
    """Moves what is due from the schedule to the queue.

    Args:
        huey: the application.
        storage: its storage, under the lossless contract.
        interval: the longest sleep in seconds: an entry written by others is noticed by then.
        periodic: whether periodic tasks tick here.
        reach: who reports outages.
    """

    def __init__(
        self, huey: Huey, storage: LosslessStorage, interval: float, periodic: bool, reach: Reach
    ) -> None:
        self.huey = huey
        self.interval = interval
        self.periodic = periodic
        self._storage = storage
        self._reach = reach
        self._ticks = Ticks(huey, storage) if periodic else None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._sleeps_until = 0.0
        self._verified = 0.0
        self._thread = threading.Thread(target=self._run, name="Scheduler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(self.interval)

    def is_alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def expect(self, due: float) -> None:
        """Be awake at ``due`` (epoch seconds), because a message was just filed under it."""
        if due < self._sleeps_until:
            self._wake.set()

    # ── the loop ───────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait = self._round()
            except Exception as error:
                failures += 1
                self._reach.failed("scheduler", error)
                wait = policy.reconnect_delay(failures)
            else:
                failures = 0
                self._reach.worked("scheduler")
            self._sleep(wait)

    def _sleep(self, wait: float) -> None:
        if wait <= 0:
            return
        self._sleeps_until = time.time() + wait
        self._wake.wait(wait)

    def _round(self) -> float:
        """Do what is to be done now; returns the seconds until there is more."""
        self._verify()
        wait = self._promote()
        if self._ticks is not None:
            wait = min(wait, self._ticks.run())
        return wait

    def _promote(self) -> float:
        due = self._storage.due(_CHUNK)
        if due.messages:
            self._storage.promote([self._move(message) for message in due.messages])
        return self.interval if due.wait is None else min(self.interval, due.wait)

    def _move(self, scheduled: Scheduled) -> Move:
        """Decide where a due message goes: to the queue, unless the task itself says later."""
        try:
            task = self.huey.deserialize_task(scheduled.data)
        # It is no task here; on the queue it is dealt with like every other such message.
        except Exception:
            return Move(scheduled)
        eta = None if task.eta is None else to_epoch(task.eta, self.huey.utc)
        if eta is not None and eta > scheduled.due + 1e-3 and eta > self._storage.now():
            return Move(scheduled, due=eta)
        logger.debug("Enqueueing scheduled task %s", task)
        self.huey._emit(S.SIGNAL_ENQUEUED, task)
        return Move(scheduled, task.priority)

    # ── entries of Huey 3.5.4 ──────────────────────────────────────────────────────────────────

    def _verify(self) -> None:
        """File entries under their true time that were filed under some host's local time."""
        if self._verified and time.monotonic() - self._verified < _VERIFY:
            return
        while foreign := self._storage.unverified(_CHUNK):
            self._storage.promote([move for entry in foreign if (move := self._refile(entry))])
        self._verified = time.monotonic()

    def _refile(self, scheduled: Scheduled) -> Move | None:
        try:
            task = self.huey.deserialize_task(scheduled.data)
        except Exception:
            return None
        if task.eta is None:
            return None
        return Move(scheduled, due=to_epoch(task.eta, self.huey.utc))
