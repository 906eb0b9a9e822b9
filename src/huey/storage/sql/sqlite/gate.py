"""One writer at a time among the processes that share a database file."""

from __future__ import annotations

import contextlib
import os
import random
import time
from pathlib import Path

with contextlib.suppress(ImportError):  # Windows: SQLite's own waiting has to do
    import fcntl

#: Waits between two tries, in seconds: the first, and the longest.
_FIRST, _LONGEST = 0.0003, 0.002


class Gate:
    """A file lock that writers take before they ask SQLite for its own.

    Who finds SQLite's lock taken sleeps up to 100 ms, however short the transaction is; in front
    of this gate it is 2 ms at most. Writers that do not know the gate, such as an old Huey, are
    still kept apart by SQLite. As checkpoints happen within commits, none of ours runs while
    another process writes, which also keeps the WAL-reset race of SQLite before 3.51.3 away.

    Args:
        path: the lock file, made when it is first needed; None: there is no gate.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path if "fcntl" in globals() else None
        self._fd = -1

    def enter(self, timeout: float) -> bool:
        """Wait for at most ``timeout`` seconds; False if the gate was taken all the time."""
        if not self._is_open() or self._take():
            return True
        deadline = time.monotonic() + timeout
        longest = _FIRST
        while time.monotonic() < deadline:
            time.sleep(random.uniform(_FIRST / 2, longest))
            if self._take():
                return True
            longest = min(longest * 2, _LONGEST)
        return False

    def leave(self) -> None:
        """Let the next one in."""
        if self._fd >= 0:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _take(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_open(self) -> bool:
        """Open the lock file if that is possible."""
        if self._fd >= 0:
            return True
        if self._path is None:
            return False
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CREAT, 0o666)
            return True
        except OSError:
            # An unwritable directory, or a file of another user: SQLite alone keeps order then.
            self._path = None
            return False

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()
