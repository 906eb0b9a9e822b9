"""The queue and the schedule in SQLite, and how messages are accepted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from huey import keys
from huey.storage.delivery import Outgoing, Reservation, digest
from huey.storage.sql.filing import filed
from huey.storage.sql.sqlite.batches import change_in, insert_rows
from huey.storage.sql.sqlite.schema import OUR_TABLES
from huey.storage.sql.sqlite.values import SqliteValues
from huey.timing import to_epoch

_ENQUEUE = "INSERT INTO task (queue, data, priority)"
_FILE = "INSERT INTO schedule (queue, data, timestamp)"
#: Between the name of a queue and the number of a claim in task.queue: an old Huey looks for the
#: name alone, so what is claimed is invisible to it, and stays in its place nevertheless.
CLAIMED = "\x1f"
_AFTER_CLAIMED = "\x20"


class SqliteQueueing(SqliteValues):
    """Enqueue, dequeue, schedule, list, flush."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message."""
        self._write_one(f"{_ENQUEUE} VALUES (?, ?, ?)", (self.name, data, priority or 0))
        self._announce_messages()

    def enqueue_many(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Accept any number of messages, atomically."""
        if len(messages) == 1 and _is_plain(messages[0]):
            self.enqueue(messages[0].data, messages[0].priority)
            return [None]
        if not messages:
            return []
        standing = self._write(lambda conn: self._accept(conn, messages))
        if any(message.due is None for message in messages):
            self._announce_messages()
        return standing

    def dequeue(self) -> bytes | None:
        """Remove the next message for good and return it."""
        if not self._read("SELECT 1 FROM task WHERE queue = ? LIMIT 1", (self.name,)):
            return None  # without waiting for a writer
        return self._write(self._take_first)

    def _take_first(self, conn: Any) -> bytes | None:
        row = conn.execute(
            "SELECT id, data FROM task WHERE queue = ? ORDER BY priority DESC, id LIMIT 1",
            (self.name,),
        ).fetchone()
        if row is None:
            return None
        conn.execute("DELETE FROM task WHERE id = ?", (row[0],))
        data: bytes = row[1]
        return data

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        size: int = self._read("SELECT count(*) FROM task WHERE queue = ?", (self.name,))[0][0]
        return size

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages in the order in which they would be dequeued; 0 lists none."""
        query = "SELECT data FROM task WHERE queue = ? ORDER BY priority DESC, id LIMIT ?"
        return [data for (data,) in self._read(query, (self.name, _limit(limit)))]

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        self._write_one("DELETE FROM task WHERE queue = ?", (self.name,))

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, a naive datetime."""
        due = filed(to_epoch(ts, self._utc))
        self._write_one(f"{_FILE} VALUES (?, ?, ?)", (self.name, data, due))

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        until = filed(to_epoch(ts, self._utc))
        query = "SELECT 1 FROM schedule WHERE queue = ? AND timestamp <= ? LIMIT 1"
        if not self._read(query, (self.name, until)):
            return []  # without waiting for a writer
        return self._write(lambda conn: self._take_due(conn, until))

    def _take_due(self, conn: Any, until: float) -> list[bytes]:
        rows = conn.execute(
            "SELECT id, data FROM schedule WHERE queue = ? AND timestamp <= ? "
            "ORDER BY timestamp, id",
            (self.name, until),
        ).fetchall()
        change_in(conn, "DELETE FROM schedule WHERE id IN", (), [row[0] for row in rows])
        return [row[1] for row in rows]

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        size: int = self._read("SELECT count(*) FROM schedule WHERE queue = ?", (self.name,))[0][0]
        return size

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first; 0 lists none."""
        query = "SELECT data FROM schedule WHERE queue = ? ORDER BY timestamp, id LIMIT ?"
        return [data for (data,) in self._read(query, (self.name, _limit(limit)))]

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        self._write_one("DELETE FROM schedule WHERE queue = ?", (self.name,))

    def flush_all(self) -> None:
        """Remove everything but the consumers, who lose what they hold."""
        self._write(self._flush)

    def _flush(self, conn: Any) -> None:
        for table in ("task", "schedule", "kv", "counter", *OUR_TABLES):
            conn.execute(f"DELETE FROM {table} WHERE queue = ?", (self.name,))
        conn.execute("DELETE FROM task WHERE queue > ? AND queue < ?", self._claimed_queues())

    # ── parts of a transaction ─────────────────────────────────────────────────────────────────

    def _claimed_queues(self, number: int | None = None) -> tuple[str, str]:
        """Give the bounds of task.queue for all that is claimed, or by one consumer."""
        if number is None:
            return self.name + CLAIMED, self.name + _AFTER_CLAIMED
        # "/" comes right after the "." that ends the number of a consumer.
        return f"{self.name}{CLAIMED}{number}.", f"{self.name}{CLAIMED}{number}/"

    def _accept(self, conn: Any, messages: Sequence[Outgoing]) -> list[str | None]:
        """Store messages; tells what stands, or stood, in the places that they reserve."""
        standing: list[str | None] = [None] * len(messages)
        accepted: list[Outgoing] = []
        for index, message in enumerate(messages):
            if message.reservation is not None:
                standing[index] = self._reserve(conn, message.reservation)
                if standing[index] is not None and message.reservation.revoke_with is None:
                    continue
            accepted.append(message)
        self._store(conn, accepted)
        return standing

    def _store(self, conn: Any, messages: Sequence[Outgoing]) -> None:
        ready = [(self.name, m.data, m.priority or 0) for m in messages if m.due is None]
        later = [(self.name, m.data, filed(m.due)) for m in messages if m.due is not None]
        if ready:
            insert_rows(conn, _ENQUEUE, ready)
        if later:
            insert_rows(conn, _FILE, later)
        marks = [
            (self.name, digest(m.data), m.attempt, time.time()) for m in messages if m.attempt != 1
        ]
        if marks:
            head = "INSERT OR REPLACE INTO huey_mark (queue, digest, attempt, touched)"
            insert_rows(conn, head, marks)

    def _reserve(self, conn: Any, wish: Reservation) -> str | None:
        """Take the place; returns what stands, or stood, there in the name of somebody else."""
        value = wish.value.encode()
        standing = self._peek(conn, wish.key)
        if standing is None or standing == value:
            self._put(conn, wish.key, value, wish.ttl)
            return None
        other = standing.decode()
        if wish.revoke_with is not None:
            self._put(conn, keys.revoked_id(other), wish.revoke_with)
            self._put(conn, wish.key, value, wish.ttl)
        return other

    def _announce_messages(self) -> None:
        """Wake the consumers that wait for messages."""
        self._bells.ring(self._messages_group)

    @property
    def _messages_group(self) -> str:
        return f"{self.name}:messages"


def _is_plain(message: Outgoing) -> bool:
    return message.due is None and message.attempt == 1 and message.reservation is None


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit
