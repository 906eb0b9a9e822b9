"""The schedule and periodic ticks."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from huey.storage.delivery import Move, Outgoing, Scheduled
from huey.testing.storage_contract.harness import Harness, claim_all, hired, payloads, race
from huey.timing import utcnow

#: An instant in the past, by any clock.
THEN = 1_000_000_000.0


def schedule(storage: Any, *offsets: float) -> None:
    """File the messages b"0", b"1", … at these offsets from THEN."""
    storage.enqueue_many(
        [Outgoing(b"%d" % index, due=THEN + offset) for index, offset in enumerate(offsets)]
    )


class ClockContract(Harness):
    """One test per rule of time."""

    def test_the_clock_is_that_of_the_epoch(self, storage: Any) -> None:
        assert storage.now() > THEN

    def test_what_is_due_is_shown_soonest_first_and_not_changed(self, storage: Any) -> None:
        schedule(storage, 5, 1, 3, 9)

        due = storage.due(now=THEN + 5)

        assert [item.data for item in due.messages] == [b"1", b"2", b"0"]
        assert [item.due for item in due.messages] == [THEN + 1, THEN + 3, THEN + 5]
        assert storage.due(now=THEN + 5) == due
        assert storage.schedule_size() == 4

    def test_the_wait_is_the_time_until_the_next_is_due(self, storage: Any) -> None:
        assert storage.due(now=THEN).wait is None
        schedule(storage, 1, 9)

        assert storage.due(now=THEN).wait == pytest.approx(1)
        assert storage.due(now=THEN + 2).wait == pytest.approx(7)
        assert storage.due(now=THEN + 9).wait is None
        assert storage.due(limit=1, now=THEN + 9).wait == 0

    def test_no_more_is_shown_than_asked_for(self, storage: Any) -> None:
        schedule(storage, 3, 1, 2)

        assert [item.data for item in storage.due(limit=2, now=THEN + 9).messages] == [b"1", b"2"]

    def test_without_an_instant_the_clock_of_the_storage_counts(self, storage: Any) -> None:
        storage.enqueue_many([Outgoing(b"a", due=THEN), Outgoing(b"b", due=storage.now() + 900)])

        due = storage.due()

        assert [item.data for item in due.messages] == [b"a"]
        assert due.wait is not None
        assert 800 < due.wait <= 900

    def test_promoted_messages_are_ready_in_the_order_given(self, storage: Any) -> None:
        schedule(storage, 3, 1, 2)
        due = storage.due(now=THEN + 9)

        assert storage.promote([Move(item) for item in due.messages]) == 3

        assert storage.enqueued_items() == [b"1", b"2", b"0"]
        assert storage.schedule_size() == 0

    def test_promoting_sets_the_priority(self, storage: Any) -> None:
        if not self.supports_priority:
            return
        schedule(storage, 1, 2)
        first, second = storage.due(now=THEN + 9).messages

        storage.promote([Move(first, priority=1), Move(second, priority=7)])

        assert storage.enqueued_items() == [b"1", b"0"]

    def test_promoting_twice_has_the_effect_of_once(self, storage: Any, other: Any) -> None:
        schedule(storage, 1, 2)
        moves = [Move(item) for item in storage.due(now=THEN + 9).messages]

        assert storage.promote(moves[:1]) == 1
        assert other.promote(moves) == 1
        assert storage.promote(moves) == 0
        assert storage.promote([]) == 0
        assert storage.enqueued_items() == [b"0", b"1"]

    def test_a_token_never_fits_a_later_message(self, storage: Any) -> None:
        schedule(storage, 1)
        (item,) = storage.due(now=THEN + 9).messages
        storage.promote([Move(item)])
        storage.enqueue_many([Outgoing(b"new", due=THEN + 1)])

        assert storage.promote([Move(item)]) == 0
        assert storage.scheduled_items() == [b"new"]

    def test_each_due_message_is_promoted_once_however_many_try(self, storage: Any) -> None:
        schedule(storage, *range(40))
        moves = [Move(item) for item in storage.due(now=THEN + 99).messages]

        moved = race(4, lambda _: storage.promote(moves))

        assert sum(moved) == 40
        assert sorted(storage.enqueued_items()) == sorted(b"%d" % index for index in range(40))

    def test_a_message_can_be_filed_under_another_time(self, storage: Any) -> None:
        schedule(storage, 1)
        (item,) = storage.due(now=THEN + 1).messages

        assert storage.promote([Move(item, due=THEN + 7)]) == 1

        assert storage.queue_size() == 0
        assert storage.due(now=THEN + 6).messages == ()
        (again,) = storage.due(now=THEN + 7).messages
        assert (again.data, again.due) == (b"0", THEN + 7)

    def test_many_messages_are_promoted(self, storage: Any) -> None:
        schedule(storage, *range(700))
        hired(storage, "c")
        moved = 0
        while messages := storage.due(limit=300, now=THEN + 9999).messages:
            moved += storage.promote([Move(item) for item in messages])

        assert moved == 700
        assert payloads(claim_all(storage, "c")) == [b"%d" % index for index in range(700)]

    def test_the_classic_schedule_is_the_same_schedule(self, storage: Any) -> None:
        storage.add_to_schedule(b"past", utcnow() - timedelta(seconds=5))
        storage.add_to_schedule(b"future", utcnow() + timedelta(seconds=500))

        due = storage.due()

        assert [item.data for item in due.messages] == [b"past"]
        assert due.messages[0].due == pytest.approx(storage.now() - 5, abs=5)
        assert due.wait is not None
        assert 400 < due.wait <= 500

    def test_what_we_filed_ourselves_is_verified(self, storage: Any, other: Any) -> None:
        schedule(storage, 1, 2)

        assert other.unverified() == []

    # ── ticks ──────────────────────────────────────────────────────────────────────────────────

    def test_a_tick_enqueues_its_message_once(self, storage: Any, other: Any) -> None:
        assert storage.tick("t", THEN, Outgoing(b"a")) is True
        assert other.tick("t", THEN, Outgoing(b"b")) is False
        assert storage.enqueued_items() == [b"a"]

    def test_a_tick_before_the_last_one_is_refused_and_a_later_one_taken(
        self, storage: Any
    ) -> None:
        storage.tick("t", THEN, Outgoing(b"a"))

        assert storage.tick("t", THEN - 0.5, Outgoing(b"b")) is False
        assert storage.tick("t", THEN + 0.5, Outgoing(b"c")) is True
        assert storage.enqueued_items() == [b"a", b"c"]

    def test_ticks_of_different_tasks_do_not_meet(self, storage: Any, other: Any) -> None:
        assert storage.tick("t", THEN + 1, Outgoing(b"a"))
        assert storage.tick("ü:x", THEN, Outgoing(b"b"))

        assert other.last_ticks() == {"t": THEN + 1, "ü:x": THEN}

    def test_before_the_first_tick_there_is_none(self, storage: Any) -> None:
        assert storage.last_ticks() == {}

    def test_a_tick_with_a_due_time_goes_to_the_schedule(self, storage: Any) -> None:
        storage.tick("t", THEN, Outgoing(b"a", due=THEN))

        assert storage.scheduled_items() == [b"a"]

    def test_each_tick_happens_once_however_many_try(self, storage: Any) -> None:
        def beat(index: int) -> int:
            return sum(
                storage.tick("t", THEN + minute, Outgoing(b"%d" % minute)) for minute in range(10)
            )

        wins = race(4, beat)

        assert sum(wins) == storage.queue_size()
        assert len(set(storage.enqueued_items())) == storage.queue_size()
        assert storage.last_ticks() == {"t": THEN + 9}

    def test_a_scheduled_message_is_known_by_what_due_says(self, storage: Any) -> None:
        schedule(storage, 1)

        (item,) = storage.due(now=THEN + 1).messages

        assert isinstance(item, Scheduled)
        assert isinstance(item.token, str)
