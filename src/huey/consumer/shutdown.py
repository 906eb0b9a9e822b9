"""Unix signals → graceful stop, interrupt, restart."""

from __future__ import annotations

import signal
from dataclasses import dataclass

SIGHUP: int | None = getattr(signal, "SIGHUP", None)


@dataclass(frozen=True, slots=True)
class Stop:
    """How the consumer is to stop."""

    #: The signal; None if the application asked.
    signum: int | None
    restart: bool
    #: Whether running tasks may take as long as they need.
    graceful: bool

    @property
    def name(self) -> str:
        """The name of the signal, such as SIGTERM."""
        return "a request" if self.signum is None else signal.Signals(self.signum).name


def signal_actions(graceful_signal: str) -> dict[int, tuple[bool, bool]]:
    """Say what each Unix signal asks for: signal number → (restart, graceful).

    ``graceful_signal`` is "INT" or "TERM"; the other one bounds the time of running tasks.
    """
    graceful_term = graceful_signal == "TERM"
    actions = {
        int(signal.SIGINT): (False, not graceful_term),
        int(signal.SIGTERM): (False, graceful_term),
    }
    if SIGHUP is not None:
        actions[SIGHUP] = (True, True)
    return actions
