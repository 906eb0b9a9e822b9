"""What all parts of the file storage share: the lock, and what is known of the queue."""

from __future__ import annotations

import contextlib
import heapq
import os
import secrets
import threading
import time
from collections.abc import Iterator
from itertools import count

from huey.storage.bells import Bells
from huey.storage.delivery import LosslessStorage
from huey.storage.file import disk, layout
from huey.storage.file.journal import Journal
from huey.storage.file.work import Work
from huey.storage.filelock import FileLock

#: Huey 3.5.4 puts messages into the queue without telling, so the folder is read again after so
#: many seconds, even if all that is known of is not used up.
_TRUST = 0.1
#: Groups of bells.
MESSAGES, VALUES = "messages", "values"


class FileState(LosslessStorage):
    """The folder, and who may touch it."""

    def __init__(
        self, name: str, path: str, levels: int, use_thread_lock: bool, fsync: bool, utc: bool
    ) -> None:
        super().__init__(name)
        self.path = os.path.abspath(path)
        self.levels = levels
        self.utc = utc
        self._mutex: FileLock | threading.Lock = (
            threading.Lock() if use_thread_lock else FileLock(os.path.join(self.path, ".lock"))
        )
        self._journal = Journal(self.path, fsync)
        self._bells = Bells(os.path.join(self.path, "bells"))
        self._line = Line(os.path.join(self.path, layout.QUEUE))
        self._series = secrets.token_hex(4)
        self._claim_numbers = count(1)

    def now(self) -> float:
        """Read the clock of this machine, in epoch seconds."""
        return time.time()

    @contextlib.contextmanager
    def _working(self, durable: bool = False) -> Iterator[Work]:
        """Lend the folder to the caller alone; what it changed happens together at the end.

        Args:
            durable: whether the change has to survive a power failure.

        Raises:
            StorageError: the file system refused; nothing was written.
        """
        with disk.translated(), self._mutex:
            header = self._journal.load()
            work = Work(self.path, self.levels, header, self._line)
            yield work
            if work.change:
                self._journal.commit(header, work.change, durable)
            else:
                self._journal.save(header)
        # Outside of the lock: who is woken would only wait for it.
        self._announce(work)

    def _announce(self, work: Work) -> None:
        if work.pushed:
            self._bells.ring(MESSAGES)
        if work.stored:
            self._bells.ring(VALUES)

    def _at(self, *parts: str) -> str:
        return os.path.join(self.path, *parts)

    def _new_claim_number(self) -> str:
        return f"{self._series}{os.getpid():x}-{next(self._claim_numbers)}"


class Line:
    """The names of ready messages, in order, as far as they are known without looking.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: list[str] = []
        self._version = -1
        self._read_at = 0.0

    def refresh(self, version: int) -> None:
        """Look, if somebody of us has added something, or somebody else may have."""
        now = time.monotonic()
        if version != self._version or not self._names or now - self._read_at > _TRUST:
            self._names = disk.names_in(self._folder)
            heapq.heapify(self._names)
            self._version, self._read_at = version, now

    def next_names(self) -> Iterator[str]:
        """Take names out, the first first; some may be gone by now."""
        while self._names:
            yield heapq.heappop(self._names)

    def add(self, name: str, before: int, version: int) -> None:
        """Take notice of what this process has added itself."""
        if self._version == before:
            heapq.heappush(self._names, name)
            self._version = version

    def forget(self) -> None:
        """Look the next time."""
        self._version = -1
