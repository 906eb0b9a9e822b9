"""Connections to PostgreSQL: how one is opened, and the few that are kept open."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.sql.postgres.errors import secrets_of, without

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

#: Added to the connection settings unless the user gave them: a peer that vanished without a word
#: is noticed within half a minute, and an unreachable one does not hang the caller for ever.
_DEFAULTS: dict[str, Any] = {
    "application_name": "huey",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds, as libpq counts
}
#: Idle connections that are kept; who needs more at one time opens more.
KEEP = 4
#: Connections in use at one time; further callers wait.
LIMIT = 32
#: How long they wait, in seconds.
PATIENCE = 30.0

_pools: weakref.WeakSet[Connections] = weakref.WeakSet()
#: Connections of a parent process: never used here, and never closed, since that would warn.
_inherited: list[object] = []


class Opener:
    """Opens connections the way the user asked for.

    Args:
        dsn: connection string or URL.
        factory: gives a fresh connection; then the other arguments are not used.
        settings: keyword arguments of ``psycopg.connect``.
    """

    def __init__(
        self,
        dsn: str | None,
        factory: Callable[[], Connection[Any]] | None,
        settings: dict[str, Any],
    ) -> None:
        self._dsn = dsn or ""
        self._factory = factory
        self._settings = settings
        self._secrets = secrets_of(self._dsn, settings)

    def __call__(self) -> Connection[TupleRow]:
        """Open a connection in autocommit mode, whose rows are tuples.

        Raises:
            StorageError: the server cannot be reached, or refuses.
            ConfigurationError: the settings are not valid.
        """
        import psycopg
        from psycopg.rows import tuple_row

        try:
            connection = self._factory() if self._factory else self._connect()
            if not isinstance(connection, psycopg.Connection):
                raise ConfigurationError(
                    "connection must return a psycopg.Connection (psycopg 3), "
                    f"got {type(connection).__name__}."
                )
            if not connection.autocommit:
                connection.autocommit = True
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(self._explain(error)) from None
        except psycopg.Error as error:
            # The driver quotes its settings here and there, so the error itself is not chained.
            raise StorageError(f"PostgreSQL cannot be reached: {self._explain(error)}") from None
        connection.row_factory = tuple_row
        return connection

    def _connect(self) -> Connection[Any]:
        import psycopg
        from psycopg import conninfo

        given = conninfo.conninfo_to_dict(self._dsn).keys() | self._settings.keys()
        defaults = {key: value for key, value in _DEFAULTS.items() if key not in given}
        return psycopg.connect(self._dsn, autocommit=True, **defaults, **self._settings)

    def _explain(self, error: Exception) -> str:
        text = " ".join(str(error).split())
        if "connection info string" in text or "invalid connection option" in text:
            return "The connection settings are not valid; check dsn and connection parameters."
        return without(self._secrets, text)


class Connections:
    """A few open connections, lent to one caller at a time.

    A forked child starts with none. A connection on which an error occurred is not lent again
    unless it is certain to be in order.
    """

    def __init__(self, opener: Callable[[], Connection[TupleRow]]) -> None:
        self.open = opener
        self._reset()
        _pools.add(self)

    def _reset(self) -> None:
        self._free = threading.Condition()
        self._idle: list[Connection[TupleRow]] = []
        self._lent = 0

    @contextlib.contextmanager
    def lend(self, urgent: bool = False) -> Iterator[Connection[TupleRow]]:
        """Lend a connection for a ``with`` block.

        Args:
            urgent: do not wait when many are in use: a heartbeat must not queue behind tasks.

        Raises:
            StorageError: none can be had.
        """
        connection = self._take(urgent)
        try:
            yield connection
        finally:
            self._give_back(connection)

    def close(self) -> bool:
        """Close what is idle; tell whether there was anything."""
        with self._free:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        return bool(idle)

    def _take(self, urgent: bool) -> Connection[TupleRow]:
        with self._free:
            if not urgent and not self._free.wait_for(lambda: self._lent < LIMIT, PATIENCE):
                raise StorageError(
                    f"All {LIMIT} connections of this storage were busy for {PATIENCE:g}s: "
                    "look for long transactions that block the tables of the queue."
                )
            self._lent += 1
        try:
            return self._fresh_idle() or self.open()
        except BaseException:
            self._count_back()
            raise

    def _fresh_idle(self) -> Connection[TupleRow] | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not was_left(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection[TupleRow]) -> None:
        if not is_in_order(connection):
            connection.close()
        with self._free:
            if not connection.closed and len(self._idle) < KEEP:
                self._idle.append(connection)
                connection = None  # type: ignore[assignment]  # nothing is left to close
        if connection is not None:
            connection.close()
        self._count_back()

    def _count_back(self) -> None:
        with self._free:
            self._lent -= 1
            self._free.notify()


def was_left(connection: Connection[Any]) -> bool:
    """Tell whether the server has said something to an idle connection: it says only farewell."""
    if connection.closed:
        return True
    return can_be_read(connection.fileno(), timeout=0)


def flush(connection: Connection[Any]) -> None:
    """Send what a pipeline has not sent yet.

    In a pipeline, psycopg waits for replies without making sure that the whole of a large statement
    is on its way: server and client would wait for each other for ever.
    """
    from psycopg.pq import PipelineStatus

    pgconn = connection.pgconn
    if pgconn.pipeline_status == PipelineStatus.OFF:
        return
    while pgconn.flush():
        if can_be_read(connection.fileno(), or_written=True):
            # The server may be waiting for us to read.
            pgconn.consume_input()


def is_in_order(connection: Connection[Any]) -> bool:
    """Tell whether a connection is open, with no transaction and no pipeline left over."""
    from psycopg.pq import PipelineStatus, TransactionStatus

    return (
        not connection.closed
        and connection.info.transaction_status == TransactionStatus.IDLE
        and connection.pgconn.pipeline_status == PipelineStatus.OFF
    )


def can_be_read(file: int, timeout: float | None = None, or_written: bool = False) -> bool:
    """Wait until a file can be read, or also written; tell whether it can be read."""
    if not hasattr(select, "poll"):
        writing = [file] if or_written else []
        return bool(select.select([file], writing, [], timeout)[0])
    poll = select.poll()
    poll.register(file, select.POLLIN | (select.POLLOUT if or_written else 0))
    events = poll.poll(None if timeout is None else timeout * 1000)
    return any(event & ~select.POLLOUT for _, event in events)


def disown(connections: list[Any]) -> None:
    """Put a parent's connections out of reach without touching what the parent still uses."""
    _inherited.extend(connections)


def _forget_after_fork() -> None:
    for pool in list(_pools):
        disown(pool._idle)
        pool._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
