"""What a batch of settlements writes, gathered so that a few statements can write all of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from huey import keys
from huey.storage.delivery import ChordStep, Claim, DeadLetter, Outgoing, Settlement


@dataclass(slots=True)
class Writes:
    """The net effect of several settlements, in order."""

    claims: list[Claim] = field(default_factory=list)
    values: dict[str, bytes] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    #: Key and value: deleted if that value still stands there.
    deleted_if: set[tuple[str, bytes]] = field(default_factory=set)
    counters: set[str] = field(default_factory=set)
    outgoing: list[Outgoing] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)

    def add(self, settlement: Settlement) -> None:
        """Add what follows from one more settlement."""
        if settlement.claim is not None:
            self.claims.append(settlement.claim)
        for key in settlement.delete:
            self.values.pop(key, None)
            self.deleted.add(key)
        for key, value in settlement.delete_if:
            self._delete_if(key, value)
        self.counters.update(settlement.delete_counters)
        for key, value in settlement.results:
            # It overwrites whatever stands there, so nothing needs to be deleted before.
            self.deleted.discard(key)
            self.values[key] = value
        self.outgoing += settlement.outgoing
        if settlement.dead is not None:
            self.dead.append(settlement.dead)

    def _delete_if(self, key: str, value: bytes) -> None:
        if key not in self.values:
            self.deleted_if.add((key, value))
        elif self.values[key] == value:
            del self.values[key]
            self.deleted.add(key)

    @property
    def marked(self) -> list[bytes]:
        """Messages that are done, and of which something is remembered."""
        return [claim.data for claim in self.claims if claim.attempt > 1 or claim.redelivered]


def completed(
    steps: Collection[ChordStep], new: Collection[str], counts: Mapping[str, int]
) -> list[bool]:
    """Tell for each step of a chord, in order, whether it completes its chord.

    Args:
        steps: what the members report.
        new: the partial results that were not there before.
        counts: the counter of each chord, with all new partial results.
    """
    left = set(new)
    reported = dict(counts)
    for step in {(step.chord_id, step.index): step for step in steps}.values():
        if partial_of(step) in left:
            reported[step.chord_id] -= 1
    answers = []
    for step in steps:
        if partial_of(step) in left:
            left.discard(partial_of(step))
            reported[step.chord_id] += 1
        answers.append(reported[step.chord_id] == step.size)
    return answers


def partial_of(step: ChordStep) -> str:
    """Name the entry that holds what a member of a chord returned."""
    return keys.chord_partial(step.chord_id, step.index)
