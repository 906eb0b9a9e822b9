"""Removal of what nobody needs any more from the folder."""

from __future__ import annotations

import contextlib
import os
import time

from huey.storage.file import disk, layout
from huey.storage.file.guards import FileGuards
from huey.storage.file.settling import letter_in
from huey.storage.file.work import Work

#: At most so many of each kind in one call.
_AT_ONCE = 500
#: A file that has been unfinished for so many seconds will never be finished.
_ABANDONED = 3600.0


class FileSweeping(FileGuards):
    """Sweep."""

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove old dead letters, old marks and expired entries."""
        with self._working() as work:
            removed = self._sweep_letters(work, max_dead, time.time() - max_dead_age)
            removed += self._sweep_marks(work, time.time() - max_mark_age)
            removed += self._sweep_leases(work)
            self._tidy_windows(work)
        self._tidy_unfinished()
        return removed

    def _sweep_letters(self, work: Work, max_dead: int, oldest: float) -> int:
        names = sorted(disk.names_in(self._at(layout.DEAD)))
        surplus = max(0, len(names) - max_dead)
        removed = 0
        for position, name in enumerate(names[: surplus + _AT_ONCE]):
            letter = letter_in(work, name)
            if position < surplus or letter is None or letter.died_at < oldest:
                work.remove(f"{layout.DEAD}/{name}")
                removed += 1
            if removed == _AT_ONCE:
                break
        return removed

    def _sweep_marks(self, work: Work, oldest: float) -> int:
        removed = 0
        for name in disk.names_in(self._at(layout.MARKS)):
            if removed < _AT_ONCE and _changed_at(self._at(layout.MARKS, name)) < oldest:
                work.remove(f"{layout.MARKS}/{name}")
                removed += 1
        return removed

    def _sweep_leases(self, work: Work) -> int:
        removed = 0
        for name in disk.names_in(self._at(layout.LEASES)):
            path = f"{layout.LEASES}/{name}"
            lease = layout.from_json(work.read(path))
            if lease is None or not work.lease_holds(lease):
                work.remove(path)
            elif work.live(lease["key"]) is None and removed < _AT_ONCE:
                work.drop(lease["key"])
                removed += 1
        return removed

    def _tidy_windows(self, work: Work) -> None:
        for name in disk.names_in(self._at(layout.WINDOWS)):
            window = layout.from_json(work.read(f"{layout.WINDOWS}/{name}"))
            if window and window["ends_at"] < time.time() - 60:
                work.forget(layout.WINDOWS, window["key"])
                work.delete_counter(window["key"])

    def _tidy_unfinished(self) -> None:
        for folder in (layout.QUEUE, layout.SCHEDULE, layout.MARKS, layout.DEAD):
            with contextlib.suppress(OSError):
                for entry in os.scandir(self._at(folder)):
                    is_unfinished = entry.name.endswith(layout.UNFINISHED)
                    if is_unfinished and _changed_at(entry.path) < time.time() - _ABANDONED:
                        os.unlink(entry.path)


def _changed_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return time.time()
