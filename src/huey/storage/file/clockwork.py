"""The schedule of the file storage, and ticks of periodic tasks."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import inf
from typing import Any

from huey.storage.delivery import Due, Move, Outgoing, Scheduled
from huey.storage.file import disk, layout
from huey.storage.file.settling import FileSettling
from huey.storage.file.work import Work


class FileClockwork(FileSettling):
    """Due, promote, tick."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Names in the schedule that were given by Huey 3.5.4, and have been listed.
        self._listed_names: set[str] = set()

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Look at the schedule, without changing it."""
        with self._working() as work:
            until = self.now() if now is None else now
            first = heapq.nsmallest(limit + 1, self._filed())
            ready = [(due, name) for due, name in first[:limit] if due <= until]
            messages = self._scheduled(work, ready)
            following = first[len(ready)] if len(first) > len(ready) else None
            wait = None if following is None else max(0.0, following[0] - until)
            return Due(tuple(messages), wait)

    def promote(self, moves: Sequence[Move]) -> int:
        """Move messages that are still scheduled; returns how many were."""
        with self._working() as work:
            return sum(_promote(work, move) for move in moves)

    def unverified(self, limit: int = 500) -> list[Scheduled]:
        """List scheduled messages that were filed by Huey 3.5.4, each once."""
        with self._working() as work:
            foreign = {entry for entry in self._filed() if not layout.is_ours(entry[1])}
            # What is gone need not be remembered.
            self._listed_names &= {name for _, name in foreign}
            new = sorted(entry for entry in foreign if entry[1] not in self._listed_names)
            self._listed_names.update(name for _, name in new[:limit])
            return self._scheduled(work, new[:limit])

    def _filed(self) -> list[tuple[float, str]]:
        """List due times and names, in no order."""
        entries = []
        for name in disk.names_in(self._at(layout.SCHEDULE)):
            due = layout.due_of(name)
            if due is not None:
                entries.append((due, name))
        return entries

    def _scheduled(self, work: Work, entries: list[tuple[float, str]]) -> list[Scheduled]:
        contents = [(name, work.read(f"{layout.SCHEDULE}/{name}"), due) for due, name in entries]
        return [Scheduled(name, data, due) for name, data, due in contents if data is not None]

    # ── ticks ──────────────────────────────────────────────────────────────────────────────────

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue a periodic task's message unless this tick, or a later one, exists already."""
        with self._working(durable=True) as work:
            last = work.facts(layout.TICKS, name) or {"planned": -inf}
            if last["planned"] >= planned:
                return False
            work.note(layout.TICKS, name, {"name": name, "planned": planned})
            work.accept(message)
            return True

    def last_ticks(self) -> dict[str, float]:
        """Read the planned time of the last tick of each periodic task."""
        with self._working() as work:
            names = disk.names_in(self._at(layout.TICKS))
            ticks = [layout.from_json(work.read(f"{layout.TICKS}/{name}")) for name in names]
            return {tick["name"]: tick["planned"] for tick in ticks if tick}


def _promote(work: Work, move: Move) -> bool:
    token = move.scheduled.token
    if not work.exists(f"{layout.SCHEDULE}/{token}"):
        return False
    if move.due is None:
        work.push_scheduled(token, move.priority)
    else:
        work.file_again(token, move.due)
    return True
