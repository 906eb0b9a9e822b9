"""The scheduler where waiting blocks: in a greenlet or in a thread."""

from __future__ import annotations

import time
from typing import Any, Protocol

from huey.contrib.mini.core import MiniCore, logger
from huey.exceptions import HueyException


class Flag(Protocol):
    """An event of threads, or one of greenlets."""

    def set(self) -> Any:
        """Raise it."""

    def clear(self) -> Any:
        """Lower it."""

    def is_set(self) -> bool:
        """Tell whether it is up."""

    def wait(self, timeout: float | None = None) -> Any:
        """Block until it is up."""


class Blocking(MiniCore):
    """Start and stop of a scheduler that runs in the background."""

    _shutdown: Flag
    #: Up when the scheduler is to look again.
    _bell: Flag
    #: Where the scheduler runs; None when it does not.
    _run_t: Any = None

    def start(self) -> None:
        """Start the scheduler and return at once.

        Without it, calls of tasks run, but nothing that is scheduled or periodic.

        Raises:
            HueyException: it is running already.
        """
        if self._is_running():
            raise HueyException("Task runner is already running: call stop() first.")
        self._shutdown.clear()
        self._bell.clear()
        self._agenda.begin(time.time())
        self._run_t = self._run_in_background()
        logger.info("task runner started.")

    def stop(self, wait: bool = False, timeout: float | None = None) -> bool:
        """Stop the scheduler. What is scheduled stays, and goes on with the next start.

        Args:
            wait: wait for the tasks that are running, too.
            timeout: wait for them, but for so many seconds at most.

        Returns:
            False if tasks are still running although they were waited for.

        Raises:
            HueyException: it is not running.
        """
        if not self._is_running():
            raise HueyException("Task runner does not appear to have started: call start() first.")
        logger.info("shutdown requested.")
        began = time.monotonic()
        self._shutdown.set()
        self._bell.set()
        self._run_t.join()
        self._run_t = None
        if not wait and timeout is None:
            return True
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
        return self._join_tasks(left)

    def _run(self) -> None:
        while not self._shutdown.is_set():
            pause = self._tick()
            self._bell.wait(pause)
            self._bell.clear()
        logger.info("exiting task runner")

    def _ring(self) -> None:
        self._bell.set()

    # ── what an environment adds ───────────────────────────────────────────────────────────────

    def _is_running(self) -> bool:
        return self._run_t is not None

    def _run_in_background(self) -> Any:
        """Run ``_run`` aside; gives what can be joined."""
        raise NotImplementedError

    def _join_tasks(self, timeout: float | None) -> bool:
        """Wait until no task runs; False if the time was not enough."""
        raise NotImplementedError
