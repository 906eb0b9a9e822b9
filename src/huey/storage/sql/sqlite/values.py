"""Key/value data and counters in SQLite."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.sql.sqlite.batches import change_in, insert_rows, parts
from huey.storage.sql.sqlite.connecting import SqliteConnecting

#: Narrows a query of kv to entries that have not expired; the last parameter is the time.
_ALIVE = """NOT EXISTS (SELECT 1 FROM huey_lease l WHERE l.queue = kv.queue AND l.key = kv.key
    AND l.value = kv.value AND l.expires <= ?)"""
_ONE = f"SELECT value FROM kv WHERE queue = ? AND key = ? AND {_ALIVE}"
_PUT = "INSERT OR REPLACE INTO kv (queue, key, value)"


class SqliteValues(SqliteConnecting):
    """Put, peek, pop, count; and how values are put and dropped within a larger transaction."""

    def now(self) -> float:
        """Read the clock of this machine, which all who share the file have in common."""
        return time.time()

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one; who waits for it is told."""
        self._write(lambda conn: self._put(conn, key, value))
        self._announce_results()

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        rows = self._read(_ONE, (self.name, key, time.time()))
        return rows[0][0] if rows else EmptyData

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent."""
        return dict(self._read_keys("key, value", keys))

    def _stored(self, keys: Collection[Key]) -> set[Key]:
        """Tell under which keys there is a value, without reading the values."""
        return {key for (key,) in self._read_keys("key", keys)}

    def _read_keys(self, columns: str, keys: Collection[Key]) -> Iterator[tuple[Any, ...]]:
        for part in parts(list(keys)):
            marks = ", ".join("?" * len(part))
            query = f"SELECT {columns} FROM kv WHERE queue = ? AND key IN ({marks}) AND {_ALIVE}"
            yield from self._read(query, (self.name, *part, time.time()))

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it; ``EmptyData`` if there is none."""
        if not self.has_data_for_key(key):
            return EmptyData  # without waiting for a writer
        value = self._write(lambda conn: self._pop(conn, key), durable=False)
        return EmptyData if value is None else value

    def delete_data(self, key: Key) -> bool:
        """Remove a value; True if there was one."""
        return self._write(lambda conn: self._pop(conn, key)) is not None

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        return bool(self._read(_ONE, (self.name, key, time.time())))

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value, for ``ttl`` seconds, unless there is one; tell whether it was stored."""
        return self._write(lambda conn: self._put_if_empty(conn, key, value, ttl))

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        query = f"SELECT count(*) FROM kv WHERE queue = ? AND {_ALIVE}"
        size: int = self._read(query, (self.name, time.time()))[0][0]
        return size

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        rows = self._read(
            f"SELECT key, value FROM kv WHERE queue = ? AND {_ALIVE}", (self.name, time.time())
        )
        return {key.decode() if isinstance(key, bytes) else key: value for key, value in rows}

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        self._write(self._flush_values)

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter and return its new value; a missing one counts as 0."""
        return self._write(lambda conn: self._incr(conn, key, amount))

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        self._write_one("DELETE FROM counter WHERE queue = ? AND key = ?", (self.name, key))

    def flush_counters(self) -> None:
        """Remove all counters."""
        self._write_one("DELETE FROM counter WHERE queue = ?", (self.name,))

    # ── parts of a transaction ─────────────────────────────────────────────────────────────────

    def _incr(self, conn: Any, key: Key, amount: int) -> int:
        conn.execute(
            "INSERT INTO counter (queue, key, value) VALUES (?, ?, ?) "
            "ON CONFLICT (queue, key) DO UPDATE SET value = value + excluded.value",
            (self.name, key, amount),
        )
        return self._count(conn, key)

    def _count(self, conn: Any, key: Key) -> int:
        query = "SELECT value FROM counter WHERE queue = ? AND key = ?"
        row = conn.execute(query, (self.name, key)).fetchone()
        return row[0] if row else 0

    def _peek(self, conn: Any, key: Key) -> bytes | None:
        row = conn.execute(_ONE, (self.name, key, time.time())).fetchone()
        return row[0] if row else None

    def _pop(self, conn: Any, key: Key) -> bytes | None:
        value = self._peek(conn, key)
        if value is not None:
            self._drop(conn, key)
        return value

    def _put(
        self,
        conn: Any,
        key: Key,
        value: bytes,
        ttl: float | None = None,
        holder: str | None = None,
    ) -> None:
        conn.execute(f"{_PUT} VALUES (?, ?, ?)", (self.name, key, value))
        if ttl is None and holder is None:
            self._end_lease(conn, key)
            return
        expires = None if ttl is None else time.time() + ttl
        conn.execute(
            "INSERT OR REPLACE INTO huey_lease (queue, key, value, expires, holder) "
            "VALUES (?, ?, ?, ?, ?)",
            (self.name, key, value, expires, holder),
        )

    def _put_if_empty(
        self,
        conn: Any,
        key: Key,
        value: bytes,
        ttl: float | None = None,
        holder: str | None = None,
    ) -> bool:
        if self._peek(conn, key) is not None:
            return False
        self._put(conn, key, value, ttl, holder)
        return True

    def _put_many(self, conn: Any, values: Sequence[tuple[Key, bytes]]) -> None:
        insert_rows(conn, _PUT, [(self.name, key, value) for key, value in values])
        self._end_leases(conn, [key for key, _ in values])

    def _drop(self, conn: Any, key: Key) -> None:
        conn.execute("DELETE FROM kv WHERE queue = ? AND key = ?", (self.name, key))
        self._end_lease(conn, key)

    def _drop_if(self, conn: Any, key: Key, value: bytes) -> bool:
        dropped = self._peek(conn, key) == value
        if dropped:
            self._drop(conn, key)
        return dropped

    def _drop_many(self, conn: Any, keys: Sequence[Key]) -> None:
        change_in(conn, "DELETE FROM kv WHERE queue = ? AND key IN", (self.name,), keys)
        self._end_leases(conn, keys)

    def _end_lease(self, conn: Any, key: Key) -> None:
        conn.execute("DELETE FROM huey_lease WHERE queue = ? AND key = ?", (self.name, key))

    def _end_leases(self, conn: Any, keys: Sequence[Key]) -> None:
        if conn.execute(
            "SELECT 1 FROM huey_lease WHERE queue = ? LIMIT 1", (self.name,)
        ).fetchone():
            change_in(conn, "DELETE FROM huey_lease WHERE queue = ? AND key IN", (self.name,), keys)

    def _flush_values(self, conn: Any) -> None:
        conn.execute("DELETE FROM kv WHERE queue = ?", (self.name,))
        conn.execute("DELETE FROM huey_lease WHERE queue = ?", (self.name,))

    def _drop_expired(self, conn: Any, limit: int) -> int:
        """Remove entries whose time is over, and leases of entries that have another value now."""
        rows = conn.execute(
            "SELECT key, value FROM huey_lease WHERE queue = ? AND expires <= ? LIMIT ?",
            (self.name, time.time(), limit),
        ).fetchall()
        for key, value in rows:
            conn.execute(
                "DELETE FROM kv WHERE queue = ? AND key = ? AND value = ?", (self.name, key, value)
            )
            self._end_lease(conn, key)
        return len(rows)

    def _announce_results(self) -> None:
        """Wake who waits for results."""
        self._bells.ring_and_tidy(f"{self.name}:results")
