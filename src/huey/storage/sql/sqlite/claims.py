"""Consumers in SQLite, and what they hold.

A claimed message stays where it is, with its id, but under another queue: the name, the number of
the consumer, and the number of the claim. So recovery restores the exact order with one statement,
and a receipt (those numbers and the id) fits one claim only, even when an id is used again.
"""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from huey.storage.bells import Bell
from huey.storage.delivery import Claim, ConsumerRecord, digest
from huey.storage.sql.sqlite.batches import change_in, select_in
from huey.storage.sql.sqlite.queueing import CLAIMED, SqliteQueueing

#: What a claim needs to know, in one row: see ``batches.py`` for why. Large messages are left out
#: here, for as text they take twice the room.
_FIRST = """SELECT group_concat(id), group_concat(priority),
    group_concat(CASE WHEN length(data) < 65536 THEN hex(data) ELSE '-' END)
    FROM (SELECT id, priority, data FROM task WHERE queue = ?
          ORDER BY priority DESC, id LIMIT ?)"""
_CONSUMER = "SELECT number, beat FROM huey_consumer WHERE queue = ? AND id = ?"
#: Waits between two looks at the queue, in seconds: producers that do not ring are met this late.
_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.02, 1.0, 1.3
#: A claim takes no more than this at once.
_MAX_CLAIM = 500

_CRASH = """INSERT INTO huey_mark
    (queue, digest, attempt, crashes_alone, crashes_in_company, cause, touched)
    VALUES (?, ?, 2, ?, ?, ?, ?)
    ON CONFLICT (queue, digest) DO UPDATE SET attempt = attempt + 1, cause = excluded.cause,
    crashes_alone = crashes_alone + excluded.crashes_alone, touched = excluded.touched,
    crashes_in_company = crashes_in_company + excluded.crashes_in_company"""


class SqliteClaims(SqliteQueueing):
    """Sign on, claim, release, recover."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: Bells of the consumers that wait in this process.
        self._bell_of: dict[str, Bell] = {}
        self._woken: set[str] = set()
        self._renew_claim_numbers()
        super().__init__(*args, **kwargs)

    def _renew_claim_numbers(self) -> None:
        # Random, for several objects may claim for the same consumer.
        self._series = secrets.token_hex(3)
        self._claim_numbers = itertools.count(1)

    def _disown(self) -> None:
        super()._disown()
        self._bell_of, self._woken = {}, set()
        self._renew_claim_numbers()

    # ── consumers ──────────────────────────────────────────────────────────────────────────────

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known; a second time it only changes the info."""
        # Before the row: a consumer with a bell that nobody holds would be taken for dead.
        self._bell(consumer)
        self._write_one(
            "INSERT INTO huey_consumer (queue, id, beat, info) VALUES (?, ?, 0, ?) "
            "ON CONFLICT (queue, id) DO UPDATE SET info = excluded.info",
            (self.name, consumer, json.dumps(dict(info))),
            durable=False,
        )

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; its claims are released without marks, its locks are freed."""
        self._write(lambda conn: self._forget(conn, consumer), durable=False)
        self._after_the_end_of(consumer)

    def heartbeat(self, consumer: str) -> bool:
        """Prove life; False if the consumer is unknown."""
        statement = "UPDATE huey_consumer SET beat = beat + 1 WHERE queue = ? AND id = ?"
        return self._write_one(statement, (self.name, consumer), durable=False) > 0

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers that have signed on and not off."""
        rows = self._read(
            "SELECT number, id, beat, info FROM huey_consumer WHERE queue = ? ORDER BY number",
            (self.name,),
        )
        claims: dict[int, int] = {}
        groups = "SELECT queue, count(*) FROM task WHERE queue > ? AND queue < ? GROUP BY queue"
        for queue, size in self._read(groups, self._claimed_queues()) if rows else ():
            number = int(queue.rpartition(CLAIMED)[2].partition(".")[0])
            claims[number] = claims.get(number, 0) + size
        return [
            ConsumerRecord(name, beat, json.loads(info), claims.get(number, 0))
            for number, name, beat, info in rows
        ]

    def is_gone(self, record: ConsumerRecord) -> bool | None:
        """Tell whether the process that waited as this consumer is gone from this machine."""
        return self._bells.is_dead(self._messages_group, record.id)

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Give back, with crash marks, what a dead consumer holds, and forget it."""
        given = self._write(lambda conn: self._recover(conn, consumer, beat, cause), durable=False)
        if given is None:
            return 0
        self._after_the_end_of(consumer)
        return given

    def _recover(self, conn: Any, consumer: str, beat: int | None, cause: str | None) -> int | None:
        row = conn.execute(_CONSUMER, (self.name, consumer)).fetchone()
        if row is None or (beat is not None and row[1] != beat):
            return None
        held = conn.execute(
            "SELECT data FROM task WHERE queue > ? AND queue < ?", self._claimed_queues(row[0])
        ).fetchall()
        alone = len(held) == 1
        now = time.time()
        conn.executemany(
            _CRASH,
            [(self.name, digest(data), alone, not alone, cause, now) for (data,) in held],
        )
        return self._forget(conn, consumer)

    def _forget(self, conn: Any, consumer: str) -> int:
        row = conn.execute(_CONSUMER, (self.name, consumer)).fetchone()
        if row is None:
            return 0
        given: int = conn.execute(
            "UPDATE task SET queue = ? WHERE queue > ? AND queue < ?",
            (self.name, *self._claimed_queues(row[0])),
        ).rowcount
        mine = (self.name, consumer)
        locks = conn.execute(
            "SELECT key, value FROM huey_lease WHERE queue = ? AND holder = ?", mine
        ).fetchall()
        for key, value in locks:
            self._drop_if(conn, key, value)
        conn.execute("DELETE FROM huey_lease WHERE queue = ? AND holder = ?", mine)
        conn.execute("DELETE FROM huey_place WHERE queue = ? AND holder = ?", mine)
        conn.execute("DELETE FROM huey_consumer WHERE queue = ? AND id = ?", mine)
        return given

    def _after_the_end_of(self, consumer: str) -> None:
        bell = self._bell_of.pop(consumer, None)
        self._bells.take_down(self._messages_group, consumer)
        if bell is not None:
            bell.ring()  # a thread may still wait in claim() under this name
        self._announce_messages()

    # ── claiming ───────────────────────────────────────────────────────────────────────────────

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Move up to ``limit`` messages from ready to claimed; waits up to ``block`` seconds."""
        limit = min(limit, _MAX_CLAIM)
        if limit <= 0:
            return []
        if block <= 0:
            return self._claim_now(consumer, limit) or []
        deadline = time.monotonic() + block
        bell, look = self._bell(consumer), _FIRST_LOOK
        while True:
            bell.answer()
            claims = self._claim_now(consumer, limit)
            left = deadline - time.monotonic()
            if claims is None or claims or left <= 0 or self._was_woken(consumer):
                return claims or []
            bell.wait(min(left, look))
            look = min(look * _GROWTH, _LAST_LOOK)

    def _claim_now(self, consumer: str, limit: int) -> list[Claim] | None:
        """Claim what is there; None if the consumer is unknown."""
        return self._write(lambda conn: self._claim(conn, consumer, limit), durable=False)

    def _claim(self, conn: Any, consumer: str, limit: int) -> list[Claim] | None:
        row = conn.execute(_CONSUMER, (self.name, consumer)).fetchone()
        if row is None:
            return None
        ids, priorities, texts = conn.execute(_FIRST, (self.name, limit)).fetchone()
        if ids is None:
            return []
        name = f"{row[0]}.{self._series}{next(self._claim_numbers)}"
        rows = _in_order(ids.split(","), priorities.split(","), texts.split(","))
        statement, queue = "UPDATE task SET queue = ? WHERE id IN", f"{self.name}{CLAIMED}{name}"
        change_in(conn, statement, (queue,), [id_ for id_, _ in rows])
        claims = [Claim(f"{name}/{id_}", self._data(conn, id_, text)) for id_, text in rows]
        return self._marked(conn, claims)

    def _data(self, conn: Any, id_: int, text: str) -> bytes:
        if text != "-":
            return bytes.fromhex(text)
        data: bytes = conn.execute("SELECT data FROM task WHERE id = ?", (id_,)).fetchone()[0]
        return data

    def _marked(self, conn: Any, claims: list[Claim]) -> list[Claim]:
        """Add what is remembered about messages that were tried before."""
        if not conn.execute(
            "SELECT 1 FROM huey_mark WHERE queue = ? LIMIT 1", (self.name,)
        ).fetchone():
            return claims
        query = """SELECT digest, attempt, crashes_in_company, crashes_alone, cause
            FROM huey_mark WHERE queue = ? AND digest IN"""
        digests = [digest(claim.data) for claim in claims]
        marks = {row[0]: row[1:] for row in select_in(conn, query, (self.name,), digests)}
        return [
            Claim(claim.receipt, claim.data, *marks[name]) if name in marks else claim
            for claim, name in zip(claims, digests, strict=True)
        ]

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or that of the next one."""
        self._woken.add(consumer)
        self._bell(consumer).ring()

    def _was_woken(self, consumer: str) -> bool:
        woken = consumer in self._woken
        self._woken.discard(consumer)
        return woken

    def _bell(self, consumer: str) -> Bell:
        with self._lock:
            bell = self._bell_of.get(consumer)
            if bell is None or not bell.is_hanging:
                bell = self._bells.hang(self._messages_group, consumer)
                self._bell_of[consumer] = bell
            return bell

    # ── release ────────────────────────────────────────────────────────────────────────────────

    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims that did not start back to their place in the queue."""
        if not claims:
            return 0
        released = self._write(lambda conn: self._release(conn, claims), durable=False)
        if released:
            self._announce_messages()
        return released

    def _release(self, conn: Any, claims: Sequence[Claim]) -> int:
        ids = sorted(self._held(conn, claims).values())
        change_in(conn, "UPDATE task SET queue = ? WHERE id IN", (self.name,), ids)
        return len(ids)

    def _held(self, conn: Any, claims: Iterable[Claim]) -> dict[str, int]:
        """Map the receipts that are still good to the ids of their messages."""
        wanted: dict[str, dict[int, str]] = {}
        for claim in claims:
            name, _, id_ = claim.receipt.partition("/")
            wanted.setdefault(name, {})[int(id_)] = claim.receipt
        held: dict[str, int] = {}
        for name, receipts in wanted.items():
            for number in self._present(conn, f"{self.name}{CLAIMED}{name}", list(receipts)):
                held[receipts[number]] = number
        return held

    def _present(self, conn: Any, queue: str, ids: list[int]) -> Iterable[int]:
        """Find which messages are held under one claim: as a rule, all of them."""
        # The plus keeps SQLite from searching by queue: the id alone finds the row.
        condition = "FROM task WHERE +queue = ? AND id IN"
        counts = select_in(conn, f"SELECT count(*) {condition}", (queue,), ids)
        if sum(count for (count,) in counts) == len(ids):
            return ids
        return [id_ for (id_,) in select_in(conn, f"SELECT id {condition}", (queue,), ids)]


def _in_order(ids: list[str], priorities: list[str], texts: list[str]) -> list[tuple[int, str]]:
    """Sort by priority and id: a subquery is read in its order, but SQLite does not promise it."""
    if len(set(priorities)) == 1:
        return sorted(zip(map(int, ids), texts, strict=True))
    ranked = zip((-float(priority) for priority in priorities), map(int, ids), texts, strict=True)
    return [(id_, text) for _, id_, text in sorted(ranked)]
