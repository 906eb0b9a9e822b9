"""How many messages to hold, and how long to wait: the numbers of the consumer."""

from __future__ import annotations

import random

#: Tasks that take longer than this many seconds are settled one by one before the next starts, so
#: that a crash repeats only what was running.
SHORT = 0.004
#: How many seconds of work are claimed ahead while tasks prove short.
AHEAD = 0.010
#: Seconds after which a claimed task that nobody has started is given back.
UNSTARTED = 0.05
#: The most messages that are claimed, or settled, at once.
BATCH = 250
#: Seconds between heartbeats.
BEAT = 5.0
#: Seconds without a heartbeat after which a consumer counts as dead.
LEASE = 30.0
#: The share of the lease after which a consumer that cannot beat starts no more tasks.
CAUTION = 0.7
#: Seconds that a suspect waits for its neighbours to finish, and they for it.
SECLUSION = 0.5
#: Crashes alone, and in company, after which a task is not tried again.
MAX_CRASHES_ALONE = 3
MAX_CRASHES_IN_COMPANY = 10
#: Seconds for which running tasks may go on after SIGTERM: below the 10 s of container stops.
GRACE = 8.0
#: Seconds before an unknown task is looked at again: first, and at most.
UNKNOWN_FIRST = 5.0
UNKNOWN_MOST = 600.0
#: Seconds for which an unknown task is kept before it becomes a dead letter.
UNKNOWN_AGE = 86_400.0
#: Bounds of what is kept: dead letters, by number and age, and marks of lost messages, by age.
MAX_DEAD = 10_000
MAX_DEAD_AGE = 30 * 86_400.0
MAX_MARK_AGE = 14 * 86_400.0


def unsettled_allowance(slots: int) -> int:
    """Count the finished tasks that need not be settled before others take their places.

    One in eight, so that many slow tasks side by side lose no time, and none for a few workers, of
    which a crash shall repeat only what was running.
    """
    return slots // 8


class Pace:
    """The moving average of how long tasks take."""

    def __init__(self) -> None:
        # Careful until tasks have proved short.
        self.average = 3 * SHORT

    def observe(self, duration: float) -> None:
        """Note how many seconds a task took."""
        self.average += (duration - self.average) * 0.1

    @property
    def is_short(self) -> bool:
        """Whether finished tasks may wait for their settlement while the next ones run."""
        return self.average < SHORT

    def ahead(self) -> int:
        """Count the messages that may be held beyond one per worker."""
        if not self.is_short:
            return 0
        return min(BATCH, int(AHEAD / max(self.average, 1e-6)))


def unknown_delay(attempt: int) -> float | None:
    """Seconds before a task of unknown name is looked at again; None when it is not, any more.

    ``attempt`` is 1 the first time.
    """
    waited = 0.0
    for earlier in range(1, attempt):
        waited += _growing(UNKNOWN_FIRST, UNKNOWN_MOST, earlier)
        if waited >= UNKNOWN_AGE:
            return None
    return _growing(UNKNOWN_FIRST, UNKNOWN_MOST, attempt)


def reconnect_delay(failures: int) -> float:
    """Seconds before the storage is tried again after so many failures in a row.

    Source: "full jitter" in M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015; with a floor, so that a storage that is down is not hammered.
    """
    return 0.05 + random.uniform(0, _growing(0.1, 2.0, failures))


def _growing(first: float, most: float, count: int) -> float:
    return float(min(most, first * 2.0 ** min(count - 1, 63)))
