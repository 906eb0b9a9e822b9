"""Transactions that are done exactly once, even when the reply to their commit is lost.

Each signs a row of its connection with a number. If the connection breaks while it is committed,
the row tells what became of it. (The server's own numbers do not: after a crash it gives the one
of a transaction that it had not written down yet to another.)
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import uuid4

from huey.exceptions import HueyException, StorageError
from huey.storage.sql.postgres.core import CLOCK, TRIES, PostgresCore, logger
from huey.storage.sql.postgres.errors import ConnectionLost, InDoubt

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

T = TypeVar("T")

SIGN = f"""
INSERT INTO {{p}}_writer (id, last, seen) VALUES (%(writer)s, %(number)s, {CLOCK})
ON CONFLICT (id) DO UPDATE SET last = excluded.last, seen = excluded.seen
"""
#: Waits until the transaction in question is over, since that one has locked the row.
WITNESS = f"""
INSERT INTO {{p}}_writer AS w (id, last, seen) VALUES (%(writer)s, 0, {CLOCK})
ON CONFLICT (id) DO UPDATE SET seen = excluded.seen RETURNING last
"""


class Signature(NamedTuple):
    """What a transaction writes into the row of its connection."""

    writer: str
    number: int


class Ticket:
    """Says how far a transaction has come, for the case that its connection breaks."""

    def __init__(self) -> None:
        #: None while nothing was sent.
        self.signature: Signature | None = None
        #: Whether COMMIT may have been sent.
        self.committing = False
        self.result: Any = None
        self._commit: Cursor[Any] | None = None

    def commit(self, connection: Connection[Any]) -> None:
        """Commit; the result has to be noted by then."""
        self.committing = True
        self._commit = connection.execute("COMMIT")

    @property
    def is_committed(self) -> bool:
        """Whether the server has confirmed the commit, whatever went wrong after it."""
        return self._commit is not None and self._commit.statusmessage == "COMMIT"


class PostgresCertainty(PostgresCore):
    """Transactions whose fate can be learned."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._numbers = count(1)
        #: The id of the row of each connection, so that no two transactions wait for one row.
        self._writers: weakref.WeakKeyDictionary[Connection[Any], str] = weakref.WeakKeyDictionary()

    def _certain(self, work: Callable[[Connection[TupleRow], Ticket], T]) -> T:
        """Do a transaction exactly once.

        Args:
            work: calls `_begin` and waits for a reply; later notes its result in the ticket, and
                commits with it.

        Raises:
            InDoubt: the server cannot be asked yet whether the transaction was committed.
            StorageError: it was not done.
        """
        for left in reversed(range(TRIES)):
            ticket = Ticket()
            try:
                return self._run(lambda c, t=ticket: work(c, t), again=False)  # type: ignore[misc]
            except HueyException as error:
                if ticket.committing and self._was_committed(ticket, error):
                    result: T = ticket.result
                    return result
                if not left or not isinstance(error, ConnectionLost):
                    raise
        raise AssertionError("the last try returns or raises")

    def _begin(self, connection: Connection[TupleRow], ticket: Ticket) -> None:
        """Begin a transaction, and sign it."""
        writer = self._writers.setdefault(connection, uuid4().hex)
        ticket.signature = Signature(writer, next(self._numbers))
        # Each statement has to see what was committed while it waited for a lock.
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        self._do(connection, SIGN, **ticket.signature._asdict())

    def _was_committed(self, ticket: Ticket, error: HueyException) -> bool:
        if ticket.is_committed:
            # What came after only rings bells; who is not rung looks by himself.
            logger.warning("Queue %s was written, but not announced: %s", self.name, error)
            return True
        if not isinstance(error, ConnectionLost):
            return False
        assert ticket.signature is not None, "it was signed before it was committed"
        try:
            return self._is_written(ticket.signature)
        except StorageError as error:
            raise InDoubt(str(error), ticket.signature, ticket.result) from error

    def _is_written(self, signature: Signature) -> bool:
        """Tell whether a transaction was committed; it will not be any more if not."""

        def ask(connection: Connection[TupleRow]) -> bool:
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            connection.execute("SET LOCAL lock_timeout = '5s'")
            rows = self._do(connection, WITNESS, writer=signature.writer).fetchall()
            connection.execute("COMMIT")
            return rows == [(signature.number,)]

        return self._run(ask)
