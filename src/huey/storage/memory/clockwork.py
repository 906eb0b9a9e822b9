"""The schedule of the memory storage, and ticks of periodic tasks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import inf

from huey.storage.delivery import Due, Move, Outgoing, Scheduled
from huey.storage.memory.state import MemoryState


class MemoryClockwork(MemoryState):
    """Due, promote, tick."""

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Look at the schedule, without changing it."""
        with self._lock:
            now = self.now() if now is None else now
            size = min(limit, bisect_right(self._schedule, (now, inf)))
            first = tuple(
                Scheduled(str(number), data, due) for due, number, data in self._schedule[:size]
            )
            if size == len(self._schedule):
                return Due(first, None)
            return Due(first, max(0.0, self._schedule[size][0] - now))

    def promote(self, moves: Sequence[Move]) -> int:
        """Move messages that are still scheduled; returns how many were."""
        with self._lock:
            return sum(self._promote(move) for move in moves)

    def _promote(self, move: Move) -> bool:
        if not self._unfile(int(move.scheduled.token)):
            return False
        if move.due is None:
            self._push(move.scheduled.data, move.priority)
        else:
            self._file(move.scheduled.data, move.due)
        return True

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue a periodic task's message unless this tick, or a later one, exists already."""
        with self._lock:
            if self._ticks.get(name, -inf) >= planned:
                return False
            self._ticks[name] = planned
            self._accept(message)
            return True

    def last_ticks(self) -> dict[str, float]:
        """Read the planned time of the last tick of each periodic task."""
        with self._lock:
            return dict(self._ticks)
