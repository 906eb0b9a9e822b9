"""What a fork does to SQLite, and how it is kept from doing it.

A child inherits the locks inside SQLite as they are at that moment, and would wait for ever for a
thread that it does not have; so a fork waits until no thread is within SQLite. It also inherits
connections that belong to the parent: they are set aside, and never closed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Any, Protocol

#: How long a fork waits for threads that are within SQLite, in seconds; one that is waiting for a
#: lock of another process may take its time.
_PATIENCE = 10.0


class Forkable(Protocol):
    """Holds what a child must not use."""

    def _disown(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""


class _Barrier:
    """Counts the threads within SQLite, and lets none in while the process forks.

    A thread may enter several times.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._within = 0
        self._is_forking = False
        self._own = threading.local()

    def __enter__(self) -> None:
        depth = self._own.depth = getattr(self._own, "depth", 0) + 1
        if depth == 1:
            with self._lock:
                while self._is_forking:
                    self._changed.wait()
                self._within += 1

    def __exit__(self, *_: object) -> None:
        self._own.depth -= 1
        if self._own.depth == 0:
            with self._lock:
                self._within -= 1
                if self._is_forking:
                    self._changed.notify_all()

    def before_fork(self) -> None:
        mine = 1 if getattr(self._own, "depth", 0) else 0
        with self._changed:
            self._is_forking = True
            self._changed.wait_for(lambda: self._within == mine, _PATIENCE)

    def after_fork(self) -> None:
        with self._changed:
            self._is_forking = False
            self._changed.notify_all()


#: Entered around each use of SQLite.
within_sqlite = _Barrier()
_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(forkable: Forkable) -> None:
    """Have ``_disown`` called in each child that is forked from now on."""
    _forkables.add(forkable)


def keep_for_ever(connections: list[Any]) -> None:
    """Never close these connections, not even at the end of the interpreter.

    Closing one in the child could remove the log of a database that the parent uses.
    """
    with contextlib.suppress(ImportError):
        import ctypes

        for connection in connections:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _after_in_child() -> None:
    within_sqlite.__init__()  # type: ignore[misc] # its lock is held by the parent's thread
    for forkable in list(_forkables):
        forkable._disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=within_sqlite.before_fork,
        after_in_parent=within_sqlite.after_fork,
        after_in_child=_after_in_child,
    )
