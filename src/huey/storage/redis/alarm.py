"""Ends the waiting of another thread for a reply."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
import weakref
from typing import Any

#: Seconds between two looks at the alarm, where a connection does not show its socket.
_GLANCE = 0.1


class Alarm:
    """Rings once: until somebody has heard it, or at once if somebody waits already."""

    def __init__(self) -> None:
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._close = weakref.finalize(self, _close, self._ear, self._bell)

    def ring(self) -> None:
        """End the present or next waiting; may be called from any thread."""
        # Full means that it rings already; closed, that nobody waits any more.
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def heard(self) -> bool:
        """Tell whether it has rung, and be still again."""
        try:
            return bool(self._ear.recv(4096))
        except OSError:
            return False

    def wait(self, seconds: float) -> bool:
        """Wait until it rings; False if it did not."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            selector.select(seconds)
        return self.heard()

    def until_reply(self, connection: Any, seconds: float) -> bool:
        """Wait until a connection has something to read.

        Returns:
            False if the alarm was heard first.

        Raises:
            TimeoutError: if neither happened in time.
        """
        deadline = time.monotonic() + seconds
        while not connection.can_read(timeout=0):
            if self.heard():
                return False
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no reply after {seconds:g} seconds")
            self._sleep(connection, left)
        return True

    def close(self) -> None:
        """Release the sockets."""
        self._close()

    def _sleep(self, connection: Any, seconds: float) -> None:
        line = getattr(connection, "_sock", None)
        if line is None or not hasattr(line, "fileno"):
            connection.can_read(timeout=min(seconds, _GLANCE))
            return
        with selectors.DefaultSelector() as selector:
            selector.register(line, selectors.EVENT_READ)
            selector.register(self._ear, selectors.EVENT_READ)
            selector.select(seconds)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        end.close()
