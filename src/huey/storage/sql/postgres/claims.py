"""Consumers in PostgreSQL, and what they hold.

A claim changes only the ``queue`` of a row, to a name that no consumer of Huey 3.5.4 asks for. The
row keeps its id and priority, so giving it back restores the exact order. A receipt holds the row's
``xmin``, the number of the transaction that claimed it: it fits no later claim.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from huey.storage.delivery import Claim, ConsumerRecord
from huey.storage.sql.postgres.core import CLOCK, Row, storable
from huey.storage.sql.postgres.errors import ConnectionLost
from huey.storage.sql.postgres.listening import Listener, Listeners, Waker
from huey.storage.sql.postgres.queueing import PostgresQueueing

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.rows import TupleRow

#: A crash of the server may undo a claim or a heartbeat, so they need not wait for its disk: the
#: message is ready again, and its receipt is worth nothing.
QUICK = "set_config('synchronous_commit', 'off', true)"
SIGN_ON = """
INSERT INTO {p}_consumer (queue, id, info) VALUES (%(queue)s, %(consumer)s, %(info)s)
ON CONFLICT (queue, id) DO UPDATE SET info = excluded.info
"""
HEARTBEAT = f"""
UPDATE {{p}}_consumer SET beat = beat + 1 FROM (SELECT {QUICK}) AS quick
WHERE queue = %(queue)s AND id = %(consumer)s
"""
CONSUMERS = """
SELECT c.id, c.beat, c.info, (
  SELECT count(*) FROM {p}_task t WHERE t.queue = c.queue || chr(31) || c.id)
FROM {p}_consumer c WHERE c.queue = %(queue)s ORDER BY c.id
"""
#: LIMIT keeps it a look-up: as a join, it may be planned as a scan of all marks.
MARK_OF = """
  SELECT attempt, crashes_in_company, crashes_alone, cause FROM {p}_mark
  WHERE queue = %(queue)s AND digest = sha256(t.data) LIMIT 1"""
#: The lock on the consumer's row makes recovery wait for this claim, or this claim find nobody:
#: nothing is left behind in the name of a consumer that was forgotten. It is taken only with
#: messages, so that looking at an empty queue writes nothing.
CLAIM = f"""
WITH known AS MATERIALIZED (
  SELECT FROM {{p}}_consumer WHERE queue = %(queue)s AND id = %(consumer)s
), first AS MATERIALIZED (
  SELECT id FROM {{p}}_task WHERE queue = %(queue)s AND EXISTS (SELECT FROM known)
  ORDER BY priority DESC, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), me AS MATERIALIZED (
  SELECT {QUICK} FROM {{p}}_consumer
  WHERE queue = %(queue)s AND id = %(consumer)s AND EXISTS (SELECT FROM first) FOR KEY SHARE
), waiter AS (
  DELETE FROM {{p}}_waiter
  WHERE queue = %(queue)s AND id = %(consumer)s AND EXISTS (SELECT FROM first)
), taken AS (
  UPDATE {{p}}_task SET queue = %(held)s
  WHERE id = ANY (ARRAY(SELECT id FROM first)) AND EXISTS (SELECT FROM me)
  RETURNING id, xmin::text AS xmin, data, priority
)
SELECT t.id, t.xmin, t.data, m.*
FROM known LEFT JOIN taken t ON true LEFT JOIN LATERAL ({MARK_OF}) m ON true
ORDER BY t.priority DESC, t.id
"""
HELD = f"""
SELECT t.id, t.xmin::text, t.data, m.*
FROM {{p}}_task t LEFT JOIN LATERAL ({MARK_OF}) m ON true
WHERE t.queue = %(held)s ORDER BY t.priority DESC, t.id
"""
WAIT = f"""
INSERT INTO {{p}}_waiter AS w (queue, id, kind, since)
VALUES (%(queue)s, %(id)s, %(kind)s, {CLOCK})
ON CONFLICT (queue, id) DO UPDATE SET since = excluded.since
"""
WAIT_NO_MORE = "DELETE FROM {p}_waiter WHERE queue = %(queue)s AND id = %(id)s"
#: Locked in the order of ids, so that nobody waits in a circle.
LOCK_CLAIMS = """
SELECT id, xmin::text, queue FROM {p}_task
WHERE id = ANY (%(id)b::bigint[]) AND queue = ANY (%(held)b::text[]) ORDER BY id FOR UPDATE
"""
RELEASE = "UPDATE {p}_task SET queue = %(queue)s WHERE id = ANY (%(id)b::bigint[])"
FORGET = """
DELETE FROM {p}_consumer
WHERE queue = %(queue)s AND id = %(consumer)s AND beat = coalesce(%(beat)s::bigint, beat)
"""
#: Not in the same statement as FORGET: this one has to see what a last claim did meanwhile.
GIVE_BACK = f"""
WITH held AS MATERIALIZED (
  SELECT id FROM {{p}}_task WHERE queue = %(held)s ORDER BY id FOR UPDATE
), back AS (
  UPDATE {{p}}_task SET queue = %(queue)s WHERE id = ANY (ARRAY(SELECT id FROM held))
  RETURNING data
), marks AS (
  INSERT INTO {{p}}_mark AS m
    (queue, digest, attempt, crashes_alone, crashes_in_company, cause, touched)
  SELECT %(queue)s, sha256(data), 2,
    ((SELECT count(*) FROM back) = 1)::int, ((SELECT count(*) FROM back) > 1)::int,
    %(cause)s::text, {CLOCK}
  FROM back WHERE %(crashed)s GROUP BY 2 ORDER BY 2
  ON CONFLICT (queue, digest) DO UPDATE
  SET attempt = m.attempt + 1,
    crashes_alone = m.crashes_alone + excluded.crashes_alone,
    crashes_in_company = m.crashes_in_company + excluded.crashes_in_company,
    cause = excluded.cause, touched = excluded.touched
)
SELECT count(*) FROM back
"""
#: Locks end with their holder, and so do its places and its wish to be rung.
FREE = """
WITH leases AS (
  DELETE FROM {p}_lease WHERE queue = %(queue)s AND holder = %(consumer)s RETURNING key, value
), places AS (
  DELETE FROM {p}_place WHERE queue = %(queue)s AND holder = %(consumer)s
), waiter AS (DELETE FROM {p}_waiter WHERE queue = %(queue)s AND id = %(consumer)s)
DELETE FROM {p}_kv k
WHERE k.queue = %(queue)s AND k.key = ANY (ARRAY(SELECT key FROM leases))
  AND EXISTS (SELECT FROM leases l WHERE l.key = k.key AND l.value = k.value)
"""

#: What a receipt consists of: row, transaction, and the queue that the row was moved to.
Receipt = tuple[int, str, str]
#: How often one that waits looks by itself, in seconds: for what was announced to a consumer that
#: died just then, and where nothing can be announced.
LOOK_AGAIN = 1.0
#: The same where a pooler makes announcements impossible.
POLL = (0.01, 0.5)


class PostgresClaims(PostgresQueueing):
    """Sign on, claim, release, recover."""

    #: Whether notifications may be used: False polls.
    blocking: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listeners = Listeners(self._open, self._names.channel)
        self._wakers: dict[str, Waker] = {}
        #: Row and transaction of claims that have reached the caller, by consumer.
        self._handed: dict[str, set[tuple[int, str]]] = {}
        #: Consumers to whose last claim the reply was lost.
        self._doubtful: set[str] = set()

    # ── consumers ──────────────────────────────────────────────────────────────────────────────

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known; a second time it only changes the info."""
        self._count(SIGN_ON, consumer=consumer, info=json.dumps(dict(info)))

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; its claims are released without marks, its locks are freed."""
        self._forget(consumer, None, None, crashed=False)

    def heartbeat(self, consumer: str) -> bool:
        """Prove life; False if the consumer is unknown."""
        beaten = self._run(
            lambda c: self._do(c, HEARTBEAT, consumer=consumer).rowcount, urgent=True
        )
        return beaten == 1

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers that have signed on and not off."""
        return [
            ConsumerRecord(name, beat, json.loads(info), claims)
            for name, beat, info, claims in self._all(CONSUMERS)
        ]

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Give back, with crash marks, what a dead consumer holds, and forget it."""
        return self._forget(consumer, beat, cause, crashed=True)

    def _forget(self, consumer: str, beat: int | None, cause: str | None, *, crashed: bool) -> int:
        def forget(connection: Connection[TupleRow]) -> int:
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            known = self._do(connection, FORGET, consumer=consumer, beat=beat).rowcount
            given = 0
            if known or (beat is None and crashed):
                given = self._give_back(connection, consumer, cause, crashed)
            with self._burst(connection):
                connection.execute("COMMIT")
                self._ring(connection, given)
            return given

        self._handed.pop(consumer, None)
        self._doubtful.discard(consumer)
        return self._run(forget)

    def _give_back(
        self, connection: Connection[TupleRow], consumer: str, cause: str | None, crashed: bool
    ) -> int:
        with self._burst(connection):
            cursor = self._do(
                connection,
                GIVE_BACK,
                held=self._names.held_by(consumer),
                cause=None if cause is None else storable(cause),
                crashed=crashed,
            )
            self._do(connection, FREE, consumer=consumer)
        return int(cursor.fetchall()[0][0])

    # ── claims ─────────────────────────────────────────────────────────────────────────────────

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Move up to ``limit`` messages from ready to claimed; waits up to ``block`` seconds."""
        if limit <= 0:
            return []
        found = self._take(consumer, limit)
        if found or found is None or block <= 0:
            return found or []
        if self.blocking and not self._pooled:
            return self._wait_and_take(consumer, limit, time.monotonic() + block)
        return self._poll_and_take(consumer, limit, time.monotonic() + block)

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or that of the next one."""
        self._waker(consumer).wake()

    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims that did not start back to their place in the queue."""
        if not claims:
            return 0
        receipts = [self._receipt(claim) for claim in claims]

        def give(connection: Connection[TupleRow]) -> int:
            with self._burst(connection):
                connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                locked = self._lock_claims(connection, receipts)
            held = [number for number, _, _ in set(receipts).intersection(locked)]
            with self._burst(connection):
                self._do(connection, RELEASE, id=held)
                connection.execute("COMMIT")
                self._ring(connection, len(held))
            return len(held)

        given = self._run(give)
        self._no_longer_handed(claims)
        return given

    def _waker(self, consumer: str) -> Waker:
        waker = self._wakers.get(consumer)
        if waker is None:
            waker = self._wakers.setdefault(consumer, Waker())
        return waker

    def _take(self, consumer: str, limit: int, announce: bool = False) -> list[Claim] | None:
        """Claim what is there now; None if the consumer is unknown.

        Args:
            consumer: who claims.
            limit: at most how many.
            announce: sign up for a ring first, in case there is nothing.
        """
        for _ in range(2):
            if consumer in self._doubtful and (found := self._claimed_without_knowing(consumer)):
                return found
            try:
                rows = self._run(
                    lambda c: self._take_now(c, consumer, limit, announce), again=False
                )
                return None if not rows else self._claims_of(consumer, rows)
            except ConnectionLost:
                self._doubtful.add(consumer)
        return self._claimed_without_knowing(consumer)

    def _take_now(
        self, connection: Connection[TupleRow], consumer: str, limit: int, announce: bool
    ) -> list[Row]:
        wanted = {"consumer": consumer, "limit": limit, "held": self._names.held_by(consumer)}
        if not announce:
            return self._do(connection, CLAIM, **wanted).fetchall()
        with self._burst(connection) as end:
            self._do(connection, WAIT, id=consumer, kind="consumer")
            end()
            cursor = self._do(connection, CLAIM, **wanted)
        return cursor.fetchall()

    def _claimed_without_knowing(self, consumer: str) -> list[Claim]:
        """Read claims whose reply was lost."""
        rows = self._all(HELD, held=self._names.held_by(consumer))
        handed = self._handed.get(consumer, set())
        self._handed[consumer] = handed & {row[:2] for row in rows}
        self._doubtful.discard(consumer)
        return self._claims_of(consumer, [row for row in rows if row[:2] not in handed])

    def _claims_of(self, consumer: str, rows: Collection[Row]) -> list[Claim]:
        handed = self._handed.setdefault(consumer, set())
        claims = []
        for number, xmin, data, *mark in rows:
            if number is not None:
                handed.add((number, xmin))
                known = mark if mark[0] is not None else ()
                claims.append(Claim(f"{number}.{xmin}.{consumer}", data, *known))
        return claims

    def _lock_claims(
        self, connection: Connection[TupleRow], receipts: Collection[Receipt]
    ) -> Cursor[TupleRow]:
        """Lock what is held; gives the receipts that are good, and perhaps others."""
        numbers = [number for number, _, _ in receipts]
        queues = list({queue for _, _, queue in receipts})
        return self._do(connection, LOCK_CLAIMS, id=numbers, held=queues)

    def _receipt(self, claim: Claim) -> Receipt:
        number, xmin, consumer = claim.receipt.split(".", 2)
        return int(number), xmin, self._names.held_by(consumer)

    def _no_longer_handed(self, claims: Collection[Claim]) -> None:
        for claim in claims:
            number, xmin, consumer = claim.receipt.split(".", 2)
            self._handed.get(consumer, set()).discard((int(number), xmin))

    def _wait_and_take(self, consumer: str, limit: int, deadline: float) -> list[Claim]:
        waker, listener = self._waker(consumer), self._listeners.mine()
        was_rung = False
        while True:
            listener.start()
            # Who was rung finds something, most of the time; only who does not, signs up again.
            found = self._take(consumer, limit) if was_rung else []
            found = found or self._take(consumer, limit, announce=True)
            if found or found is None:
                return found or []
            look_again = time.monotonic() + LOOK_AGAIN * random.uniform(0.8, 1.2)
            was_rung = self._was_rung(consumer, listener, min(look_again, deadline))
            if waker.was_woken() or time.monotonic() >= deadline:
                return self._leave(consumer, limit)

    def _was_rung(self, consumer: str, listener: Listener, until: float) -> bool:
        """Wait for a ring, or for anything else after which one has to look."""
        waker = self._waker(consumer)
        while (left := until - time.monotonic()) > 0:
            notes = listener.wait(left, waker)
            if consumer in notes or "" in notes:
                return True
            if listener.connection is None or waker.is_set():
                return False
        return False

    def _leave(self, consumer: str, limit: int) -> list[Claim]:
        """Stop waiting; who was rung just now takes what the ring was for."""
        was_rung = not self._count(WAIT_NO_MORE, id=consumer)
        return self._take(consumer, limit) or [] if was_rung else []

    def _poll_and_take(self, consumer: str, limit: int, deadline: float) -> list[Claim]:
        pause, longest = POLL
        while (left := deadline - time.monotonic()) > 0:
            if self._waker(consumer).wait(min(left, pause * random.uniform(0.8, 1.2))):
                return []
            found = self._take(consumer, limit)
            if found or found is None:
                return found or []
            pause = min(pause * 1.5, longest)
        return []
