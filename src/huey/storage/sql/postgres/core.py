"""How the parts of the PostgreSQL storage speak to the server, and what happens when it fails."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from huey.exceptions import ConfigurationError, StorageError, UnknownOutcome
from huey.storage.delivery import LosslessStorage
from huey.storage.drivers import require
from huey.storage.sql.postgres.connections import Connections, Opener, flush
from huey.storage.sql.postgres.errors import ConnectionLost, may_try_again, translate
from huey.storage.sql.postgres.schema import Names, create_tables

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

    from huey.storage.base import Key

logger = logging.getLogger("huey.storage")

T = TypeVar("T")
Row = tuple[Any, ...]

#: The server's clock in epoch seconds, in every statement that asks for the time.
CLOCK = "extract(epoch FROM clock_timestamp())::float8"
#: The planner knows tables as they were some minutes ago, and a queue may have grown from nothing
#: since; every statement of ours has an index that fits. A client that vanished in the middle of a
#: transaction must not hold its locks for hours.
SESSION = """
SELECT set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
  set_config('enable_sort', 'off', false), set_config('jit', 'off', false),
  set_config('plan_cache_mode', 'force_generic_plan', false),
  set_config('idle_in_transaction_session_timeout', '30s', false)
"""
#: How often a statement is tried again before the caller learns of it.
TRIES = 4
#: Creating a table failed because somebody without our advisory lock created it just now.
_CREATED_BY_OTHERS = frozenset({"23505", "42P07", "42710", "XX000"})


class PostgresCore(LosslessStorage):
    """Connections, retries and names; the parts of the storage are built on it."""

    def __init__(
        self,
        name: str,
        opener: Opener,
        table_prefix: str,
        create_tables: bool,
        utc: bool,
        **storage_kwargs: Any,
    ) -> None:
        super().__init__(name, **storage_kwargs)
        self.utc = utc
        self._names = Names(name, table_prefix)
        self._connections = Connections(self._open)
        self._opener = opener
        self._tables_are_checked = not create_tables
        self._checking = threading.Lock()
        #: Whether a pooler stands between, so that nothing may be tied to a session.
        self._pooled: bool | None = None
        self._cursor = _cursor_of_tuples()
        self._base = {
            "queue": name,
            "channel": self._names.channel,
            "results_channel": self._names.results_channel,
        }

    # ── connections ────────────────────────────────────────────────────────────────────────────

    def _open(self) -> Connection[TupleRow]:
        connection = self._opener()
        try:
            with self._translated(connection):
                self._look_for_pooler(connection)
                if self._pooled:
                    connection.prepare_threshold = None
                else:
                    connection.execute(SESSION)
            self._check_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _look_for_pooler(self, connection: Connection[TupleRow]) -> None:
        if self._pooled is None:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            # A pooler answers with a pid of its own making: it serves many from one backend.
            self._pooled = row != (connection.info.backend_pid,)
            if self._pooled:
                logger.info(
                    "A connection pooler stands before PostgreSQL: LISTEN and prepared statements "
                    "do not work through it, so queue %s is polled.",
                    self.name,
                )

    def _check_tables(self, connection: Connection[TupleRow]) -> None:
        if self._tables_are_checked:
            return
        with self._checking:
            if not self._tables_are_checked:
                self._create_tables(connection)
                self._tables_are_checked = True

    def _create_tables(self, connection: Connection[TupleRow]) -> None:
        import psycopg

        for left in reversed(range(TRIES)):
            try:
                create_tables(connection, self._names)
                return
            except psycopg.Error as error:
                passes = error.sqlstate in _CREATED_BY_OTHERS or may_try_again(error)
                if not passes or not left:
                    raise translate(error, connection) from error
            time.sleep(random.uniform(0.01, 0.1))

    def initialize_schema(self) -> None:
        """Create the tables that are missing."""
        with self._connections.lend() as connection:
            self._create_tables(connection)

    # ── statements ─────────────────────────────────────────────────────────────────────────────

    def _all(self, template: str, *, again: bool = True, **parameters: Any) -> list[Row]:
        """Run one statement and give its rows.

        Args:
            template: the statement, with ``{p}`` for the prefix of the tables.
            again: whether it may be repeated when its reply was lost.
            parameters: in addition to ``queue``, ``channel`` and ``results_channel``.

        Raises:
            ConnectionLost: the reply was lost.
            StorageError: the server cannot be reached, or refused.
        """
        return self._run(lambda c: self._do(c, template, **parameters).fetchall(), again=again)

    def _count(self, template: str, *, again: bool = True, **parameters: Any) -> int:
        """Run one statement and tell how many rows it touched."""
        return self._run(lambda c: self._do(c, template, **parameters).rowcount, again=again)

    def _do(
        self, connection: Connection[TupleRow], template: str, **parameters: Any
    ) -> Cursor[TupleRow]:
        # Not connection.execute(): the caller's own connection may make other rows and cursors.
        cursor = self._cursor(connection)
        cursor.execute(self._names.render(template), self._base | parameters, binary=True)
        flush(connection)
        return cursor

    def _run(
        self,
        work: Callable[[Connection[TupleRow]], T],
        *,
        again: bool = True,
        urgent: bool = False,
    ) -> T:
        """Do some work on a connection of our own; see `_all`."""
        for left in reversed(range(TRIES)):
            try:
                with self._connections.lend(urgent) as connection:
                    return self._work(work, connection)
            except ConnectionLost:
                if not left or not again:
                    raise
            except StorageError as error:
                if not left or not _was_rolled_back(error):
                    raise
                # Who collided should not collide again.
                time.sleep(random.uniform(0.0, 0.02))
        raise AssertionError("the last try returns or raises")

    def _work(
        self, work: Callable[[Connection[TupleRow]], T], connection: Connection[TupleRow]
    ) -> T:
        try:
            with self._translated(connection):
                return work(connection)
        except ConnectionLost:
            connection.close()
            raise

    @contextlib.contextmanager
    def _translated(self, connection: Connection[Any]) -> Iterator[None]:
        """Translate the driver's errors."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise translate(error, connection) from error

    @contextlib.contextmanager
    def _burst(self, connection: Connection[Any]) -> Iterator[Callable[[], object]]:
        """Send statements without waiting for each reply; gives what ends a transaction."""
        from psycopg import Pipeline

        if Pipeline.is_supported():
            with connection.pipeline() as pipeline:
                yield pipeline.sync
        else:
            # libpq before 14: one round trip each, and each its own transaction.
            yield lambda: None

    # ── small things ───────────────────────────────────────────────────────────────────────────

    def now(self) -> float:
        """Read the server's clock, in epoch seconds."""
        [(now,)] = self._all(f"SELECT {CLOCK}")
        return float(now)


def text_of(key: Key) -> str:
    """Give a key as text."""
    return key.decode() if isinstance(key, bytes) else key


def storable(text: str) -> str:
    """Make any text fit for a text column: NUL and lone surrogates are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def columns(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> Mapping[str, list[Any]]:
    """Turn rows into one list per column, as ``unnest`` takes them."""
    turned = zip(*rows, strict=True) if rows else ([] for _ in names)
    return {name: list(column) for name, column in zip(names, turned, strict=True)}


def _was_rolled_back(error: StorageError) -> bool:
    cause = error.__cause__
    return not isinstance(error, UnknownOutcome) and cause is not None and may_try_again(cause)  # type: ignore[arg-type]


def _cursor_of_tuples() -> Callable[[Connection[Any]], Cursor[TupleRow]]:
    from psycopg import Cursor
    from psycopg.rows import tuple_row

    return partial(Cursor, row_factory=tuple_row)


def require_psycopg() -> None:
    """Check the driver.

    Raises:
        ConfigurationError: psycopg 3.2 or later is not installed.
    """
    found = require("psycopg", extra="postgres", purpose="PostgresStorage").__version__
    if tuple(int(part) for part in found.split(".")[:2]) < (3, 2):
        raise ConfigurationError(
            f"PostgresStorage needs psycopg 3.2 or later, found {found}: "
            'run pip install --upgrade "huey[postgres]".'
        )
