"""A model of the lossless contract, and a machine that compares a storage with it, step by step.

Each accepted message is in exactly one state; stale receipts change nothing; order is by priority,
then arrival; a repeated call has the effect of one; another client sees the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from huey.storage.delivery import (
    Claim,
    DeadLetter,
    LosslessStorage,
    Move,
    Outgoing,
    Settled,
    Settlement,
)
from huey.testing.storage_contract.harness import Harness, MakeStorage, claim_all

CONSUMERS = ("c0", "c1", "c2")
#: An instant in the past; the schedule of the model lies behind it, so that no clock plays a part.
THEN = 1_000_000_000.0

_queues = count()


@dataclass
class Known:
    """What the model knows about one message."""

    data: bytes
    priority: int = 0
    place: int = 0
    attempt: int = 1
    alone: int = 0
    company: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Return the place in the queue."""
        return (-self.priority, self.place)


@dataclass
class Model:
    """In which state each message is."""

    ready: list[Known] = field(default_factory=list)
    scheduled: list[tuple[float, int, Known]] = field(default_factory=list)
    claimed: dict[str, list[tuple[Claim, Known]]] = field(default_factory=dict)
    stale: list[Claim] = field(default_factory=list)
    results: dict[str, bytes] = field(default_factory=dict)
    dead: list[bytes] = field(default_factory=list)
    ticks: dict[str, float] = field(default_factory=dict)

    def push(self, known: Known) -> None:
        """Make a message ready."""
        insort(self.ready, known, key=lambda item: item.rank)

    def file(self, due: float, known: Known) -> None:
        """Put a message on the schedule."""
        insort(self.scheduled, (due, known.place, known), key=lambda item: item[:2])


class StorageMachine(RuleBasedStateMachine):
    """Drives one queue of a storage, through one or two clients, and a model beside it."""

    def __init__(self, make: Callable[[], LosslessStorage], harness: Harness) -> None:
        super().__init__()
        self.make = make
        self.harness = harness
        self.storage = make()
        self.storage.flush_all()
        self.model = Model()
        self.numbers = count(1)
        self.fronts = count(-1, -1)
        self.moves: list[Move] = []

    def teardown(self) -> None:
        """Leave nothing behind for the next run, which may use the same queue."""
        for record in self.storage.consumers():
            self.storage.sign_off(record.id)
        self.storage.flush_all()
        self.storage.close()

    def new(self, priority: int = 0, attempt: int = 1) -> Known:
        """Make up a message that was never seen before."""
        number = next(self.numbers)
        priority = priority if self.harness.supports_priority else 0
        return Known(b"m%06d" % number, priority, number, attempt)

    def outgoing(self, known: Known, due: float | None = None) -> Outgoing:
        """Describe a message for the storage."""
        return Outgoing(known.data, known.priority or None, due, known.attempt)

    def pick(self, data: st.DataObject) -> tuple[str, list[tuple[Claim, Known]]]:
        """Choose a consumer, and some of what it holds, in the order of claiming."""
        holders = sorted(name for name, claims in self.model.claimed.items() if claims)
        name = data.draw(st.sampled_from(holders))
        claims = self.model.claimed[name]
        chosen = data.draw(st.sets(st.sampled_from(range(len(claims))), min_size=1))
        return name, [claims[index] for index in sorted(chosen)]

    def let_go(self, name: str, chosen: list[tuple[Claim, Known]]) -> None:
        """Take claims from a consumer; their receipts are stale from now on."""
        for pair in chosen:
            self.model.claimed[name].remove(pair)
            self.model.stale.append(pair[0])

    def give_back(self, chosen: list[tuple[Claim, Known]]) -> None:
        """Put messages back to their place, or to the front."""
        # The last one first, so that the first one ends up in front of all.
        for _, known in reversed(chosen):
            if not self.harness.gives_back_in_place:
                known.place = next(self.fronts)
            self.model.push(known)

    @initialize(priorities=st.lists(st.sampled_from([0, 0, 1, 7]), min_size=4, max_size=9))
    def begin(self, priorities: list[int]) -> None:
        """Start with somebody at work, else most short runs would only look at an empty queue."""
        self.enqueue(priorities)
        self.claim("c0", 3)
        self.claim("c1", 1)

    # ── producers ──────────────────────────────────────────────────────────────────────────────

    @rule(priorities=st.lists(st.sampled_from([0, 0, 1, 7]), min_size=1, max_size=6))
    def enqueue(self, priorities: list[int]) -> None:
        """Accept several messages."""
        batch = [self.new(priority) for priority in priorities]
        assert self.storage.enqueue_many([self.outgoing(known) for known in batch]) == [None] * len(
            batch
        )
        for known in batch:
            self.model.push(known)

    @rule(offsets=st.lists(st.integers(0, 5), min_size=1, max_size=4), attempt=st.integers(1, 3))
    def schedule(self, offsets: list[int], attempt: int) -> None:
        """Accept several messages for later."""
        for offset in offsets:
            known = self.new(attempt=attempt)
            self.storage.enqueue_many([self.outgoing(known, THEN + offset)])
            self.model.file(THEN + offset, known)

    @rule(name=st.sampled_from(["t", "u"]), planned=st.integers(0, 20))
    def tick(self, name: str, planned: int) -> None:
        """Let a periodic task happen, or find that it has."""
        known = self.new()
        fresh = self.model.ticks.get(name, -1.0) < planned
        assert self.storage.tick(name, float(planned), self.outgoing(known)) is fresh
        assert self.storage.tick(name, float(planned), self.outgoing(self.new())) is False
        if fresh:
            self.model.ticks[name] = float(planned)
            self.model.push(known)

    # ── consumers ──────────────────────────────────────────────────────────────────────────────

    @rule(name=st.sampled_from(CONSUMERS))
    def sign_on(self, name: str) -> None:
        """Start a consumer; a second time changes nothing."""
        self.storage.sign_on(name, {"pid": 1})
        self.model.claimed.setdefault(name, [])

    @rule(name=st.sampled_from(CONSUMERS))
    def claim_without_signing_on(self, name: str) -> None:
        """An unknown consumer gets nothing."""
        if name not in self.model.claimed:
            assert self.storage.claim(name, 1) == []

    @precondition(lambda self: self.model.ready)
    @rule(name=st.sampled_from(CONSUMERS), limit=st.integers(1, 5))
    def claim(self, name: str, limit: int) -> None:
        """Claim from the front."""
        if name not in self.model.claimed:
            self.sign_on(name)
        claims = self.storage.claim(name, limit)
        assert len(claims) == min(limit, len(self.model.ready))
        for claim in claims:
            known = self.model.ready.pop(0)
            seen = (claim.data, claim.attempt, claim.crashes_alone, claim.crashes_in_company)
            assert seen == (known.data, known.attempt, known.alone, known.company)
            self.model.claimed[name].append((claim, known))

    @precondition(lambda self: any(self.model.claimed.values()))
    @rule(data=st.data(), kind=st.sampled_from(["done", "retry", "later", "dead"]))
    def settle(self, data: st.DataObject, kind: str) -> None:
        """Finish tasks, and finish them again."""
        name, chosen = self.pick(data)
        settlements = [self.settlement(claim, known, kind) for claim, known in chosen]
        assert self.storage.settle(settlements) == [Settled.DONE] * len(chosen)
        assert self.storage.settle(settlements) == [Settled.LOST] * len(chosen)
        self.let_go(name, chosen)

    def settlement(self, claim: Claim, known: Known, kind: str) -> Settlement:
        """Describe what follows from a task, to the storage and to the model."""
        number = next(self.numbers)
        key, value = f"r{known.data.decode()}", b"%d" % number
        self.model.results[key] = value
        again = Known(known.data, known.priority, number, known.attempt + 1)
        match kind:
            case "retry":
                self.model.push(again)
                return Settlement(claim, ((key, value),), (self.outgoing(again),))
            case "later":
                again.priority = 0
                self.model.file(THEN + 2, again)
                return Settlement(claim, ((key, value),), (self.outgoing(again, THEN + 2),))
            case "dead":
                self.model.dead.append(known.data)
                return Settlement(claim, ((key, value),), dead=DeadLetter(known.data, "failed"))
            case _:
                return Settlement(claim, ((key, value),))

    @precondition(lambda self: any(self.model.claimed.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Give claims back, and give them back again."""
        name, chosen = self.pick(data)
        claims = [claim for claim, _ in chosen]
        assert self.storage.release(claims) == len(claims)
        assert self.storage.release(claims) == 0
        self.let_go(name, chosen)
        self.give_back(chosen)

    @precondition(lambda self: self.model.stale)
    @rule(data=st.data())
    def use_stale_receipts(self, data: st.DataObject) -> None:
        """Come back from the dead."""
        claims = data.draw(st.lists(st.sampled_from(self.model.stale), max_size=4))
        late = [
            Settlement(claim, (("stale", b"1"),), (Outgoing(b"stale"),), delete=("stale",))
            for claim in claims
        ]
        assert self.storage.settle(late) == [Settled.LOST] * len(claims)
        assert self.storage.release(claims) == 0

    @rule(name=st.sampled_from(CONSUMERS))
    def beat(self, name: str) -> None:
        """Prove life; what a watcher saw before is outdated then."""
        before = {record.id: record.beat for record in self.storage.consumers()}
        known = name in self.model.claimed
        assert self.storage.heartbeat(name) is known
        if known:
            assert self.storage.recover(name, before[name]) == 0

    @rule(name=st.sampled_from(CONSUMERS), watched=st.booleans())
    def recover(self, name: str, watched: bool) -> None:
        """Bury a consumer, and do it again."""
        beats = {record.id: record.beat for record in self.storage.consumers()}
        lost = self.model.claimed.get(name, [])
        assert self.storage.recover(name, beats.get(name) if watched else None) == len(lost)
        assert self.storage.recover(name) == 0
        for _, known in lost:
            known.attempt += 1
            known.alone += len(lost) == 1
            known.company += len(lost) > 1
        self.leave(name, lost)

    @rule(name=st.sampled_from(CONSUMERS))
    def sign_off(self, name: str) -> None:
        """Stop a consumer in order."""
        self.storage.sign_off(name)
        self.leave(name, self.model.claimed.get(name, []))

    def leave(self, name: str, left: list[tuple[Claim, Known]]) -> None:
        """Forget a consumer in the model."""
        left = list(left)
        if name in self.model.claimed:
            self.let_go(name, left)
            del self.model.claimed[name]
        self.give_back(left)

    # ── the clock ──────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.model.scheduled)
    @rule(offset=st.integers(0, 5), limit=st.integers(1, 4), priority=st.sampled_from([0, 3]))
    def promote(self, offset: int, limit: int, priority: int) -> None:
        """Make due what is due, and do it again."""
        priority = priority if self.harness.supports_priority else 0
        due = self.storage.due(limit, THEN + offset)
        wanted = [item for item in self.model.scheduled if item[0] <= THEN + offset][:limit]
        assert sorted(item.due for item in due.messages) == [item[0] for item in wanted]
        self.moves = [Move(item, priority or None) for item in due.messages]
        assert self.storage.promote(self.moves) == len(wanted)
        for item in due.messages:
            entry = next(one for one in self.model.scheduled if one[2].data == item.data)
            self.model.scheduled.remove(entry)
            entry[2].priority, entry[2].place = priority, next(self.numbers)
            self.model.push(entry[2])

    @precondition(lambda self: self.moves)
    @rule()
    def promote_again(self) -> None:
        """Repeat the last call, whose reply was lost, say."""
        if {move.scheduled.data for move in self.moves} & {
            known.data for _, _, known in self.model.scheduled
        }:
            return  # a retry filed the same bytes anew: another message, for the storage the same
        assert self.storage.promote(self.moves) == 0

    # ── everything else ────────────────────────────────────────────────────────────────────────

    @rule(another=st.booleans())
    def change_nothing(self, another: bool) -> None:
        """Sweep what nobody needs; change clients: the next one finds all as it was."""
        self.storage.sweep(max_dead=10_000, max_dead_age=1e9, max_mark_age=1e9)
        if another and self.harness.shares_data:
            self.storage.close()
            self.storage = self.make()

    @invariant()
    def each_message_is_in_exactly_one_state(self) -> None:
        """Compare all that can be seen from outside with the model."""
        storage, model = self.storage, self.model
        assert storage.enqueued_items() == [known.data for known in model.ready]
        assert storage.queue_size() == len(model.ready)
        assert sorted(storage.scheduled_items()) == sorted(k.data for _, _, k in model.scheduled)
        seen = {record.id: record.claims for record in storage.consumers()}
        assert seen == {name: len(claims) for name, claims in model.claimed.items()}
        assert storage.result_items() == model.results
        assert storage.dead_count() == len(model.dead)

    def drain(self) -> None:
        """Let every consumer die; what was accepted and not settled is there, in order."""
        for name in list(self.model.claimed):
            self.recover(name, False)
        self.storage.sign_on("last", {})
        wanted = [known.data for known in self.model.ready]
        assert [claim.data for claim in claim_all(self.storage, "last")] == wanted


class _DrainingMachine(StorageMachine):
    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            super().teardown()


class MachineContract(Harness):
    """Runs the machine."""

    def test_any_sequence_of_calls_leaves_each_message_in_one_state(
        self, make_storage: MakeStorage
    ) -> None:
        """Compare the storage with the model after each of many random steps."""

        def machine() -> StorageMachine:
            name = f"machine{next(_queues)}" if self.isolates_names else "huey"
            return _DrainingMachine(lambda: self.make_one(make_storage, name), self)

        run_state_machine_as_test(
            machine,  # type: ignore[arg-type] # any callable will do: hypothesis says so itself
            settings=settings(
                max_examples=self.machine_runs,
                stateful_step_count=self.machine_steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def make_one(self, make_storage: MakeStorage, name: str) -> LosslessStorage:
        """Make a client for the machine."""
        storage: LosslessStorage = make_storage(name)
        return storage
