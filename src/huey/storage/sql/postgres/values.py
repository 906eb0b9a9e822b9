"""Key/value data, counters and locks in PostgreSQL; some entries end by themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.sql.postgres.certainty import PostgresCertainty, Ticket
from huey.storage.sql.postgres.core import CLOCK, text_of

if TYPE_CHECKING:
    from psycopg import Connection

#: Whether the entry ``k`` of kv has ended. A lease counts only for the value that it was written
#: for: Huey 3.5.4 knows no leases, and may have put another value there.
OVER = f"""EXISTS (
  SELECT FROM {{p}}_lease l WHERE l.queue = k.queue AND l.key = k.key AND l.value = k.value
  AND l.expires_at <= {CLOCK})"""
LIVE = f"FROM {{p}}_kv k WHERE k.queue = %(queue)s AND NOT {OVER}"
PUT = """
WITH leases AS (DELETE FROM {p}_lease WHERE queue = %(queue)s AND key = ANY (%(key)b::text[]))
INSERT INTO {p}_kv (queue, key, value)
SELECT %(queue)s, key, value FROM unnest(%(key)b::text[], %(value)b::bytea[]) AS v (key, value)
ORDER BY key
ON CONFLICT (queue, key) DO UPDATE SET value = excluded.value
"""
LEASE = f"""
INSERT INTO {{p}}_lease (queue, key, value, expires_at)
SELECT %(queue)s, key, value, {CLOCK} + ttl
FROM unnest(%(key)b::text[], %(value)b::bytea[], %(ttl)b::float8[]) AS v (key, value, ttl)
ORDER BY key
ON CONFLICT (queue, key) DO UPDATE
SET value = excluded.value, expires_at = excluded.expires_at, holder = NULL
"""
DROP = f"""
WITH dropped AS (
  DELETE FROM {{p}}_kv k WHERE queue = %(queue)s AND key = ANY (%(key)b::text[])
  RETURNING key, value, {OVER} AS over
), leases AS (DELETE FROM {{p}}_lease WHERE queue = %(queue)s AND key = ANY (%(key)b::text[]))
SELECT value FROM dropped WHERE NOT over
"""
#: Key and value in one text, to be looked for in a list.
PAIR = "key || chr(31) || encode(value, 'hex')"
DROP_IF = f"""
WITH dropped AS (
  DELETE FROM {{p}}_kv k WHERE queue = %(queue)s AND key = ANY (%(key)b::text[])
    AND {PAIR} = ANY (%(pair)b::text[])
  RETURNING k.key, {OVER} AS over
), leases AS (
  DELETE FROM {{p}}_lease WHERE queue = %(queue)s AND key = ANY (%(key)b::text[])
    AND {PAIR} = ANY (%(pair)b::text[])
)
SELECT key FROM dropped WHERE NOT over
"""
#: The lease decides over the value that stands at the moment of the update, so that of two who
#: find an expired entry only one gets it.
TAKE = f"""
WITH taken AS (
  INSERT INTO {{p}}_kv AS k (queue, key, value) VALUES (%(queue)s, %(key)s, %(value)b::bytea)
  ON CONFLICT (queue, key) DO UPDATE SET value = excluded.value WHERE {OVER}
  RETURNING key
), leased AS (
  INSERT INTO {{p}}_lease (queue, key, value, expires_at, holder)
  SELECT %(queue)s, key, %(value)b::bytea, {CLOCK} + %(ttl)s::float8, %(holder)s::text FROM taken
  ON CONFLICT (queue, key) DO UPDATE
  SET value = excluded.value, expires_at = excluded.expires_at, holder = excluded.holder
)
SELECT key FROM taken
"""
#: Who waits for values signs up before it looks, so it is told if it signed up before this reads.
TELL = f"""
SELECT pg_notify(%(results_channel)s, note) FROM unnest(%(notes)b::text[]) AS n (note)
WHERE EXISTS (
  SELECT FROM {{p}}_waiter
  WHERE queue = %(queue)s AND kind = 'results' AND since > {CLOCK} - 5)
"""
INCR = """
INSERT INTO {p}_counter AS c (queue, key, value) VALUES (%(queue)s, %(key)s, %(amount)s)
ON CONFLICT (queue, key) DO UPDATE SET value = c.value + excluded.value RETURNING value
"""
#: PostgreSQL takes less than 8,000 bytes in one notification.
_NOTE_LIMIT = 7_500


class PostgresValues(PostgresCertainty):
    """Key/value data, counters, locks."""

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one; who waits for it is woken."""
        self._run(lambda c: self._put_now(c, text_of(key), value))

    def _put_now(self, connection: Connection[Any], key: str, value: bytes) -> None:
        with self._burst(connection) as end:
            self._store(connection, {key: value}, {})
            end()
            self._tell(connection, [key])

    def _store(
        self,
        connection: Connection[Any],
        values: Mapping[str, bytes],
        ttls: Mapping[str, float],
    ) -> None:
        """Put values inside of a transaction; those without a time to live stay."""
        if values:
            self._do(connection, PUT, key=list(values), value=list(values.values()))
        if ttls:
            self._do(
                connection,
                LEASE,
                key=list(ttls),
                value=[values[key] for key in ttls],
                ttl=[float(ttl) for ttl in ttls.values()],
            )

    def _tell(self, connection: Connection[Any], stored: Collection[str]) -> None:
        """Wake who waits for values; has to come after the commit, like `_ring`."""
        if stored:
            self._do(connection, TELL, notes=_notes(stored))

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        rows = self._all(f"SELECT value {LIVE} AND k.key = %(key)s", key=text_of(key))
        return rows[0][0] if rows else EmptyData

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent from what is returned."""
        asked = {text_of(key): key for key in keys}
        rows = self._all(
            f"SELECT key, value {LIVE} AND k.key = ANY (%(key)b::text[])", key=list(asked)
        )
        return {asked[key]: value for key, value in rows}

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it; ``EmptyData`` if there is none."""
        rows = self._all(DROP, again=False, key=[text_of(key)])
        return rows[0][0] if rows else EmptyData

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        return bool(self._all(f"SELECT 1 {LIVE} AND k.key = %(key)s", key=text_of(key)))

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value, for ``ttl`` seconds, unless there is one; tell whether it was stored."""
        return self.lock(key, value, ttl)

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        [(size,)] = self._all(f"SELECT count(*) {LIVE}")
        return int(size)

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        return dict(self._all(f"SELECT key, value {LIVE}"))

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        self._count("DELETE FROM {p}_lease WHERE queue = %(queue)s")
        self._count("DELETE FROM {p}_kv WHERE queue = %(queue)s")

    # ── locks ──────────────────────────────────────────────────────────────────────────────────

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken."""
        name = text_of(key)

        def take(connection: Connection[Any], ticket: Ticket) -> bool:
            with self._burst(connection):
                self._begin(connection, ticket)
                taken = self._do(connection, TAKE, key=name, value=value, ttl=ttl, holder=holder)
                ticket.result = bool(taken.fetchall())
                ticket.commit(connection)
                if ticket.result:
                    self._tell(connection, [name])
            return bool(ticket.result)

        return self._certain(take)

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        return bool(self._all(DROP_IF, again=False, **pairs([(text_of(key), value)])))

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter and return its new value; a missing one counts as 0."""
        [(value,)] = self._all(INCR, again=False, key=text_of(key), amount=amount)
        return int(value)

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        self._count(
            "DELETE FROM {p}_counter WHERE queue = %(queue)s AND key = %(key)s", key=text_of(key)
        )

    def flush_counters(self) -> None:
        """Remove all counters."""
        self._count("DELETE FROM {p}_counter WHERE queue = %(queue)s")


def pairs(entries: Collection[tuple[str, bytes]]) -> dict[str, list[str]]:
    """Give the parameters of DROP_IF."""
    return {
        "key": [key for key, _ in entries],
        "pair": [f"{key}\x1f{value.hex()}" for key, value in entries],
    }


def _notes(keys: Collection[str]) -> list[str]:
    """Pack keys into as few notifications as possible; an empty one means "look yourself"."""
    if any(len(key.encode()) > _NOTE_LIMIT for key in keys):
        return [""]
    notes: list[list[str]] = [[]]
    room = _NOTE_LIMIT
    for key in keys:
        room -= len(key.encode()) + 1
        if room < 0:
            notes.append([])
            room = _NOTE_LIMIT - len(key.encode()) - 1
        notes[-1].append(key)
    return ["\x1f".join(note) for note in notes]
