"""What follows from finished tasks, written to PostgreSQL in one transaction for many."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from huey import keys
from huey.storage.delivery import ChordStep, Settled, Settlement
from huey.storage.sql.postgres.certainty import Signature, Ticket
from huey.storage.sql.postgres.claims import PostgresClaims, Receipt
from huey.storage.sql.postgres.core import CLOCK, columns, storable
from huey.storage.sql.postgres.errors import InDoubt, Unstorable
from huey.storage.sql.postgres.queueing import count_ready
from huey.storage.sql.postgres.reservations import decide
from huey.storage.sql.postgres.values import DROP, DROP_IF, pairs
from huey.storage.sql.writes import Writes, completed, partial_of

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

END_CLAIMS = "DELETE FROM {p}_task WHERE id = ANY (%(id)b::bigint[])"
END_MARKS = """
DELETE FROM {p}_mark WHERE queue = %(queue)s AND digest = ANY (%(digest)b::bytea[])
"""
END_COUNTERS = """
DELETE FROM {p}_counter WHERE queue = %(queue)s AND key = ANY (%(key)b::text[])
"""
BURY = f"""
INSERT INTO {{p}}_dead (queue, data, cause, detail, died_at)
SELECT %(queue)s, data, cause, detail, coalesce(nullif(died_at, 0), {CLOCK})
FROM unnest(%(data)b::bytea[], %(cause)b::text[], %(detail)b::text[], %(died_at)b::float8[])
  WITH ORDINALITY AS d (data, cause, detail, died_at, n)
ORDER BY n
"""
ADD_PARTIALS = """
INSERT INTO {p}_kv (queue, key, value)
SELECT %(queue)s, key, value FROM unnest(%(key)b::text[], %(value)b::bytea[]) AS v (key, value)
ORDER BY key
ON CONFLICT (queue, key) DO NOTHING RETURNING key
"""
COUNT_PARTIALS = """
INSERT INTO {p}_counter AS c (queue, key, value)
SELECT %(queue)s, key, amount FROM unnest(%(key)b::text[], %(amount)b::bigint[]) AS v (key, amount)
ORDER BY key
ON CONFLICT (queue, key) DO UPDATE SET value = c.value + excluded.value
"""
COUNTERS = """
SELECT key, value FROM {p}_counter WHERE queue = %(queue)s AND key = ANY (%(key)b::text[])
"""

#: Receipts of settlements whose fate is not known yet; more than so many are not remembered.
_DOUBTS_LIMIT = 10_000


class PostgresSettling(PostgresClaims):
    """Settle; needs: claims, queueing, values."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        #: Receipt → signature of the transaction that may have settled it.
        self._doubts: dict[str, Signature] = {}

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks.

        Each batch is written exactly once: when the reply to the commit is lost, the server is
        asked what became of it, now, or when the same settlements are tried again.

        Raises:
            StorageError: nothing was written; it may be tried again.
            ValueError: a settlement holds what cannot be stored; all others were written.
        """
        if not settlements:
            return []
        try:
            return self._settle_all(settlements)
        except Unstorable:
            if len(settlements) == 1:
                raise
        return self._settle_one_by_one(settlements)

    def _settle_one_by_one(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write all but what cannot be written, and then raise for that."""
        answers, wrong = [], None
        for settlement in settlements:
            try:
                answers += self._settle_all([settlement])
            except Unstorable as error:
                wrong = error
        if wrong is not None:
            raise wrong
        return answers

    def _settle_all(self, settlements: Sequence[Settlement]) -> list[Settled]:
        try:
            answers = self._certain(lambda c, ticket: self._settle(c, ticket, settlements))
        except InDoubt as error:
            self._note_doubt(settlements, error)
            raise
        self._no_longer_handed(
            [
                settlement.claim
                for settlement, answer in zip(settlements, answers, strict=True)
                if settlement.claim and answer is not Settled.CHORD_COMPLETE
            ]
        )
        return self._answers_without_doubt(settlements, answers)

    def _settle(
        self, connection: Connection[TupleRow], ticket: Ticket, settlements: Sequence[Settlement]
    ) -> list[Settled]:
        receipts = [self._receipt(s.claim) for s in settlements if s.claim is not None]
        with self._burst(connection):
            self._begin(connection, ticket)
            # Also without receipts: the reply proves that the signature has arrived.
            held = set[Receipt](self._lock_claims(connection, receipts))
            answers = self._decide(connection, settlements, held)
            writes = Writes()
            for settlement, answer in zip(settlements, answers, strict=True):
                if answer is Settled.DONE:
                    writes.add(settlement)
            ticket.result = answers
            self._write(connection, ticket, writes)
        return answers

    def _decide(
        self,
        connection: Connection[TupleRow],
        settlements: Sequence[Settlement],
        held: set[Receipt],
    ) -> list[Settled]:
        """Answer each settlement; steps of chords are recorded on the way."""
        answers = self._held_or_lost(settlements, held)
        steps = {
            index: settlement.chord
            for index, settlement in enumerate(settlements)
            if settlement.chord is not None and answers[index] is Settled.DONE
        }
        if steps:
            complete = self._record(connection, list(steps.values()))
            for index, is_complete in zip(steps, complete, strict=True):
                if is_complete:
                    answers[index] = Settled.CHORD_COMPLETE
        return answers

    def _held_or_lost(self, settlements: Sequence[Settlement], held: set[Receipt]) -> list[Settled]:
        """Answer as if there were no chords; a claim that stands twice is settled once."""
        answers, left = [], set(held)
        for settlement in settlements:
            is_held = True
            if settlement.claim is not None:
                receipt = self._receipt(settlement.claim)
                is_held = receipt in left
                left.discard(receipt)
            answers.append(Settled.DONE if is_held else Settled.LOST)
        return answers

    def _record(self, connection: Connection[TupleRow], steps: list[ChordStep]) -> list[bool]:
        first = {partial_of(step): step for step in reversed(steps)}
        values = [step.value for step in first.values()]
        cursor = self._do(connection, ADD_PARTIALS, key=list(first), value=values)
        new = {key for (key,) in cursor}
        amounts = Counter(keys.chord_counter(first[key].chord_id) for key in new)
        counters = sorted({keys.chord_counter(step.chord_id) for step in steps})
        if amounts:
            counted = {"key": list(amounts), "amount": list(amounts.values())}
            self._do(connection, COUNT_PARTIALS, **counted)
        cursor = self._do(connection, COUNTERS, key=counters)
        found: dict[str, int] = dict(cursor.fetchall())
        counts = {s.chord_id: found.get(keys.chord_counter(s.chord_id), 0) for s in steps}
        return completed(steps, new, counts)

    def _write(self, connection: Connection[TupleRow], ticket: Ticket, writes: Writes) -> None:
        self._write_all_but_messages(connection, writes)
        decision = decide(writes.outgoing, self._reserve(connection, writes.outgoing))
        self._write_decision(connection, decision)
        ticket.commit(connection)
        self._ring(connection, count_ready(decision.accepted))
        self._tell(connection, writes.values)

    def _write_all_but_messages(self, connection: Connection[TupleRow], writes: Writes) -> None:
        if writes.claims:
            self._do(connection, END_CLAIMS, id=[self._receipt(c)[0] for c in writes.claims])
        if writes.marked:
            digests = [hashlib.sha256(data).digest() for data in writes.marked]
            self._do(connection, END_MARKS, digest=digests)
        if writes.deleted:
            self._do(connection, DROP, key=sorted(writes.deleted))
        if writes.deleted_if:
            self._do(connection, DROP_IF, **pairs(writes.deleted_if))
        if writes.counters:
            self._do(connection, END_COUNTERS, key=sorted(writes.counters))
        self._store(connection, writes.values, {})
        if writes.dead:
            letters = [
                (letter.data, storable(letter.cause), storable(letter.detail), letter.died_at)
                for letter in writes.dead
            ]
            names = ("data", "cause", "detail", "died_at")
            self._do(connection, BURY, **columns(letters, names))

    # ── lost replies ───────────────────────────────────────────────────────────────────────────

    def _note_doubt(self, settlements: Sequence[Settlement], doubt: InDoubt) -> None:
        if len(self._doubts) > _DOUBTS_LIMIT:
            return
        for settlement, answer in zip(settlements, doubt.result, strict=True):
            if settlement.claim is not None and answer is Settled.DONE:
                self._doubts[settlement.claim.receipt] = doubt.signature

    def _answers_without_doubt(
        self, settlements: Sequence[Settlement], answers: list[Settled]
    ) -> list[Settled]:
        """Turn LOST into DONE where an earlier try of ours turns out to have been committed."""
        for index, settlement in enumerate(settlements):
            if self._doubts and settlement.claim is not None:
                signature = self._doubts.pop(settlement.claim.receipt, None)
                if (
                    signature is not None
                    and answers[index] is Settled.LOST
                    and self._is_written(signature)
                ):
                    answers[index] = Settled.DONE
        return answers
