"""What follows from finished tasks, in SQLite: a batch is one transaction of few statements."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from huey import keys
from huey.storage.delivery import ChordStep, DeadLetter, Settled, Settlement, digest
from huey.storage.sql.sqlite.batches import change_in
from huey.storage.sql.sqlite.claims import SqliteClaims
from huey.storage.sql.writes import Writes

#: A transaction settles no more than this, so that others get their turn.
_MAX_SETTLE = 500


class SqliteSettling(SqliteClaims):
    """Settle."""

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks."""
        outcomes: list[Settled] = []
        for start in range(0, len(settlements), _MAX_SETTLE):
            outcomes += self._settle_together(settlements[start : start + _MAX_SETTLE])
        return outcomes

    def _settle_together(self, settlements: Sequence[Settlement]) -> list[Settled]:
        outcomes = self._write(lambda conn: self._settle(conn, settlements))
        done = [s for s, o in zip(settlements, outcomes, strict=True) if o is Settled.DONE]
        if any(message.due is None for s in done for message in s.outgoing):
            self._announce_messages()
        if any(s.results for s in done):
            self._announce_results()
        return outcomes

    def _settle(self, conn: Any, settlements: Sequence[Settlement]) -> list[Settled]:
        held = self._held(conn, [s.claim for s in settlements if s.claim is not None])
        writes, outcomes = Writes(), list[Settled]()
        ids: list[int] = []
        for settlement in settlements:
            claim = settlement.claim
            if claim is not None and claim.receipt not in held:
                outcomes.append(Settled.LOST)
                continue
            if settlement.chord is not None or _reserves(settlement):
                # These look at what is stored, which has to be up to date.
                self._flush_writes(conn, writes, ids)
                writes, ids = Writes(), []
            if settlement.chord is not None and self._completes(conn, settlement.chord):
                outcomes.append(Settled.CHORD_COMPLETE)
                continue
            if claim is not None:
                ids.append(held.pop(claim.receipt))
            writes.add(settlement)
            outcomes.append(Settled.DONE)
        self._flush_writes(conn, writes, ids)
        return outcomes

    def _completes(self, conn: Any, step: ChordStep) -> bool:
        partial = keys.chord_partial(step.chord_id, step.index)
        counter = keys.chord_counter(step.chord_id)
        if self._put_if_empty(conn, partial, step.value):
            return self._incr(conn, counter, 1) == step.size
        return self._count(conn, counter) == step.size

    def _flush_writes(self, conn: Any, writes: Writes, ids: list[int]) -> None:
        """Write what was gathered: deletions first."""
        change_in(conn, "DELETE FROM task WHERE id IN", (), ids)
        marks = [digest(data) for data in writes.marked]
        change_in(conn, "DELETE FROM huey_mark WHERE queue = ? AND digest IN", (self.name,), marks)
        if writes.deleted:
            self._drop_present(conn, list(writes.deleted))
        for key, value in writes.deleted_if:
            self._drop_if(conn, key, value)
        counters = list(writes.counters)
        change_in(conn, "DELETE FROM counter WHERE queue = ? AND key IN", (self.name,), counters)
        if writes.values:
            self._put_many(conn, list(writes.values.items()))
        self._accept(conn, writes.outgoing)
        self._bury(conn, writes.dead)

    def _drop_present(self, conn: Any, wanted: list[str]) -> None:
        """Delete entries, but do not look for revocations one by one if there are none at all."""
        if all(key.startswith(keys.REVOKED_ID) for key in wanted):
            query = "SELECT 1 FROM kv WHERE queue = ? AND key >= ? AND key < ? LIMIT 1"
            bounds = (self.name, keys.REVOKED_ID, keys.REVOKED_ID[:-1] + ";")
            if conn.execute(query, bounds).fetchone() is None:
                return
        self._drop_many(conn, wanted)

    def _bury(self, conn: Any, letters: Sequence[DeadLetter]) -> None:
        now = time.time()
        for letter in letters:
            conn.execute(
                "INSERT INTO huey_dead (queue, data, cause, detail, died_at) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    self.name,
                    letter.data,
                    str(letter.cause),
                    letter.detail,
                    letter.died_at or now,
                ),
            )


def _reserves(settlement: Settlement) -> bool:
    return any(message.reservation is not None for message in settlement.outgoing)
