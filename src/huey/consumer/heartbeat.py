"""Proof of life that no task can starve, and the watch over the other consumers."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from huey.consumer import identity, policy

if TYPE_CHECKING:
    from huey.consumer.engine import Engine
    from huey.consumer.reach import Reach
    from huey.storage.delivery import ConsumerRecord, LosslessStorage

logger = logging.getLogger("huey.consumer")

#: Seconds between two sweeps of what nobody needs any more.
_SWEEP = 60.0


class Watch:
    """Notices the death of other consumers, and gives back what they held.

    How long a beat has stood still is measured here, by this process's monotonic clock, while the
    storage answers: clock steps, skew and a stopped server harm nobody.
    """

    def __init__(self, storage: LosslessStorage) -> None:
        self._storage = storage
        #: Consumer → (its beat, since when it has been that one).
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, own: str) -> None:
        """Look once at all consumers but ``own``, and recover those that are dead.

        Raises:
            StorageError: the storage did not answer; nobody ages meanwhile.
        """
        records = [record for record in self._storage.consumers() if record.id != own]
        now = time.monotonic()
        seen = {}
        for record in records:
            beat, since = self._seen.get(record.id, (None, now))
            seen[record.id] = (record.beat, since if beat == record.beat else now)
        self._seen = seen
        for record in records:
            self._judge(record, now - seen[record.id][1])

    def _judge(self, record: ConsumerRecord, silent: float) -> None:
        gone = self._storage.is_gone(record)
        if gone is None:
            gone = identity.is_gone(record.info)
        if gone:
            self._recover(record, None, "its process is gone")
        elif silent > policy.LEASE and (gone is None or identity.is_suspended(record.info)):
            # A living process on this host that does not beat is busy in code that lets no thread
            # run. Only one that is stopped altogether is treated as dead.
            self._recover(record, record.beat, f"no heartbeat for {silent:.0f} s")

    def _recover(self, record: ConsumerRecord, beat: int | None, cause: str) -> None:
        given_back = self._storage.recover(record.id, beat, cause)
        logger.warning(
            "Consumer %s is dead (%s): %d tasks went back to the queue.",
            record.id,
            cause,
            given_back,
        )

    def forget(self) -> None:
        """Forget what was seen: time in which the storage did not answer counts for nobody."""
        self._seen = {}


class Heartbeat:
    """Beats from a thread of its own, and watches the others unless the parent does."""

    def __init__(self, engine: Engine, reach: Reach, watches: bool = True) -> None:
        self._watches = watches
        self._engine = engine
        self._reach = reach
        self._watch = Watch(engine.storage)
        self._stopping = threading.Event()
        self._swept = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="Heartbeat", daemon=True)

    def start(self) -> None:
        """Look after the others once, and start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating."""
        self._stopping.set()
        self._thread.join(policy.BEAT)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._round()
            except Exception as error:
                failures += 1
                self._watch.forget()
                self._reach.failed("heartbeat", error)
                self._stopping.wait(min(policy.BEAT, policy.reconnect_delay(failures)))
            else:
                failures = 0
                self._reach.worked("heartbeat")
                self._stopping.wait(policy.BEAT)

    def _round(self) -> None:
        self._engine.beat()
        if not self._watches:
            return
        self._watch.look(self._engine.id)
        if time.monotonic() - self._swept > _SWEEP:
            self._swept = time.monotonic()
            self._engine.storage.sweep(
                max_dead=policy.MAX_DEAD,
                max_dead_age=policy.MAX_DEAD_AGE,
                max_mark_age=policy.MAX_MARK_AGE,
            )
