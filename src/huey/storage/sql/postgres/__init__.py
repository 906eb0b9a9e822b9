"""PostgresStorage: queue, schedule and data in the tables of a PostgreSQL database."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from huey.exceptions import StorageError
from huey.storage.sql.postgres.claims import WAIT, WAIT_NO_MORE
from huey.storage.sql.postgres.connections import Opener, disown
from huey.storage.sql.postgres.core import logger, require_psycopg
from huey.storage.sql.postgres.schema import OUR_TABLES
from huey.storage.sql.postgres.waiting import PostgresWaiting

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

FLUSH_CLAIMS = """
DELETE FROM {p}_task WHERE queue IN (
  SELECT queue || chr(31) || id FROM {p}_consumer WHERE queue = %(queue)s)
"""
#: How often ``dequeue`` looks where nothing can be announced, in seconds.
POLL_CLASSIC = 0.05


class PostgresStorage(PostgresWaiting):
    """Keeps everything in PostgreSQL, in the tables of Huey 3.5.4 and some beside them.

    Args:
        name: the queue; several queues may share the tables.
        dsn: connection string or URL; without it the environment decides (``PGHOST`` and so on).
        connection: called for each connection; must return a fresh one of psycopg 3.
        blocking: wait for notifications; False polls. Behind a pooler it polls in any case.
        read_timeout: how long ``dequeue`` waits, in seconds.
        table_prefix: of the names of the tables.
        create_tables: create what is missing on the first connection; False never does.
        utc: whether naive datetimes of the classic schedule methods are UTC, or local time.
        connection_params: for ``psycopg.connect``, such as ``host``, ``password``,
            ``prepare_threshold``.

    Raises:
        ConfigurationError: psycopg 3.2 or later is not installed, or the settings are not valid.
    """

    def __init__(
        self,
        name: str = "huey",
        dsn: str | None = None,
        connection: Callable[[], Connection[Any]] | None = None,
        blocking: bool = True,
        read_timeout: float = 1,
        table_prefix: str = "huey",
        create_tables: bool = True,
        utc: bool = True,
        **connection_params: Any,
    ) -> None:
        require_psycopg()
        super().__init__(
            name,
            opener=Opener(dsn, connection, connection_params),
            table_prefix=table_prefix,
            create_tables=create_tables,
            utc=utc,
        )
        self.blocking = blocking
        self.read_timeout = read_timeout
        self.channel = self._names.channel
        self._conn: Connection[Any] | None = None
        self._conn_pid = 0
        self._conn_lock = threading.RLock()
        if create_tables:
            self._create_early()

    def _create_early(self) -> None:
        try:
            with self._connections.lend():
                """Connecting checks the tables."""
        except StorageError as error:
            # An application must be importable while its database is down.
            logger.warning("%s: the tables will be looked for on the first connection.", error)

    # ── the classic queue ──────────────────────────────────────────────────────────────────────

    def dequeue(self) -> bytes | None:
        """Remove the next message for good and return it; waits if ``blocking``."""
        data = self._pop()
        if data is not None or not self.blocking:
            return data
        deadline = time.monotonic() + self.read_timeout
        return self._poll_pop(deadline) if self._pooled else self._wait_and_pop(deadline)

    def _wait_and_pop(self, deadline: float) -> bytes | None:
        listener = self._listeners.mine()
        try:
            while True:
                listener.start()
                self._count(WAIT, id=listener.id, kind="consumer")
                data = self._pop()
                if data is not None:
                    return data
                while (left := deadline - time.monotonic()) > 0:
                    notes = listener.wait(left)
                    if listener.id in notes or "" in notes or listener.connection is None:
                        break
                else:
                    return None
        finally:
            with contextlib.suppress(StorageError):
                self._count(WAIT_NO_MORE, id=listener.id)

    def _poll_pop(self, deadline: float) -> bytes | None:
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, POLL_CLASSIC))
            data = self._pop()
            if data is not None:
                return data
        return None

    # ── all of it ──────────────────────────────────────────────────────────────────────────────

    def flush_all(self) -> None:
        """Remove everything but the consumers, who lose what they hold."""
        super().flush_all()
        self._count(FLUSH_CLAIMS)
        for table in OUR_TABLES:
            self._count(f"DELETE FROM {{p}}_{table} WHERE queue = %(queue)s")

    def close(self) -> bool:
        """Close what is open, except for what other threads use just now.

        Returns:
            Whether anything was open. It opens again when it is needed.
        """
        with self._conn_lock:
            conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
        closed = [self._desk.close(), self._listeners.mine().close(), self._connections.close()]
        return conn is not None or any(closed)

    # ── for statements of one's own ────────────────────────────────────────────────────────────

    @property
    def conn(self) -> Connection[Any]:
        """A connection for statements of one's own, in autocommit mode, shared by all threads."""
        with self._conn_lock:
            if self._conn is not None and self._conn_pid != os.getpid():
                disown([self._conn])
                self._conn = None
            if self._conn is None or self._conn.closed:
                self._conn, self._conn_pid = self._open(), os.getpid()
            return self._conn

    @contextlib.contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[Cursor[Any]]:
        """Give a cursor; with ``commit``, in a transaction that ends with the block."""
        with self._conn_lock:
            connection = self.conn
            try:
                with connection.transaction() if commit else contextlib.nullcontext():
                    yield connection.cursor()
            finally:
                if close:
                    connection.close()

    def sql(
        self, query: str, params: Any = None, commit: bool = False, results: bool = False
    ) -> Any:
        """Run a statement; with ``results`` return all rows, otherwise the cursor."""
        with self.db(commit) as cursor:
            cursor.execute(query.encode(), params)
            return cursor.fetchall() if results else cursor
