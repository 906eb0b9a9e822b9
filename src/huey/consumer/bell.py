"""A bell that signal handlers and other threads may ring, and the main thread waits for."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence


class Bell:
    """Wakes one waiter; made of a pipe, for signal handlers may take no lock."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Give the descriptor that rings when anything is written to it."""
        return self._write

    def ring(self) -> None:
        """Wake the waiter, or have its next wait return at once."""
        # A full pipe rings already; a closed one has nobody to wake.
        with contextlib.suppress(OSError):
            os.write(self._write, b"!")

    def wait(self, timeout: float | None = None, others: Sequence[int] = ()) -> bool:
        """Wait for a ring, or until one of the ``others`` (descriptors) can be read.

        Returns:
            False if neither came within ``timeout`` seconds.
        """
        ready, _, _ = select.select([self._read, *others], [], [], timeout)
        if self._read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        return bool(ready)

    def close(self) -> None:
        """Release the pipe."""
        for descriptor in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
