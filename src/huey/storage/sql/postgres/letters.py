"""Dead letters in PostgreSQL, and the removal of what nobody needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey.storage.delivery import DeadLetter
from huey.storage.sql.postgres.certainty import Ticket
from huey.storage.sql.postgres.core import CLOCK
from huey.storage.sql.postgres.guards import PostgresGuards

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

LETTERS = """
SELECT data, cause, detail, died_at, id::text FROM {p}_dead WHERE queue = %(queue)s
ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
REPLAY = """
WITH letter AS (
  DELETE FROM {p}_dead WHERE queue = %(queue)s AND id = %(id)s RETURNING data
), marks AS (
  DELETE FROM {p}_mark
  WHERE queue = %(queue)s AND digest = ANY (ARRAY(SELECT sha256(data) FROM letter))
)
INSERT INTO {p}_task (queue, data, priority) SELECT %(queue)s, data, %(priority)s FROM letter
"""
DELETE_LETTER = "DELETE FROM {p}_dead WHERE queue = %(queue)s AND id = %(id)s"
#: Each removes some hundred entries at most, and steps around what somebody else is working on.
SWEEPS = (
    """
DELETE FROM {p}_dead WHERE id = ANY (ARRAY(
  SELECT id FROM {p}_dead WHERE queue = %(queue)s AND id <= (
    SELECT id FROM {p}_dead WHERE queue = %(queue)s ORDER BY id DESC OFFSET %(max_dead)s LIMIT 1)
  ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED))
""",
    f"""
DELETE FROM {{p}}_dead WHERE id = ANY (ARRAY(
  SELECT id FROM {{p}}_dead WHERE queue = %(queue)s
  AND died_at < {CLOCK} - %(max_dead_age)s::float8
  ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED))
""",
    f"""
DELETE FROM {{p}}_mark WHERE queue = %(queue)s AND digest = ANY (ARRAY(
  SELECT digest FROM {{p}}_mark WHERE queue = %(queue)s
  AND touched < {CLOCK} - %(max_mark_age)s::float8
  ORDER BY digest LIMIT 500 FOR UPDATE SKIP LOCKED))
""",
    f"""
DELETE FROM {{p}}_kv WHERE queue = %(queue)s AND key = ANY (ARRAY(
  SELECT k.key FROM {{p}}_kv k JOIN {{p}}_lease l USING (queue, key)
  WHERE k.queue = %(queue)s AND l.expires_at <= {CLOCK} AND l.value = k.value
  ORDER BY k.key LIMIT 500 FOR UPDATE OF k SKIP LOCKED))
""",
)
#: What these remove was gone already for everybody who looked; it does not count.
TIDYINGS = (
    # Also leases of entries that Huey 3.5.4 removed, or put another value in.
    f"""
DELETE FROM {{p}}_lease WHERE queue = %(queue)s AND key = ANY (ARRAY(
  SELECT l.key FROM {{p}}_lease l WHERE l.queue = %(queue)s AND l.expires_at <= {CLOCK}
  AND NOT EXISTS (
    SELECT FROM {{p}}_kv k WHERE k.queue = l.queue AND k.key = l.key AND k.value = l.value)
  ORDER BY l.key LIMIT 500 FOR UPDATE OF l SKIP LOCKED))
""",
    f"DELETE FROM {{p}}_place WHERE queue = %(queue)s AND expires_at <= {CLOCK}",
    f"DELETE FROM {{p}}_waiter WHERE queue = %(queue)s AND since < {CLOCK} - 60",
    # Of all queues; nobody asks after a day.
    f"DELETE FROM {{p}}_writer WHERE seen < {CLOCK} - 86400",
    f"""
WITH over AS (
  DELETE FROM {{p}}_window WHERE queue = %(queue)s AND ends_at <= {CLOCK} - 60 RETURNING key
)
DELETE FROM {{p}}_counter WHERE queue = %(queue)s AND key = ANY (ARRAY(SELECT key FROM over))
""",
)


class PostgresLetters(PostgresGuards):
    """Dead letters, and sweeping."""

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List dead letters, the newest first."""
        return [DeadLetter(*row) for row in self._all(LETTERS, limit=limit, offset=offset)]

    def dead_count(self) -> int:
        """Count the dead letters."""
        [(count,)] = self._all("SELECT count(*) FROM {p}_dead WHERE queue = %(queue)s")
        return int(count)

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Move a dead letter back to the queue, its marks forgotten."""
        if not key.isdecimal():
            return False

        def move(connection: Connection[TupleRow], ticket: Ticket) -> bool:
            with self._burst(connection):
                self._begin(connection, ticket)
                cursor = self._do(connection, REPLAY, id=int(key), priority=float(priority or 0))
            ticket.result = cursor.rowcount > 0
            with self._burst(connection):
                ticket.commit(connection)
                self._ring(connection, int(ticket.result))
            return bool(ticket.result)

        return self._certain(move)

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        return key.isdecimal() and self._count(DELETE_LETTER, id=int(key)) > 0

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove old dead letters, old marks and expired entries."""
        limits: dict[str, Any] = {
            "max_dead": max_dead,
            "max_dead_age": float(max_dead_age),
            "max_mark_age": float(max_mark_age),
        }
        removed = sum(self._count(statement, **limits) for statement in SWEEPS)
        for statement in TIDYINGS:
            self._count(statement)
        return removed
