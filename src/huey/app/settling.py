"""From what follows from a task to the one write in the storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey import keys
from huey.app import outbox
from huey.app.queueing import Queueing
from huey.execution.settlement import Aftermath, reporting_task
from huey.storage.delivery import ChordStep, Claim, Settled, Settlement

if TYPE_CHECKING:
    from huey.tasks.task import Task

#: How many partial results of a chord are read in one call.
_PARTIALS = 1000


class Settling(Queueing):
    """Writing outcomes, and completing chords."""

    def settlement_of(self, aftermath: Aftermath, claim: Claim | None) -> Settlement:
        """Freeze what follows from a task into what the storage writes."""
        return Settlement(
            claim,
            tuple(aftermath.results.items()),
            tuple(aftermath.outgoing),
            tuple(aftermath.delete),
            tuple(aftermath.delete_if),
            tuple(aftermath.delete_counters),
            aftermath.chord,
            aftermath.dead,
        )

    def _settle(self, task: Task, aftermath: Aftermath) -> None:
        """Write what follows from a task: through its consumer, or here and now."""
        if task._delivery is not None:
            task._delivery.settle(task, aftermath)
            return
        self._settle_here(aftermath)
        for follower in aftermath.tasks:
            self.execute(follower)

    def _settle_here(self, aftermath: Aftermath) -> None:
        storage = self._lossless
        [settled] = storage.settle([self.settlement_of(aftermath, None)])
        if settled is Settled.CHORD_COMPLETE:
            self.complete_chord(aftermath)
            storage.settle([self.settlement_of(aftermath, None)])

    # ── chords ─────────────────────────────────────────────────────────────────────────────────

    def _report_to_chord(self, task: Task, raw: bytes, aftermath: Aftermath) -> None:
        """Note what a member of a chord has come to, if the task is one or leads to one."""
        reporter = reporting_task(task)
        if reporter is None or reporter.chord_config is None:
            return
        config = reporter.chord_config
        aftermath.chord = ChordStep(config.cid, config.idx, config.size, raw)
        aftermath.chord_task = reporter

    def complete_chord(self, aftermath: Aftermath) -> None:
        """Replace the report of the last member by the callback of its chord.

        The storage has recorded the report and kept the claim. What is added here is written
        together with everything else that follows from that member, so the callback is enqueued
        once, however often this is repeated after a crash.
        """
        assert aftermath.chord_task is not None
        assert aftermath.chord_task.chord_config is not None
        config = aftermath.chord_task.chord_config
        partials = [keys.chord_partial(config.cid, index) for index in range(config.size)]
        values = self._read_partials(partials)
        callback = self._copy_with(config.callback, values)
        with outbox.collecting(self, aftermath):
            self.enqueue(callback)
        aftermath.delete.extend(partials)
        aftermath.delete_counters.append(keys.chord_counter(config.cid))
        aftermath.chord = None

    def _read_partials(self, partials: list[str]) -> list[Any]:
        values: list[Any] = []
        for start in range(0, len(partials), _PARTIALS):
            some = partials[start : start + _PARTIALS]
            found: dict[Any, bytes] = self.storage.peek_many(some)
            values.extend(
                self.serializer.deserialize(found[key]) if key in found else None for key in some
            )
        return values
