"""Pipelines and chords finish, and every callback runs once, under kills at random moments."""

import random
import select
from collections.abc import Callable

import pytest

from huey import chord
from tests.processes import Application, wait_until

CHAINS = CHORDS = 200
MEMBERS = 10
KILLS = 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["thread", "process"])
def test_every_chain_and_every_chord_finishes(
    app: Application, kind: str, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(10**6)
    record_property("seed", seed)
    dice = random.Random(seed)
    module, huey = app.module, app.huey

    chains = [
        huey.enqueue(module.add.s(n, 0).then(module.add, 1).then(module.add, 1))
        for n in range(CHAINS)
    ]
    chords = [
        huey.enqueue(chord([module.add.s(n, i) for i in range(MEMBERS)], module.noted_sum.s(n)))
        for n in range(CHORDS)
    ]
    for _ in range(KILLS):
        consumer = app.start_consumer("-k", kind, "-w", "4")
        consumer.wait_for_log("Huey consumer started")
        # Killed somewhere in the middle, wherever that is.
        select.select([], [], [], dice.uniform(0.05, 0.6))
        consumer.kill()
    app.start_consumer("-k", kind, "-w", "4")

    assert [chain.get(blocking=True, timeout=60)[-1] for chain in chains] == [
        n + 2 for n in range(CHAINS)
    ]
    expected = [sum(n + i for i in range(MEMBERS)) for n in range(CHORDS)]
    assert [c.get(blocking=True, timeout=60) for c in chords] == expected
    wait_until(lambda: len(huey) == 0, "an empty queue")
    # A callback that ran when its worker was killed runs again; it is never enqueued twice.
    callbacks = app.notes()
    assert set(callbacks) == {f"callback {n}" for n in range(CHORDS)}
    assert callbacks.total() - CHORDS <= KILLS * 4
    assert huey.storage.dead_count() == 0
