"""What follows from finished tasks, written into memory; dead letters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from huey import keys
from huey.storage.delivery import ChordStep, DeadLetter, Settled, Settlement
from huey.storage.memory.claims import MemoryClaims


class MemorySettling(MemoryClaims):
    """Settle, and keep what is beyond help."""

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks."""
        with self._lock:
            return [self._settle(settlement) for settlement in settlements]

    def _settle(self, settlement: Settlement) -> Settled:
        claim = settlement.claim
        if claim is not None and claim.receipt not in self._claims:
            return Settled.LOST
        if settlement.chord is not None and self._completes(settlement.chord):
            return Settled.CHORD_COMPLETE
        if claim is not None:
            self._let_go(claim.receipt)
            if self._marks:
                self._marks.pop(claim.data, None)
        self._delete(settlement)
        for key, value in settlement.results:
            self._put(key, value)
        for message in settlement.outgoing:
            self._accept(message)
        if settlement.dead is not None:
            self._bury(settlement.dead)
        return Settled.DONE

    def _completes(self, step: ChordStep) -> bool:
        partial = keys.chord_partial(step.chord_id, step.index)
        counter = keys.chord_counter(step.chord_id)
        if self._live(partial) is None:
            self._put(partial, step.value)
            self._counters[counter] = self._counters.get(counter, 0) + 1
        return self._counters.get(counter) == step.size

    def _delete(self, settlement: Settlement) -> None:
        for key in settlement.delete:
            self._drop(key)
        for key, value in settlement.delete_if:
            self._drop_if(key, value)
        for key in settlement.delete_counters:
            self._counters.pop(key, None)

    def _bury(self, letter: DeadLetter) -> None:
        key = str(next(self._numbers))
        self._dead[key] = replace(letter, key=key, died_at=letter.died_at or time.time())

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List dead letters, the newest first."""
        with self._lock:
            return list(reversed(self._dead.values()))[offset : offset + limit]

    def dead_count(self) -> int:
        """Count the dead letters."""
        return len(self._dead)

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Move a dead letter back to the queue, its marks forgotten."""
        with self._lock:
            letter = self._dead.pop(key, None)
            if letter is None:
                return False
            self._marks.pop(letter.data, None)
            self._push(letter.data, priority)
            return True

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        with self._lock:
            return self._dead.pop(key, None) is not None

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove old dead letters, old marks and expired entries."""
        with self._lock:
            now = time.time()
            surplus = len(self._dead) - max_dead
            old_letters = [
                key
                for position, (key, letter) in enumerate(self._dead.items())
                if position < surplus or letter.died_at < now - max_dead_age
            ]
            old_marks = [
                data for data, mark in self._marks.items() if mark.touched < now - max_mark_age
            ]
            for key in old_letters:
                del self._dead[key]
            for data in old_marks:
                del self._marks[data]
            return len(old_letters) + len(old_marks) + self._drop_expired()
