"""What follows from a task, written to a classic storage step by step; dead letters in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from huey import keys
from huey.storage.base import BaseStorage
from huey.storage.classic.claims import ClassicClaims
from huey.storage.delivery import ChordStep, DeadLetter, Outgoing, Settled, Settlement

#: Dead letters that are kept; an operator who needs more needs a lossless storage.
_MAX_DEAD = 1000


class ClassicSettling(ClassicClaims):
    """Settle in the order of Huey 3.5.4."""

    def __init__(self, storage: BaseStorage, utc: bool = True) -> None:
        super().__init__(storage, utc)
        self._dead: dict[str, DeadLetter] = {}

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks."""
        return [self._settle(settlement) for settlement in settlements]

    def _settle(self, settlement: Settlement) -> Settled:
        claim = settlement.claim
        if claim is not None and not self._is_held(claim):
            return Settled.LOST
        if settlement.chord is not None and self._completes(settlement.chord):
            return Settled.CHORD_COMPLETE
        self._delete(settlement)
        for key, value in settlement.results:
            self.storage.put_data(key, value, is_result=True)
        for message in settlement.outgoing:
            self._accept(message)
        if settlement.dead is not None:
            self._bury(settlement.dead)
        # At the end: after an error on the way, the caller settles the claim again.
        if claim is not None:
            self._let_go(claim)
        return Settled.DONE

    def _completes(self, step: ChordStep) -> bool:
        partial = keys.chord_partial(step.chord_id, step.index)
        counter = keys.chord_counter(step.chord_id)
        with self._lock:
            if self.storage.has_data_for_key(partial):
                return self.storage.incr(counter, 0) == step.size
            # As a result, so that a storage whose results expire forgets an abandoned chord.
            self.storage.put_data(partial, step.value, is_result=True)
            return self.storage.incr(counter) == step.size

    def _delete(self, settlement: Settlement) -> None:
        for key in settlement.delete:
            self.storage.delete_data(key)
        for key, value in settlement.delete_if:
            self.unlock(key, value)
        for key in settlement.delete_counters:
            self.storage.delete_counter(key)

    def _bury(self, letter: DeadLetter) -> None:
        key = str(next(self._numbers))
        with self._lock:
            self._dead[key] = replace(letter, key=key, died_at=letter.died_at or self.now())
            if len(self._dead) > _MAX_DEAD:
                del self._dead[next(iter(self._dead))]

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List the dead letters of this process, the newest first."""
        with self._lock:
            return list(reversed(self._dead.values()))[offset : offset + limit]

    def dead_count(self) -> int:
        """Count the dead letters of this process."""
        return len(self._dead)

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Enqueue a dead letter again."""
        with self._lock:
            letter = self._dead.pop(key, None)
        if letter is None:
            return False
        self._marks.pop(letter.data, None)
        self._accept(Outgoing(letter.data, priority))
        return True

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        with self._lock:
            return self._dead.pop(key, None) is not None

    def flush_all(self) -> None:
        """Remove everything that belongs to this queue, and what this process remembers of it."""
        self.storage.flush_all()
        with self._lock:
            self._dead.clear()
            self._marks.clear()
            for member in self._members.values():
                member.claims.clear()

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove old dead letters."""
        oldest = self.now() - max_dead_age
        with self._lock:
            surplus = len(self._dead) - max_dead
            old = [
                key
                for place, (key, letter) in enumerate(self._dead.items())
                if place < surplus or letter.died_at < oldest
            ]
            for key in old:
                del self._dead[key]
        return len(old)
