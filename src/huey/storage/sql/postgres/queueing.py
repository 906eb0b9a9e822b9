"""The queue and the schedule in PostgreSQL: put messages in, list them, take them out for good."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from huey.exceptions import UnknownOutcome
from huey.storage.delivery import Outgoing
from huey.storage.sql.filing import filed
from huey.storage.sql.postgres.borrowed import borrow
from huey.storage.sql.postgres.certainty import Ticket
from huey.storage.sql.postgres.core import CLOCK, columns
from huey.storage.sql.postgres.errors import ConnectionLost
from huey.storage.sql.postgres.reservations import Decision, decide
from huey.storage.sql.postgres.values import PostgresValues
from huey.timing import to_epoch

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

PUSH = """
INSERT INTO {p}_task (queue, data, priority)
SELECT %(queue)s, data, priority
FROM unnest(%(data)b::bytea[], %(priority)b::float8[]) WITH ORDINALITY AS m (data, priority, n)
ORDER BY n
"""
FILE = """
INSERT INTO {p}_schedule (queue, data, timestamp)
SELECT %(queue)s, data, due
FROM unnest(%(data)b::bytea[], %(due)b::float8[]) WITH ORDINALITY AS m (data, due, n)
ORDER BY n
"""
MARK_ATTEMPTS = f"""
INSERT INTO {{p}}_mark (queue, digest, attempt, touched)
SELECT %(queue)s, sha256(data), max(attempt), {CLOCK}
FROM unnest(%(data)b::bytea[], %(attempt)b::bigint[]) AS m (data, attempt)
GROUP BY 2 ORDER BY 2
ON CONFLICT (queue, digest) DO UPDATE
SET attempt = excluded.attempt, crashes_alone = 0, crashes_in_company = 0, cause = NULL,
    touched = excluded.touched
"""
#: Rings as many waiting consumers as there are messages, those first that began to wait last:
#: they are the surest to be alive. A consumer that was killed is not rung for long.
RING = f"""
WITH chosen AS MATERIALIZED (
  SELECT id FROM {{p}}_waiter
  WHERE queue = %(queue)s AND kind = 'consumer' AND since > {CLOCK} - 3
  ORDER BY since DESC LIMIT %(messages)s FOR UPDATE SKIP LOCKED
), rung AS (
  DELETE FROM {{p}}_waiter
  WHERE queue = %(queue)s AND id = ANY (ARRAY(SELECT id FROM chosen)) RETURNING id
)
SELECT pg_notify(%(channel)s, id) FROM rung
UNION ALL SELECT pg_notify(%(channel)s, '-') WHERE %(foreign)s
"""
#: Inside of somebody's transaction nobody can know who will be waiting when it is committed.
RING_ALL = "SELECT pg_notify(%(channel)s, '')"
#: Takes free places, and locks all of them; tells what stands in each.
RESERVE = f"""
INSERT INTO {{p}}_kv AS k (queue, key, value)
SELECT %(queue)s, key, value FROM unnest(%(key)b::text[], %(value)b::bytea[]) AS w (key, value)
ORDER BY key
ON CONFLICT (queue, key) DO UPDATE SET value = k.value
RETURNING key, value, EXISTS (
  SELECT FROM {{p}}_lease l WHERE l.queue = k.queue AND l.key = k.key AND l.value = k.value
  AND l.expires_at <= {CLOCK})
"""
#: ``= ANY (ARRAY(…))`` and not a join, here and elsewhere: whatever the planner believes about the
#: size of a table that fills and empties all day, it takes the index.
POP = """
DELETE FROM {p}_task WHERE id = ANY (ARRAY(
  SELECT id FROM {p}_task WHERE queue = %(queue)s
  ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)) RETURNING data
"""
READ_SCHEDULE = """
WITH gone AS (
  DELETE FROM {p}_schedule WHERE id = ANY (ARRAY(
    SELECT id FROM {p}_schedule WHERE queue = %(queue)s AND timestamp <= %(until)s
    ORDER BY id FOR UPDATE SKIP LOCKED))
  RETURNING data, timestamp, id
)
SELECT data FROM gone ORDER BY timestamp, id
"""

#: Ring at most so many consumers for one batch: the first ones take all of it anyway.
_RING_LIMIT = 16
#: Consumers of Huey 3.5.4 do not sign up for a ring, so they are told at most so often, in seconds;
#: they look by themselves once a second.
_FOREIGN_RING = 0.05


class PostgresQueueing(PostgresValues):
    """Enqueue and schedule; needs: values, for reservations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._foreigners_rung = 0.0

    # ── enqueue ────────────────────────────────────────────────────────────────────────────────

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message."""
        self.enqueue_many([Outgoing(data, priority)])

    def enqueue_many(
        self, messages: Sequence[Outgoing], *, connection: object = None
    ) -> list[str | None]:
        """Accept any number of messages, atomically, in one round trip (two with reservations).

        Args:
            messages: what to accept.
            connection: the caller's own connection: one of psycopg, Django or SQLAlchemy (or a
                session of it). The messages are then part of the caller's transaction, and
                consumers see them when it is committed.

        Raises:
            UnknownOutcome: the reply was lost; the messages may have been accepted.
            ConfigurationError: ``connection`` is no connection to PostgreSQL by psycopg 3.
        """
        if not messages:
            return []
        if connection is not None:
            return self._enqueue_inside(borrow(connection), messages)
        if any(message.reservation for message in messages):
            return self._certain(lambda c, ticket: self._enqueue_reserving(c, ticket, messages))
        try:
            self._run(lambda c: self._enqueue_at_once(c, messages), again=False)
        except ConnectionLost as error:
            raise UnknownOutcome(
                f"The reply to an enqueue was lost, so {len(messages)} task(s) may or may not be "
                f"in queue {self.name}: {error}"
            ) from error
        return [None] * len(messages)

    def _enqueue_at_once(
        self, connection: Connection[TupleRow], messages: Sequence[Outgoing]
    ) -> None:
        import psycopg

        writes = self._writes_of(messages)
        last: Cursor[Any] | None = None
        try:
            with self._burst(connection) as end:
                if len(writes) > 1:
                    connection.execute("BEGIN")
                for template, parameters in writes:
                    last = self._do(connection, template, **parameters)
                if len(writes) > 1:
                    last = connection.execute("COMMIT")
                end()
                self._ring(connection, count_ready(messages))
        except psycopg.Error as error:
            if last is None or last.statusmessage is None:
                raise
            # Not the messages failed, but the announcement, or else the commit itself.
            raise UnknownOutcome(f"Tasks were written to queue {self.name}, but {error}") from error

    def _enqueue_reserving(
        self, connection: Connection[TupleRow], ticket: Ticket, messages: Sequence[Outgoing]
    ) -> list[str | None]:
        with self._burst(connection):
            self._begin(connection, ticket)
            rows = self._reserve(connection, messages)
        decision = decide(messages, rows)
        ticket.result = decision.standing
        with self._burst(connection):
            self._write_decision(connection, decision)
            ticket.commit(connection)
            self._ring(connection, count_ready(decision.accepted))
        return decision.standing

    def _enqueue_inside(
        self, connection: Connection[Any], messages: Sequence[Outgoing]
    ) -> list[str | None]:
        with self._translated(connection), _transaction_of(connection):
            decision = decide(messages, self._reserve(connection, messages))
            self._write_decision(connection, decision)
            if count_ready(decision.accepted):
                self._do(connection, RING_ALL)
        return decision.standing

    def _reserve(
        self, connection: Connection[Any], messages: Collection[Outgoing]
    ) -> dict[str, str | None]:
        """Lock the places that messages reserve; gives what stands in them."""
        wishes = [message.reservation for message in messages if message.reservation]
        if not wishes:
            return {}
        first = {wish.key: wish.value.encode() for wish in reversed(wishes)}
        cursor = self._do(connection, RESERVE, key=list(first), value=list(first.values()))
        return {key: None if over else value.decode() for key, value, over in cursor}

    def _write_decision(self, connection: Connection[Any], decision: Decision) -> None:
        values = {key: value.encode() for key, (value, _) in decision.taken.items()}
        ttls = {key: ttl for key, (_, ttl) in decision.taken.items() if ttl is not None}
        self._store(connection, values | decision.revoked, ttls)
        for template, parameters in self._writes_of(decision.accepted):
            self._do(connection, template, **parameters)

    def _writes_of(
        self, messages: Collection[Outgoing]
    ) -> list[tuple[str, Mapping[str, list[Any]]]]:
        """Give the statements that put messages where they belong."""
        writes = []
        ready = [(m.data, float(m.priority or 0)) for m in messages if m.due is None]
        if ready:
            writes.append((PUSH, columns(ready, ("data", "priority"))))
        scheduled = [(m.data, filed(m.due)) for m in messages if m.due is not None]
        if scheduled:
            writes.append((FILE, columns(scheduled, ("data", "due"))))
        marked = [(m.data, m.attempt) for m in messages if m.attempt != 1]
        if marked:
            writes.append((MARK_ATTEMPTS, columns(marked, ("data", "attempt"))))
        return writes

    def _ring(self, connection: Connection[Any], messages: int) -> None:
        """Wake consumers that wait; has to come after the commit, or one could be overlooked.

        Who begins to wait signs up first and looks at the queue then; we commit first and look who
        has signed up then. So at least one of the two sees the other.
        """
        if messages > 0:
            now = time.monotonic()
            foreign = now - self._foreigners_rung > _FOREIGN_RING
            if foreign:
                self._foreigners_rung = now
            self._do(connection, RING, messages=min(messages, _RING_LIMIT), foreign=foreign)

    # ── the classic methods ────────────────────────────────────────────────────────────────────

    def _pop(self) -> bytes | None:
        rows = self._all(POP, again=False)
        return rows[0][0] if rows else None

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        [(size,)] = self._all("SELECT count(*) FROM {p}_task WHERE queue = %(queue)s")
        return int(size)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages in the order in which they would be dequeued."""
        return self._listed(
            "SELECT data FROM {p}_task WHERE queue = %(queue)s ORDER BY priority DESC, id "
            "LIMIT %(limit)s::bigint",
            limit=limit,
        )

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        self._count("DELETE FROM {p}_task WHERE queue = %(queue)s")

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, a naive datetime."""
        self.enqueue_many([Outgoing(data, due=to_epoch(ts, self.utc))])

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        until = filed(to_epoch(ts, self.utc))
        return self._listed(READ_SCHEDULE, again=False, until=until)

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        [(size,)] = self._all("SELECT count(*) FROM {p}_schedule WHERE queue = %(queue)s")
        return int(size)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first."""
        return self._listed(
            "SELECT data FROM {p}_schedule WHERE queue = %(queue)s ORDER BY timestamp, id "
            "LIMIT %(limit)s::bigint",
            limit=limit,
        )

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        self._count("DELETE FROM {p}_schedule WHERE queue = %(queue)s")

    def _listed(self, template: str, **parameters: Any) -> list[bytes]:
        return [data for (data,) in self._all(template, **parameters)]


def count_ready(messages: Collection[Outgoing]) -> int:
    """Count the messages that need no clock."""
    return sum(message.due is None for message in messages)


def _transaction_of(connection: Connection[Any]) -> contextlib.AbstractContextManager[object]:
    """Make sure of a transaction, without ending one that is the caller's."""
    from psycopg.pq import TransactionStatus

    idle = connection.info.transaction_status == TransactionStatus.IDLE
    return connection.transaction() if connection.autocommit and idle else contextlib.nullcontext()
