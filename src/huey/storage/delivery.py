"""The lossless contract: claim, settle, heartbeat, recover, promote.

A message that was accepted is in exactly one state: scheduled, ready, claimed by one consumer,
dead, or done. Every operation moves it atomically, and repeating one after a lost reply has the
effect of one: claims are addressed by a number that the consumer chose, settling an absent claim
does nothing. Only ``enqueue_many`` is never repeated blindly; a lost reply raises
``UnknownOutcome``.

The storage knows bytes, never tasks. Instants are true UTC epoch seconds by the storage's clock.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from huey.storage.guarding import GuardingStorage


def digest(data: bytes) -> str:
    """Name a message by its content; crash and attempt marks are kept under this name.

    SHA-1, in hex: Redis offers it to scripts, and a collision would only mix up two counters.
    """
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Claim:
    """A message held by one consumer until it is settled, released or recovered."""

    #: Names the claim to its storage; worthless once the claim was recovered.
    receipt: str
    data: bytes
    #: Which try this is, counting exceptions and crashes; 1 on the first delivery.
    attempt: int = 1
    #: How often a holder died while it held other messages, too.
    crashes_in_company: int = 0
    #: How often a holder died while it held this message only.
    crashes_alone: int = 0
    #: What killed the last holder, such as "signal 9"; None if nothing did or nobody knows.
    cause: str | None = None

    @property
    def redelivered(self) -> bool:
        """Whether an earlier holder died with this message."""
        return self.crashes_alone + self.crashes_in_company > 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """A key/value entry that must be free for a message to be enqueued, and is then taken by it.

    An entry that holds this very value is the message's own already (a retry): it refuses nothing.
    """

    key: str
    #: What is stored there: the id of the task, as text.
    value: str
    #: Seconds after which the entry vanishes by itself; None keeps it until it is freed.
    ttl: float | None = None
    #: Given: a standing entry does not refuse the message but is replaced, and these bytes are
    #: stored under the revocation key of the task id that stood there.
    revoke_with: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to the queue, or to the schedule if it has a due time."""

    data: bytes
    priority: float | None = None
    #: Epoch seconds; None: ready now.
    due: float | None = None
    #: Which try the next delivery will be, counting the ones before.
    attempt: int = 1
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class ChordStep:
    """What one member of a chord reports.

    The value is kept under ``keys.chord_partial`` unless one is there, and then the counter
    ``keys.chord_counter`` is raised; whether raised or not, the chord is complete if it equals
    the size.
    """

    chord_id: str
    index: int
    size: int
    value: bytes


class DeathCause(enum.StrEnum):
    """Why a message became a dead letter."""

    UNDECODABLE = "undecodable"
    UNKNOWN_TASK = "unknown task"
    CRASHED = "crashed its worker"
    WORKER_LOST = "worker lost"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is kept for people because it will not be tried again."""

    data: bytes
    cause: str
    #: One line for the operator: the exception, the signal number, the unknown name.
    detail: str = ""
    #: Epoch seconds; 0 lets the storage fill in its clock.
    died_at: float = 0.0
    #: Names the letter to its storage; empty until it is stored.
    key: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What follows from one task: all of it is written, atomically, or nothing.

    With a claim, it is written only while the claim is still held, and the marks of its message
    are forgotten. Without one (a task that was executed by hand), it is written in any case.
    Deletions come before what is stored and enqueued.
    """

    claim: Claim | None = None
    #: Values to store as results; who waits for them is woken.
    results: tuple[tuple[str, bytes], ...] = ()
    #: Retries and successors.
    outgoing: tuple[Outgoing, ...] = ()
    #: Key/value entries to delete.
    delete: tuple[str, ...] = ()
    #: Key/value entries to delete if they still hold this value (reservations, as text; locks).
    delete_if: tuple[tuple[str, bytes], ...] = ()
    #: Counters to delete.
    delete_counters: tuple[str, ...] = ()
    chord: ChordStep | None = None
    dead: DeadLetter | None = None


class Settled(enum.Enum):
    """What became of a settlement."""

    #: Written.
    DONE = "done"
    #: The claim was recovered meanwhile: nothing was written.
    LOST = "lost"
    #: The chord step was recorded and completes its chord. Nothing else was written and the claim
    #: is still held: settle again, without the step and with the callback.
    CHORD_COMPLETE = "chord complete"


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A message in the schedule."""

    #: Names the entry to its storage.
    token: str
    data: bytes
    #: The instant under which it is filed. Huey 3.5.4 may have filed it in local time.
    due: float


@dataclass(frozen=True, slots=True)
class Due:
    """What the schedule holds for now, and how long it can be left alone."""

    messages: tuple[Scheduled, ...]
    #: Seconds until the next entry is due, 0 if more is due now, None if nothing else waits.
    wait: float | None


@dataclass(frozen=True, slots=True)
class Move:
    """A scheduled message to be made ready, or filed under another time."""

    scheduled: Scheduled
    priority: float | None = None
    #: Epoch seconds to file it under instead; None: make it ready.
    due: float | None = None


@dataclass(frozen=True, slots=True)
class ConsumerRecord:
    """A consumer that has signed on and not off."""

    id: str
    #: Grows with each heartbeat; staleness is observed by watching it, never by comparing clocks.
    beat: int
    #: Host, pid and so on: see ``consumer/identity.py``.
    info: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    claims: int = 0


class ResultWaiter(Protocol):
    """Waits, for one thread, until results are stored."""

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        """Block until at least one of the keys has a value, and return those that have.

        Empty if ``timeout`` seconds pass, or ``poke`` is called, before that.
        """

    def poke(self) -> None:
        """Make ``wait`` return now; may be called from any thread."""

    def close(self) -> None:
        """Release what the waiter holds."""


class LosslessStorage(GuardingStorage):
    """A storage that keeps every message until its outcome is written."""

    lossless: ClassVar[bool] = True

    def now(self) -> float:
        """Read the storage's clock, in epoch seconds."""
        raise NotImplementedError

    def check(self) -> list[str]:
        """Say what about this server or file endangers a queue; one line for the operator each."""
        return []

    # ── producers ──────────────────────────────────────────────────────────────────────────────

    def enqueue_many(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Accept any number of messages, in one round trip and atomically.

        Returns:
            For each message None, or the value that stands in its reservation: with
            ``revoke_with`` the one that was replaced, otherwise the one that refused it.

        Raises:
            UnknownOutcome: the reply was lost; the messages may have been accepted.
        """
        raise NotImplementedError

    # ── consumers ──────────────────────────────────────────────────────────────────────────────

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known, so that what it claims can be recovered when it dies."""
        raise NotImplementedError

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; claims that it still holds are released without crash marks, and
        its locks are freed.
        """
        raise NotImplementedError

    def heartbeat(self, consumer: str) -> bool:
        """Prove life; False if the consumer is unknown, that is, was declared dead."""
        raise NotImplementedError

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers that have signed on and not off."""
        raise NotImplementedError

    def is_gone(self, record: ConsumerRecord) -> bool | None:
        """Tell for certain whether a consumer is dead, where the storage can; None if it cannot."""
        return None

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Give all that a dead consumer holds back to the front of the queue, with crash marks.

        Locks that it held are freed, and it is forgotten.

        Args:
            consumer: who died.
            beat: the heartbeat that the watcher saw last; nothing happens if it has changed.
                None: the watcher knows for certain.
            cause: what killed it, for the operator.

        Returns:
            How many messages were given back.
        """
        raise NotImplementedError

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Move up to ``limit`` messages from ready to claimed.

        Waits up to ``block`` seconds for the first one, and less if ``wake`` is called. An unknown
        consumer (declared dead) gets nothing.
        """
        raise NotImplementedError

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or that of the next one if none waits
        right now; may be called from any thread.
        """
        raise NotImplementedError

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks, all in one transaction where there is one."""
        raise NotImplementedError

    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims that did not start back to the front, in order; tells how many were held."""
        raise NotImplementedError

    # ── the clock ──────────────────────────────────────────────────────────────────────────────

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Look at the schedule, without changing it: at most ``limit`` messages that are due."""
        raise NotImplementedError

    def promote(self, moves: Sequence[Move]) -> int:
        """Move messages that are still scheduled; returns how many were."""
        raise NotImplementedError

    def unverified(self, limit: int = 500) -> list[Scheduled]:
        """List scheduled messages whose filing time was not written by us, so may be local time.

        Each is listed once per storage object; ``promote`` files it under the right time.
        """
        return []

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue a periodic task's message unless this tick, or a later one, exists already."""
        raise NotImplementedError

    def last_ticks(self) -> dict[str, float]:
        """Read the planned time of the last tick of each periodic task."""
        raise NotImplementedError

    # ── waiting for results ────────────────────────────────────────────────────────────────────

    def result_waiter(self) -> ResultWaiter:
        """Give a waiter for one thread; close it after use."""
        raise NotImplementedError

    # ── dead letters ───────────────────────────────────────────────────────────────────────────

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List dead letters, the newest first."""
        raise NotImplementedError

    def dead_count(self) -> int:
        """Count the dead letters."""
        raise NotImplementedError

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Move a dead letter back to the queue, its marks forgotten; False if it is not there."""
        raise NotImplementedError

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        raise NotImplementedError

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove what nobody needs any more: old dead letters, marks of messages that are gone,
        expired locks and reservations. At most some hundred entries a call.

        Args:
            max_dead: how many dead letters are kept.
            max_dead_age: for how many seconds.
            max_mark_age: seconds after which a mark that was not touched is forgotten.

        Returns:
            How many entries were removed.
        """
        raise NotImplementedError
