"""News about tasks, and who listens to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

SIGNAL_CANCELED = "canceled"
SIGNAL_COMPLETE = "complete"
SIGNAL_ERROR = "error"
SIGNAL_EXECUTING = "executing"
SIGNAL_EXPIRED = "expired"
SIGNAL_LOCKED = "locked"
SIGNAL_RETRYING = "retrying"
SIGNAL_REVOKED = "revoked"
SIGNAL_SCHEDULED = "scheduled"
SIGNAL_INTERRUPTED = "interrupted"
SIGNAL_ENQUEUED = "enqueued"
SIGNAL_TIMEOUT = "timeout"
SIGNAL_RATE_LIMITED = "rate-limited"

# Beyond Huey 3.5.4:
#: The storage refused a task after ``enqueued`` was sent; the exception follows as an argument.
SIGNAL_ENQUEUE_FAILED = "enqueue_failed"
#: A unique task was not enqueued, as one like it waits already; the id of that one follows.
SIGNAL_DUPLICATE = "duplicate"
#: The message became a dead letter; the reason follows as an argument.
SIGNAL_DEAD = "dead"

Receiver = Callable[..., Any]

logger = logging.getLogger("huey")

_ANY = "any"


class Signal:
    """Who is to be told about which signal."""

    __slots__ = ("receivers",)

    def __init__(self) -> None:
        self.receivers: dict[str, list[Receiver]] = {_ANY: []}

    def connect(self, receiver: Receiver, *signals: str) -> None:
        """Have ``receiver`` called for these signals, or for every signal if none is named."""
        for signal in signals or (_ANY,):
            self.receivers.setdefault(signal, []).append(receiver)

    def disconnect(self, receiver: Receiver, *signals: str) -> None:
        """Stop calling ``receiver`` for these signals, or for all if none is named."""
        for signal in signals or tuple(self.receivers):
            connected = self.receivers.get(signal, [])
            if receiver in connected:
                connected.remove(receiver)

    def has_receivers(self, signal: str) -> bool:
        """Tell whether anybody would hear this signal."""
        return bool(self.receivers.get(signal) or self.receivers[_ANY])

    def send(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None:
        """Call the receivers of this signal, then those of every signal.

        A receiver's exception is logged, and the next receiver is called.
        """
        if not self.has_receivers(signal):
            return
        # Copies: a receiver may connect or disconnect while it is being called.
        for receiver in (*self.receivers.get(signal, ()), *self.receivers[_ANY]):
            try:
                receiver(signal, task, *args, **kwargs)
            except Exception:
                name = getattr(receiver, "__name__", repr(receiver))
                logger.exception("Error calling receiver %s for signal %r.", name, signal)
