"""Whether the storage can be reached, with one log line per change."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger("huey.consumer")


class Reach:
    """Shared by all loops of a consumer, so that an outage is reported once and not by each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: set[str] = set()

    def failed(self, who: str, error: Exception) -> None:
        """Note that a loop could not use the storage."""
        with self._lock:
            news = not self._failing
            self._failing.add(who)
        if news:
            logger.error(
                "Cannot use the storage: %s. Nothing new is started until it answers again.",
                error,
                exc_info=logger.isEnabledFor(logging.DEBUG),
            )

    def worked(self, who: str) -> None:
        """Note that a loop could use the storage."""
        if not self._failing:
            return
        with self._lock:
            self._failing.discard(who)
            news = not self._failing
        if news:
            logger.info("The storage answers again, going on.")
