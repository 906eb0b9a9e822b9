"""Dead letters in SQLite, and sweeping."""

from __future__ import annotations

import os
import time
from typing import Any

from huey.storage.delivery import DeadLetter, digest
from huey.storage.sql.sqlite.connecting import logger
from huey.storage.sql.sqlite.settling import SqliteSettling

#: A sweep removes no more than this of each kind.
_MAX_SWEEP = 500
#: Size of the log, in bytes, above which something must keep it from being used again.
_ALARMING_LOG = 512 * 1024 * 1024


class SqliteLetters(SqliteSettling):
    """List, replay, delete; remove what nobody needs."""

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List dead letters, the newest first."""
        rows = self._read(
            "SELECT id, data, cause, detail, died_at FROM huey_dead WHERE queue = ? "
            "ORDER BY id DESC LIMIT ? OFFSET ?",
            (self.name, limit, offset),
        )
        return [
            DeadLetter(data, cause, detail, died_at, str(id_))
            for id_, data, cause, detail, died_at in rows
        ]

    def dead_count(self) -> int:
        """Count the dead letters."""
        size: int = self._read("SELECT count(*) FROM huey_dead WHERE queue = ?", (self.name,))[0][0]
        return size

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Move a dead letter back to the queue, its marks forgotten."""
        if not self._write(lambda conn: self._replay(conn, key, priority)):
            return False
        self._announce_messages()
        return True

    def _replay(self, conn: Any, key: str, priority: float | None) -> bool:
        mine = (self.name, _number(key))
        row = conn.execute("SELECT data FROM huey_dead WHERE queue = ? AND id = ?", mine).fetchone()
        if row is None:
            return False
        conn.execute("DELETE FROM huey_dead WHERE queue = ? AND id = ?", mine)
        conn.execute(
            "DELETE FROM huey_mark WHERE queue = ? AND digest = ?", (self.name, digest(row[0]))
        )
        conn.execute(
            "INSERT INTO task (queue, data, priority) VALUES (?, ?, ?)",
            (self.name, row[0], priority or 0),
        )
        return True

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        statement = "DELETE FROM huey_dead WHERE queue = ? AND id = ?"
        return self._write_one(statement, (self.name, _number(key))) > 0

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove old dead letters, old marks, expired entries, and bells of the dead."""
        self._watch_log()
        known = [record.id for record in self.consumers()]
        self._bells.take_down_others(self._messages_group, known)
        return self._write(
            lambda conn: self._sweep(conn, max_dead, max_dead_age, max_mark_age), durable=False
        )

    def _sweep(self, conn: Any, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        now = time.time()
        surplus = "SELECT id FROM huey_dead WHERE queue = ? ORDER BY id DESC LIMIT -1 OFFSET ?"
        old = "SELECT id FROM huey_dead WHERE queue = ? AND died_at < ? LIMIT ?"
        stale = "SELECT digest FROM huey_mark WHERE queue = ? AND touched < ? LIMIT ?"
        dead_before, stale_before = now - max_dead_age, now - max_mark_age
        changes: list[tuple[str, tuple[Any, ...]]] = [
            (f"DELETE FROM huey_dead WHERE id IN ({surplus})", (self.name, max_dead)),
            (f"DELETE FROM huey_dead WHERE id IN ({old})", (self.name, dead_before, _MAX_SWEEP)),
            (
                f"DELETE FROM huey_mark WHERE queue = ? AND digest IN ({stale})",
                (self.name, self.name, stale_before, _MAX_SWEEP),
            ),
            ("DELETE FROM huey_place WHERE queue = ? AND expires <= ?", (self.name, now)),
        ]
        removed: int = sum(conn.execute(*change).rowcount for change in changes)
        return removed + self._drop_expired(conn, _MAX_SWEEP)

    def _watch_log(self) -> None:
        """Say so if the log grows without bound: a reader that never ends keeps it from ending."""
        try:
            size = os.path.getsize(f"{self._path}-wal")
        except OSError:
            return
        if size > _ALARMING_LOG:
            logger.warning(
                "%s-wal has grown to %d MB: look for a process that keeps a query or a "
                "transaction open on this database.",
                self._path,
                size // 2**20,
            )


def _number(key: str) -> int:
    return int(key) if key.isdecimal() else -1
