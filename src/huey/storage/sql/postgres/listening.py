"""Waiting for notifications on a connection of one's own, and ending the wait from elsewhere."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from huey.storage.sql.postgres.connections import disown
from huey.storage.sql.postgres.errors import translate

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()


class Waker:
    """Ends somebody's waiting, now or the next time; may be used from any thread."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self.close = weakref.finalize(self, _close_pipe, self._reader, self._writer)

    def fileno(self) -> int:
        """Give what becomes readable."""
        return self._reader

    def wake(self) -> None:
        """End the waiting."""
        # A full pipe wakes as well as one more byte would.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Tell whether somebody asked to end the waiting."""
        return bool(_wait_readable([self._reader], 0))

    def was_woken(self) -> bool:
        """Tell whether somebody asked to end the waiting, and forget it."""
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._reader, 4096))
        return False

    def wait(self, timeout: float) -> bool:
        """Wait, if nothing else can be waited for; True if woken."""
        _wait_readable([self._reader], timeout)
        return self.was_woken()


class Listener:
    """A connection that listens to one channel.

    Args:
        connect: opens a connection in autocommit mode.
        channel: what to listen to.
    """

    def __init__(self, connect: Callable[[], Connection[TupleRow]], channel: str) -> None:
        self._connect = connect
        self._channel = channel
        #: Under which it can be rung.
        self.id = uuid4().hex
        self.connection: Connection[TupleRow] | None = None
        self._notes: list[str] = []
        self._closer: weakref.finalize[[], Listener] | None = None
        _listeners.add(self)

    def start(self) -> bool:
        """Make sure that the connection is there and listens; True if it had to be opened.

        Raises:
            StorageError: the server cannot be reached.
        """
        import psycopg
        from psycopg import sql

        if self.connection is not None:
            return False
        connection = self._connect()
        notes = self._notes  # not self: the connection must not keep its listener alive
        connection.add_notify_handler(lambda note: notes.append(note.payload))
        try:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        except psycopg.Error as error:
            wrong = translate(error, connection)
            connection.close()
            raise wrong from error
        self.connection = connection
        # The listener of a thread that ended is collected, and must not leave a connection behind.
        self._closer = weakref.finalize(self, connection.close)
        return True

    def wait(self, timeout: float, waker: Waker | None = None) -> list[str]:
        """Wait until notified, woken, or disconnected; gives the notes that came.

        A broken connection is dropped, and the next `start` opens another one.
        """
        connection = self.connection
        if connection is not None and not self._notes:
            own = connection.fileno()
            if own in _wait_readable([own, *([waker.fileno()] if waker else [])], timeout):
                self._read(connection)
        notes = self._notes.copy()
        self._notes.clear()
        return notes

    def close(self) -> bool:
        """Close the connection; tell whether there was one."""
        was_open = self.connection is not None
        self.connection = None
        if self._closer is not None:
            self._closer()
        return was_open

    def _read(self, connection: Connection[Any]) -> None:
        import psycopg

        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            self.close()
            return
        while note := connection.pgconn.notifies():
            self._notes.append(note.extra.decode())
        if connection.closed:
            self.close()

    def _disown(self) -> None:
        if self.connection is not None:
            disown([self.connection])
            self.connection = None
        if self._closer is not None:
            self._closer.detach()


class Listeners:
    """One listener for each thread that waits; it goes when its thread ends."""

    def __init__(self, connect: Callable[[], Connection[TupleRow]], channel: str) -> None:
        self._make = partial(Listener, connect, channel)
        self._local = threading.local()

    def mine(self) -> Listener:
        """Give the calling thread's listener."""
        listener: Listener | None = getattr(self._local, "listener", None)
        if listener is None:
            listener = self._make()
            self._local.listener = listener
        return listener


def _wait_readable(files: list[int], timeout: float) -> list[int]:
    """Wait for the first of some files to become readable; gives those that are."""
    if not hasattr(select, "poll"):
        return select.select(files, [], [], max(timeout, 0.0))[0]
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    # Rounded up: a wait that is cut short would spin.
    return [file for file, _ in poll.poll(max(0, int(timeout * 1000 + 0.999)))]


def _close_pipe(*files: int) -> None:
    for file in files:
        os.close(file)


def _forget_after_fork() -> None:
    for listener in list(_listeners):
        listener._disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
