"""What follows from finished tasks, as one record in the journal for many."""

from __future__ import annotations

from collections.abc import Sequence

from huey import keys
from huey.storage.delivery import ChordStep, DeadLetter, Outgoing, Settled, Settlement
from huey.storage.file import disk, layout
from huey.storage.file.claims import FileClaims
from huey.storage.file.work import Work


class FileSettling(FileClaims):
    """Enqueue, settle, and keep what is beyond help."""

    def enqueue_many(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Accept any number of messages, atomically.

        Raises:
            ValueError: a priority is below 0 or above 65535.
        """
        for message in messages:
            layout.checked_priority(message.priority)
        with self._working(durable=True) as work:
            return [work.accept(message) for message in messages]

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks."""
        with self._working(durable=True) as work:
            return [_settle(work, settlement) for settlement in settlements]

    # ── dead letters ───────────────────────────────────────────────────────────────────────────

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List dead letters, the newest first."""
        with self._working() as work:
            names = sorted(disk.names_in(self._at(layout.DEAD)), reverse=True)
            letters = [letter_in(work, name) for name in names[offset : offset + limit]]
            return [letter for letter in letters if letter is not None]

    def dead_count(self) -> int:
        """Count the dead letters."""
        return len(disk.names_in(self._at(layout.DEAD)))

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Move a dead letter back to the queue, its marks forgotten."""
        with self._working(durable=True) as work:
            letter = letter_in(work, key) if key.isalnum() else None
            if letter is None:
                return False
            work.remove(f"{layout.DEAD}/{key}")
            work.forget_marks(letter.data)
            work.push(letter.data, priority)
            return True

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        with self._working() as work:
            path = f"{layout.DEAD}/{key}"
            if not key.isalnum() or not work.exists(path):
                return False
            work.remove(path)
            return True


def _settle(work: Work, settlement: Settlement) -> Settled:
    claim = settlement.claim
    if claim is not None and not work.exists(claim.receipt):
        return Settled.LOST
    if settlement.chord is not None and _completes(work, settlement.chord):
        return Settled.CHORD_COMPLETE
    if claim is not None:
        work.end(claim)
    _delete(work, settlement)
    for key, value in settlement.results:
        work.put(key, value)
    for message in settlement.outgoing:
        work.accept(message)
    if settlement.dead is not None:
        work.bury(settlement.dead)
    return Settled.DONE


def _delete(work: Work, settlement: Settlement) -> None:
    for key in settlement.delete:
        work.drop(key)
    for key, value in settlement.delete_if:
        work.drop_if(key, value)
    for key in settlement.delete_counters:
        work.delete_counter(key)


def _completes(work: Work, step: ChordStep) -> bool:
    partial = keys.chord_partial(step.chord_id, step.index)
    counter = keys.chord_counter(step.chord_id)
    if work.live(partial) is None:
        work.put(partial, step.value)
        work.count(counter, 1)
    return work.counter(counter) == step.size


def letter_in(work: Work, name: str) -> DeadLetter | None:
    """Read a dead letter; None if there is none under this name."""
    head, _, data = (work.read(f"{layout.DEAD}/{name}") or b"").partition(b"\n")
    facts = layout.from_json(head)
    return None if facts is None else DeadLetter(data, **facts, key=name)
