"""Locks, semaphores and rate limits in SQLite."""

from __future__ import annotations

import time
from typing import Any

from huey.storage.base import Key
from huey.storage.sql.sqlite.values import SqliteValues

_MEMBER = "queue = ? AND key = ? AND member = ?"


class SqliteGuards(SqliteValues):
    """What stands before task code: each method is one transaction, so all are exact.

    None is synced to the disk: after a power cut, nobody is left who was let in.
    """

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken."""
        return self._write(
            lambda conn: self._put_if_empty(conn, key, value, ttl, holder), durable=False
        )

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        return self._write(lambda conn: self._drop_if(conn, key, value), durable=False)

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds."""
        return self._write(
            lambda conn: self._acquire(conn, key, member, limit, ttl, holder), durable=False
        )

    def _acquire(
        self, conn: Any, key: str, member: str, limit: int, ttl: float, holder: str | None
    ) -> bool:
        now = time.time()
        conn.execute(
            "DELETE FROM huey_place WHERE queue = ? AND key = ? AND expires <= ?",
            (self.name, key, now),
        )
        members = conn.execute(
            "SELECT member FROM huey_place WHERE queue = ? AND key = ?", (self.name, key)
        ).fetchall()
        if len(members) >= limit and (member,) not in members:
            return False
        conn.execute(
            "INSERT OR REPLACE INTO huey_place (queue, key, member, expires, holder) "
            "VALUES (?, ?, ?, ?, ?)",
            (self.name, key, member, now + ttl, holder),
        )
        return True

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        now = time.time()
        statement = f"UPDATE huey_place SET expires = ? WHERE {_MEMBER} AND expires > ?"
        params = (now + ttl, self.name, key, member, now)
        return self._write_one(statement, params, durable=False) > 0

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        statement = f"DELETE FROM huey_place WHERE {_MEMBER} AND expires > ?"
        params = (self.name, key, member, time.time())
        return self._write_one(statement, params, durable=False) > 0

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds."""
        return self._write(lambda conn: self._hit(conn, key, per, limit, amount), durable=False)

    def _hit(self, conn: Any, key: str, per: float, limit: int, amount: int) -> tuple[int, float]:
        now = time.time()
        window = int(now // per)
        mine = (self.name, key)
        query = "SELECT number FROM huey_window WHERE queue = ? AND key = ?"
        if conn.execute(query, mine).fetchone() != (window,):
            conn.execute("DELETE FROM counter WHERE queue = ? AND key = ?", mine)
            conn.execute(
                "INSERT OR REPLACE INTO huey_window (queue, key, number) VALUES (?, ?, ?)",
                (*mine, window),
            )
        hits = self._count(conn, key) + amount
        if amount and hits <= limit:
            self._incr(conn, key, amount)
        return hits, (window + 1) * per - now
