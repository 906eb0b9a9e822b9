"""Time limits and interrupts for tasks that run in the main thread of a process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from huey.exceptions import TaskTimeout


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TaskTimeout in the main thread after so many seconds; fractions count."""

    def ring(signum: int, frame: Any) -> None:
        raise TaskTimeout(f"timeout ({seconds}s)")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
