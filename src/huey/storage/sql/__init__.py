"""Storages in SQL databases, and what Huey's SQL storages have in common for who extends them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from huey.storage.base import BaseStorage


class BaseSqlStorage(BaseStorage):
    """One connection, shared by all threads under a lock, opened when it is needed.

    A subclass gives `_create_connection`, in autocommit mode, and `ddl`.

    Args:
        name: the queue.
        create_tables: whether the tables are made now, if they are missing.
        storage_kwargs: ignored.
    """

    #: Statements that make the tables and indexes, where they are missing.
    ddl: ClassVar[Sequence[str]] = ()
    #: What starts a transaction that writes.
    begin_sql: ClassVar[str] = "BEGIN"

    def __init__(
        self, name: str = "huey", create_tables: bool = True, **storage_kwargs: Any
    ) -> None:
        super().__init__(name, **storage_kwargs)
        self._lock = threading.RLock()
        self._conn: Any = None
        if create_tables:
            self.initialize_schema()

    @property
    def conn(self) -> Any:
        """The open connection; use it under the lock that `db` takes."""
        with self._lock:
            if self._conn is None:
                self._conn = self._create_connection()
            return self._conn

    def _create_connection(self) -> Any:
        raise NotImplementedError

    def close(self) -> bool:
        """Close the connection; False if none was open."""
        with self._lock:
            conn, self._conn = self._conn, None
        if conn is None:
            return False
        conn.close()
        return True

    def initialize_schema(self) -> None:
        """Make the tables where they are missing, and close the connection."""
        with self.db(commit=True, close=True) as cursor:
            for statement in self.ddl:
                cursor.execute(statement)

    @contextlib.contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[Any]:
        """Lend a cursor, to one thread at a time.

        Args:
            commit: run the block in one transaction; an error in it, or at its end, takes all back.
            close: close the connection afterwards.
        """
        with self._lock:
            cursor = self.conn.cursor()
            try:
                if commit:
                    cursor.execute(self.begin_sql)
                yield cursor
                if commit:
                    cursor.execute("COMMIT")
            except BaseException:
                # A transaction left open would keep its locks for ever.
                with contextlib.suppress(Exception):
                    if commit:
                        cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()
                if close:
                    self.close()

    def sql(
        self,
        query: str,
        params: Sequence[Any] | None = None,
        commit: bool = False,
        results: bool = False,
    ) -> Any:
        """Run one statement; returns all rows if ``results``."""
        with self.db(commit=commit) as cursor:
            cursor.execute(query, params or ())
            return cursor.fetchall() if results else None
