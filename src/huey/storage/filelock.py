"""FileLock: one at a time, among all threads of all processes that know a file."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """An exclusive lock that the kernel takes back when its holder dies.

    Not re-entrant. Each thread has its own descriptor of the file, since the lock belongs to the
    opened file and not to the thread. The file itself is made when it is missing, and never
    removed: somebody may be waiting for it.

    Args:
        filename: of the lock file; its folder is made when it is missing.
    """

    def __init__(self, filename: str | os.PathLike[str]) -> None:
        self.filename = os.fspath(filename)
        self._local = threading.local()
        Path(self.filename).parent.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            warnings.warn(
                "This platform has no fcntl, so FileLock locks nothing: "
                "let only one process use these files.",
                RuntimeWarning,
                stacklevel=2,
            )

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        if fcntl is not None:
            fcntl.flock(self._descriptor(), fcntl.LOCK_EX)

    def release(self) -> None:
        """Give the lock back."""
        if fcntl is not None:
            fcntl.flock(self._descriptor(), fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _descriptor(self) -> int:
        mine: _Descriptor | None = getattr(self._local, "descriptor", None)
        # A forked child shares the opened files of its parent, and so would share the lock.
        if mine is None or mine.pid != os.getpid():
            mine = _Descriptor(self.filename)
            self._local.descriptor = mine
        return mine.number


class _Descriptor:
    """An open lock file; closed with the thread that it belongs to."""

    def __init__(self, filename: str) -> None:
        self.pid = os.getpid()
        self.number = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def __del__(self) -> None:
        os.close(self.number)
