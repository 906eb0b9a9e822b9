"""How the parts of the PostgreSQL storage speak to the server, and what happens when it fails."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.delivery import LosslessStorage
from huey.storage.drivers import require
from huey.storage.sql.postgres.connections import Connections, Opener
from huey.storage.sql.postgres.errors import ConnectionLost, InDoubt, may_try_again, translate
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
#: How often a statement is tried again before the caller learns of it.
TRIES = 4
#: How long the fate of a transaction may stay unknown to the server itself, in seconds.
PATIENCE = 5.0
#: Creating a table failed because somebody without our advisory lock created it just now.
_CREATED_BY_OTHERS = frozenset({"23505", "42P07", "42710", "XX000"})


class Ticket:
    """Says how far a transaction has come, for the case that its connection breaks."""

    def __init__(self) -> None:
        #: The server's number of the transaction; None while there is none.
        self.number: int | None = None
        #: Whether COMMIT may have been sent.
        self.committing = False
        self.result: Any = None


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
        self._base = {
            "queue": name,
            "channel": self._names.channel,
            "results_channel": self._names.results_channel,
        }

    # ── connections ────────────────────────────────────────────────────────────────────────────

    def _open(self) -> Connection[TupleRow]:
        connection = self._opener()
        try:
            self._look_for_pooler(connection)
            self._check_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _look_for_pooler(self, connection: Connection[TupleRow]) -> None:
        if self._pooled is None:
            with self._translated(connection):
                row = connection.execute("SELECT pg_backend_pid()").fetchone()
            # A pooler answers with a pid of its own making: it serves many from one backend.
            self._pooled = row != (connection.info.backend_pid,)
            if self._pooled:
                logger.info(
                    "A connection pooler stands before PostgreSQL: LISTEN and prepared statements "
                    "do not work through it, so queue %s is polled.",
                    self.name,
                )
        if self._pooled:
            connection.prepare_threshold = None

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
                    raise translate(error, broken=connection.closed) from error
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
        return connection.execute(
            self._names.render(template), self._base | parameters, binary=True
        )

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
                with self._connections.lend(urgent) as connection, self._translated(connection):
                    return work(connection)
            except ConnectionLost:
                if not left or not again:
                    raise
            except StorageError as error:
                if not left or not _was_rolled_back(error):
                    raise
                # Who collided should not collide again.
                time.sleep(random.uniform(0.0, 0.02))
        raise AssertionError("the last try returns or raises")

    def _certain(self, work: Callable[[Connection[TupleRow], Ticket], T]) -> T:
        """Do a transaction exactly once, even if the connection breaks while it is committed.

        Args:
            work: notes the transaction's number and its result in the ticket before it commits.

        Raises:
            InDoubt: the server cannot be asked what became of it, or does not know.
        """
        for left in reversed(range(TRIES)):
            ticket = Ticket()
            try:
                return self._run(lambda c, t=ticket: work(c, t), again=False)  # type: ignore[misc]
            except ConnectionLost:
                if ticket.committing and self._was_committed(ticket):
                    result: T = ticket.result
                    return result
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _was_committed(self, ticket: Ticket) -> bool:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                status = self._fate(ticket.number)
            except StorageError as error:
                raise InDoubt(str(error), ticket.number, ticket.result) from error
            if status == "in progress" and time.monotonic() < deadline:
                time.sleep(0.02)
            elif status in ("committed", "aborted"):
                return status == "committed"
            else:
                raise InDoubt(f"the server calls it {status!r}.", ticket.number, ticket.result)

    def _fate(self, number: int | None) -> str | None:
        [(status,)] = self._all("SELECT txid_status(%(number)s::bigint)", number=number)
        return str(status) if status else None

    @contextlib.contextmanager
    def _translated(self, connection: Connection[Any]) -> Iterator[None]:
        """Translate the driver's errors."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise translate(error, broken=connection.closed) from error

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

    def _begin(self, connection: Connection[Any]) -> Callable[[], int]:
        """Begin a transaction inside of a burst; gives what tells its number, after a reply."""
        # Each statement has to see what was committed while it waited for a lock.
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        cursor = connection.execute("SELECT txid_current()", binary=True)
        return lambda: int(cursor.fetchall()[0][0])

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
    return cause is not None and may_try_again(cause)  # type: ignore[arg-type]


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
