"""Connections to one database file: one that writes, some that read, and what keeps them honest."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from huey.storage.bells import Bells
from huey.storage.delivery import LosslessStorage
from huey.storage.sql import BaseSqlStorage
from huey.storage.sql.sqlite import forking, schema
from huey.storage.sql.sqlite.errors import SqliteFailure, explained
from huey.storage.sql.sqlite.filesystem import remote_kind
from huey.storage.sql.sqlite.forking import within_sqlite
from huey.storage.sql.sqlite.gate import Gate

T = TypeVar("T")

logger = logging.getLogger("huey.storage")

#: Pages after which a commit moves the log into the database. Each sync of a log that grows costs
#: about twice that of one whose space is used again, so it shall reach its size soon: this is
#: the default of SQLite.
_CHECKPOINT_PAGES = 1000
#: The log is kept for reuse, as long as it is not larger than this, in bytes: four checkpoints.
_LOG_LIMIT = 64 * 1024 * 1024
_MAX_IDLE_READERS = 8
#: How often a lock error is met while the journal mode is switched, in seconds: SQLite does not
#: wait for locks there.
_SWITCH_INTERVAL = 0.01
_OFF, _NORMAL, _FULL = 0, 1, 2


class SqliteConnecting(BaseSqlStorage, LosslessStorage):
    """Opens, checks, lends and drops connections.

    Args:
        name: the queue; several queues may share one file.
        filename: the database, made if it is missing; ``:memory:`` lives in this object only.
        cache_mb: page cache of each connection, in megabytes.
        fsync: True and None sync accepted messages and settlements to the disk; False never syncs,
            so that a power cut takes the last ones back.
        journal_mode: None leaves it as the file has it.
        timeout: how long to wait for other writers, in seconds.
        strict_fifo: never use an id of a message again; only for a new database.
        create_tables: make missing tables now.
        utc: whether naive datetimes of the classic schedule methods are UTC, or local time.
        kwargs: for ``sqlite3.connect``.

    Raises:
        ConfigurationError: the file cannot be opened or belongs to something else.
    """

    begin_sql: ClassVar[str] = "BEGIN IMMEDIATE"
    #: What the driver raises.
    driver_errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    #: Settings of each connection, beyond the ones of the constructor.
    _pragmas: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        name: str = "huey",
        filename: str | os.PathLike[str] = "huey.db",
        cache_mb: float | None = 8,
        fsync: bool | None = None,
        journal_mode: str | None = "wal",
        timeout: float = 5,
        strict_fifo: bool = False,
        create_tables: bool = True,
        *,
        utc: bool = True,
        **kwargs: Any,
    ) -> None:
        self.filename = os.fspath(filename)
        self._target, path = _located(self.filename, bool(kwargs.get("uri")))
        self._in_memory, self._path = path is None, path or self.filename
        self._cache_mb, self._fsync, self._journal_mode = cache_mb, fsync, journal_mode
        self._timeout, self._strict_fifo, self._utc = timeout, strict_fifo, utc
        self._connect_options = kwargs
        self._create_tables = create_tables
        self._durable = self._relaxed = self._sync = _FULL
        self._readers: list[Any] = []
        #: Device and inode of the file that the connections belong to.
        self._identity: tuple[int, int] | None = None
        directory = None if self._in_memory else Path(f"{self._path}-bells")
        self._bells = Bells(directory)
        self._gate = Gate(directory and directory / "gate")
        super().__init__(name, create_tables=create_tables)
        forking.register(self)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # half built, or at the end of the interpreter
            self.close()

    # ── opening ────────────────────────────────────────────────────────────────────────────────

    def _connect(self) -> Any:
        return sqlite3.connect(
            self._target,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            **self._connect_options,
        )

    def _create_connection(self) -> Any:
        """Open the connection that writes."""
        with within_sqlite:
            return self._create_writer()

    def _create_writer(self) -> Any:
        conn = self._open()
        (self._durable,) = conn.execute("PRAGMA synchronous").fetchone()
        (mode,) = conn.execute("PRAGMA journal_mode").fetchone()
        # With a write-ahead log, a commit that is not synced may be taken back by a power cut, but
        # never out of order, and the next synced commit secures it: good enough for claims,
        # heartbeats and promotions. With a rollback journal it could damage the database.
        self._relaxed = min(self._durable, _NORMAL) if mode == "wal" else self._durable
        self._sync = self._durable
        if self._in_memory and self._create_tables:
            self._make_tables(conn)  # a database of this kind ends with its connection
        return conn

    def _open(self) -> Any:
        try:
            with within_sqlite:
                conn = self._connect()
                try:
                    self._set_up(conn)
                except BaseException:
                    conn.close()
                    raise
        except self.driver_errors as exc:
            raise explained(exc, self.filename, opening=True) from exc
        self._identity = self._identify()
        return conn

    def _set_up(self, conn: Any) -> None:
        for name, value in self._pragmas.items():
            conn.execute(f"PRAGMA {name} = {value}")
        if self._cache_mb is not None:
            conn.execute(f"PRAGMA cache_size = {int(-1000 * self._cache_mb)}")
        if self._journal_mode:
            self._switch_journal(conn, self._journal_mode)
        if self._fsync is not None:
            conn.execute(f"PRAGMA synchronous = {_FULL if self._fsync else _OFF}")
        conn.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        conn.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT}")

    def _switch_journal(self, conn: Any, mode: str) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                conn.execute(f"PRAGMA journal_mode = {mode}")
                return
            except self.driver_errors as exc:
                if "locked" not in str(exc) or time.monotonic() > deadline:
                    raise
            time.sleep(_SWITCH_INTERVAL)

    def initialize_schema(self) -> None:
        """Make the tables where they are missing; a temporary connection is closed again."""
        with self._lock:
            conn = self.conn
            try:
                self._make_tables(conn)
            finally:
                self._drop_writer()

    def _make_tables(self, conn: Any) -> None:
        try:
            with within_sqlite:
                schema.check(conn, self.filename)
                if not schema.is_complete(conn):
                    conn.execute(self.begin_sql)
                    for statement in schema.statements(self._strict_fifo):
                        conn.execute(statement)
                    conn.execute("COMMIT")
        except self.driver_errors as exc:
            raise explained(exc, self.filename, opening=True) from exc
        finally:
            self._leave_transaction(conn)

    def check(self) -> list[str]:
        """Say what endangers a queue in this file; one line for the operator each."""
        if self._in_memory:
            return ["The SQLite database is in memory: it ends with this process."]
        found = []
        kind = remote_kind(self._path)
        if kind is not None:
            found.append(
                f"SQLite database {self._path} is on a network file system ({kind}): processes on "
                "different machines would damage it; move it to a local disk."
            )
        if self._fsync is False:
            found.append(
                f"SQLite database {self._path} is used with fsync=False: a power cut takes back "
                "the last messages and results."
            )
        return found

    # ── writing ────────────────────────────────────────────────────────────────────────────────

    def _write(self, work: Callable[[Any], T], durable: bool = True) -> T:
        """Do something in one transaction: all of it or nothing.

        Args:
            work: gets the connection.
            durable: whether the disk has to confirm it, if the application wants that at all.

        Raises:
            SqliteFailure: nothing was written.
        """
        with self._lock:
            conn = self._writer(durable)
            try:
                self._enter()
                with within_sqlite:
                    conn.execute("BEGIN IMMEDIATE")
                    result = work(conn)
                    conn.execute("COMMIT")
            except self.driver_errors as exc:
                self._leave_transaction(conn)
                self._drop_writer()
                raise explained(exc, self.filename) from exc
            except BaseException:
                self._leave_transaction(conn)
                raise
            finally:
                self._gate.leave()
            return result

    def _write_one(self, statement: str, params: Sequence[Any], durable: bool = True) -> int:
        """Run one statement, which is a transaction by itself; returns how many rows changed."""
        with self._lock:
            conn = self._writer(durable)
            try:
                self._enter()
                with within_sqlite:
                    changed: int = conn.execute(statement, params).rowcount
            except self.driver_errors as exc:
                self._leave_transaction(conn)
                self._drop_writer()
                raise explained(exc, self.filename) from exc
            finally:
                self._gate.leave()
            return changed

    def _writer(self, durable: bool) -> Any:
        """Get the connection that writes, in the right mode."""
        self._check_identity()
        conn = self.conn
        sync = self._durable if durable else self._relaxed
        if sync != self._sync:
            with within_sqlite:
                conn.execute(f"PRAGMA synchronous = {sync}")
            self._sync = sync
        return conn

    def _enter(self) -> None:
        if not self._gate.enter(self._timeout):
            raise SqliteFailure(
                f"SQLite database {self.filename!r}: other processes have kept it locked for "
                f"{self._timeout:g} s: end long transactions, or raise timeout."
            )

    def _leave_transaction(self, conn: Any) -> None:
        if conn.in_transaction:
            with contextlib.suppress(*self.driver_errors), within_sqlite:
                conn.execute("ROLLBACK")

    def _drop_writer(self) -> None:
        """Close the writer: after an error nobody knows what state it is in."""
        if self._in_memory:
            return  # the data live in this very connection
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(*self.driver_errors), within_sqlite:
                conn.close()

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def _read(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query, without waiting for anybody who writes."""
        if self._in_memory:
            with self._lock:
                return self._rows(self.conn, query, params)
        self._check_identity()
        try:
            conn = self._readers.pop()
        except IndexError:
            conn = self._open()
        try:
            rows = self._rows(conn, query, params)
        except BaseException:
            with within_sqlite:
                conn.close()
            raise
        if len(self._readers) < _MAX_IDLE_READERS:
            self._readers.append(conn)
        else:
            with within_sqlite:
                conn.close()
        return rows

    def _rows(self, conn: Any, query: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            with within_sqlite:
                rows: list[tuple[Any, ...]] = conn.execute(query, params).fetchall()
        except self.driver_errors as exc:
            raise explained(exc, self.filename) from exc
        return rows

    # ── the file ───────────────────────────────────────────────────────────────────────────────

    def _identify(self) -> tuple[int, int] | None:
        if self._in_memory:
            return None
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_identity(self) -> None:
        """Reopen if the file was replaced: what is written to a deleted one is lost."""
        if self._identity is None or self._identify() == self._identity:
            return
        with self._lock:
            if self._identify() == self._identity:
                return
            logger.warning(
                "The database file %s was deleted or replaced: opening it anew.", self._path
            )
            self.close()
            self._identity = None
            if self._create_tables:
                self.initialize_schema()

    def close(self) -> bool:
        """Close all connections; False if none was open. They are reopened when needed."""
        with self._lock, within_sqlite:
            if self._conn is not None:
                self._leave_transaction(self._conn)
            closed = super().close()
            while self._readers:
                self._readers.pop().close()
                closed = True
            self._gate.close()
        return closed

    def _disown(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""
        forking.keep_for_ever([conn for conn in (self._conn, *self._readers) if conn is not None])
        self._conn, self._readers = None, []
        self._lock = threading.RLock()
        self._gate.close()


def _located(filename: str, is_uri: bool) -> tuple[str, str | None]:
    """Tell what to open, and the path of the file; None if there is no file."""
    if filename == ":memory:" or not filename:
        return filename, None
    if is_uri and filename.startswith("file:"):
        parts = urllib.parse.urlsplit(filename)
        path = urllib.parse.unquote(parts.path)
        in_memory = path == ":memory:" or "mode=memory" in parts.query
        return filename, None if in_memory else os.path.abspath(path)
    # Absolute: the process may change its directory, as daemons do.
    path = os.path.abspath(filename)
    return path, path
