"""Semaphores and rate limits in PostgreSQL, exact under contention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huey.storage.sql.postgres.certainty import Ticket
from huey.storage.sql.postgres.clockwork import PostgresClockwork
from huey.storage.sql.postgres.core import CLOCK

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

#: One at a time for each name, until the transaction ends: no session is needed, so that it works
#: through a pooler.
ONE_AT_A_TIME = """
SELECT pg_advisory_xact_lock(
  hashtextextended(%(table)s || chr(31) || %(queue)s || chr(31) || %(key)s, 0))
"""
TAKE_PLACE = f"""
WITH over AS (
  DELETE FROM {{p}}_place
  WHERE queue = %(queue)s AND key = %(key)s AND expires_at <= {CLOCK} AND member <> %(member)s
)
INSERT INTO {{p}}_place AS p (queue, key, member, expires_at, holder)
SELECT %(queue)s, %(key)s, %(member)s, {CLOCK} + %(ttl)s::float8, %(holder)s::text
WHERE (
  SELECT count(*) FROM {{p}}_place
  WHERE queue = %(queue)s AND key = %(key)s AND expires_at > {CLOCK} AND member <> %(member)s
) < %(limit)s
  OR EXISTS (
    SELECT FROM {{p}}_place
    WHERE queue = %(queue)s AND key = %(key)s AND member = %(member)s AND expires_at > {CLOCK})
ON CONFLICT (queue, key, member) DO UPDATE
SET expires_at = excluded.expires_at, holder = excluded.holder
RETURNING 1
"""
RENEW_PLACE = f"""
UPDATE {{p}}_place SET expires_at = {CLOCK} + %(ttl)s::float8
WHERE queue = %(queue)s AND key = %(key)s AND member = %(member)s AND expires_at > {CLOCK}
"""
LEAVE_PLACE = f"""
WITH gone AS (
  DELETE FROM {{p}}_place WHERE queue = %(queue)s AND key = %(key)s AND member = %(member)s
  RETURNING expires_at
)
SELECT 1 FROM gone WHERE expires_at > {CLOCK}
"""
#: The hits are kept in the counter of Huey 3.5.4, so that deleting the counter opens the window.
LOOK_AT_WINDOW = f"""
SELECT CASE WHEN w.number = t.number THEN coalesce(c.value, 0) ELSE 0 END,
  t.number, (t.number + 1) * %(per)s::float8 - t.now
FROM (SELECT now, floor(now / %(per)s::float8)::bigint AS number FROM (SELECT {CLOCK} AS now) AS n)
  AS t
LEFT JOIN {{p}}_window w ON w.queue = %(queue)s AND w.key = %(key)s
LEFT JOIN {{p}}_counter c ON c.queue = %(queue)s AND c.key = %(key)s
"""
COUNT_HIT = f"""
WITH hit AS (
  INSERT INTO {{p}}_counter (queue, key, value) VALUES (%(queue)s, %(key)s, %(hits)s)
  ON CONFLICT (queue, key) DO UPDATE SET value = excluded.value
)
INSERT INTO {{p}}_window (queue, key, number, ends_at)
VALUES (%(queue)s, %(key)s, %(number)s, {CLOCK} + %(left)s::float8)
ON CONFLICT (queue, key) DO UPDATE SET number = excluded.number, ends_at = excluded.ends_at
"""


class PostgresGuards(PostgresClockwork):
    """What stands before task code."""

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds."""

        def acquire(connection: Connection[TupleRow]) -> bool:
            with self._burst(connection):
                connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                self._alone(connection, "place", key)
                cursor = self._do(
                    connection,
                    TAKE_PLACE,
                    key=key,
                    member=member,
                    limit=limit,
                    ttl=ttl,
                    holder=holder,
                )
                connection.execute("COMMIT")
            return bool(cursor.fetchall())

        return self._run(acquire)

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        return self._count(RENEW_PLACE, key=key, member=member, ttl=ttl) > 0

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        return bool(self._all(LEAVE_PLACE, again=False, key=key, member=member))

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds."""
        if not amount:
            [(hits, _, left)] = self._all(LOOK_AT_WINDOW, key=key, per=per)
            return int(hits), float(left)

        def hit(connection: Connection[TupleRow], ticket: Ticket) -> tuple[int, float]:
            with self._burst(connection):
                self._begin(connection, ticket)
                self._alone(connection, "window", key)
                cursor = self._do(connection, LOOK_AT_WINDOW, key=key, per=per)
                [(before, window, left)] = cursor.fetchall()
            hits = int(before) + amount
            ticket.result = hits, float(left)
            with self._burst(connection):
                if hits <= limit:
                    self._do(connection, COUNT_HIT, key=key, hits=hits, number=window, left=left)
                ticket.commit(connection)
            return hits, float(left)

        return self._certain(hit)

    def _alone(self, connection: Connection[TupleRow], table: str, key: str) -> None:
        """Wait until nobody else works on this name."""
        self._do(connection, ONE_AT_A_TIME, table=self._names.table(table), key=key)
