"""Settling: all that follows from a task, or nothing; chords."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from typing import Any

from huey import keys
from huey.storage.delivery import (
    ChordStep,
    Claim,
    DeadLetter,
    Move,
    Outgoing,
    Reservation,
    Scheduled,
    Settled,
    Settlement,
)
from huey.testing.storage_contract.harness import (
    Harness,
    claim_all,
    fill,
    held,
    hired,
    payloads,
    race,
)

LATER = 4e9


def claimed(storage: Any, *data: bytes) -> list[Claim]:
    """Let the consumer "c" hold these messages."""
    hired(storage, "c")
    fill(storage, *data)
    return claim_all(storage, "c")


class SettlingContract(Harness):
    """One test per rule of what a settlement writes."""

    def test_a_settlement_writes_all_that_follows(self, storage: Any, other: Any) -> None:
        (claim,) = claimed(storage, b"a")
        for key in ("gone", "mine", "theirs"):
            storage.put_data(key, b"1")
        storage.incr("counter", 5)

        outcome = storage.settle(
            [
                Settlement(
                    claim,
                    results=(("r1", b"one"), ("r2", b"")),
                    outgoing=(Outgoing(b"next"), Outgoing(b"later", due=LATER)),
                    delete=("gone", "never there"),
                    delete_if=(("mine", b"1"), ("theirs", b"2"), ("nobody's", b"1")),
                    delete_counters=("counter", "never there"),
                    dead=DeadLetter(b"letter", "failed", "why"),
                )
            ]
        )

        assert outcome == [Settled.DONE]
        assert other.peek_many(["r1", "r2"]) == {"r1": b"one", "r2": b""}
        assert other.enqueued_items() == [b"next"]
        assert other.scheduled_items() == [b"later"]
        assert other.peek_many(["gone", "mine", "theirs"]) == {"theirs": b"1"}
        assert other.incr("counter", 0) == 0
        assert [letter.data for letter in other.dead_letters()] == [b"letter"]
        assert held(other) == {"c": 0}

    def test_a_settled_message_never_comes_back(self, storage: Any) -> None:
        claims = claimed(storage, b"a", b"b")

        assert storage.settle([Settlement(claim) for claim in claims]) == [Settled.DONE] * 2

        assert storage.queue_size() == 0
        assert storage.recover("c") == 0
        assert storage.queue_size() == 0

    def test_settling_twice_has_the_effect_of_once(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        settlement = Settlement(claim, results=(("r", b"1"),), outgoing=(Outgoing(b"next"),))

        assert storage.settle([settlement]) == [Settled.DONE]
        assert storage.settle([settlement]) == [Settled.LOST]
        assert storage.enqueued_items() == [b"next"]

    def test_a_claim_that_stands_twice_in_a_batch_is_settled_once(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        first = Settlement(claim, outgoing=(Outgoing(b"first"),))
        second = Settlement(claim, outgoing=(Outgoing(b"second"),), results=(("r", b"1"),))

        assert storage.settle([first, second]) == [Settled.DONE, Settled.LOST]
        assert storage.enqueued_items() == [b"first"]
        assert not storage.has_data_for_key("r")

    def test_a_lost_claim_does_not_stop_its_neighbours(self, storage: Any) -> None:
        claims = claimed(storage, b"a", b"b", b"c")
        storage.release([claims[1]])
        settlements = [
            Settlement(claim, results=((claim.data.decode(), b"1"),), outgoing=(Outgoing(b"n"),))
            for claim in claims
        ]

        assert storage.settle(settlements) == [Settled.DONE, Settled.LOST, Settled.DONE]
        assert storage.result_items() == {"a": b"1", "c": b"1"}
        assert sorted(storage.enqueued_items()) == [b"b", b"n", b"n"]

    def test_a_large_batch_is_settled(self, storage: Any) -> None:
        claims = claimed(storage, *(b"%04d" % number for number in range(700)))
        lost = set(range(0, 700, 7))
        storage.release([claims[index] for index in lost])

        outcomes = storage.settle(
            [
                Settlement(
                    claim,
                    results=((f"r{index}", b"%d" % index),),
                    delete=(keys.revoked_id(str(index)),),
                )
                for index, claim in enumerate(claims)
            ]
        )

        wanted = [Settled.LOST if index in lost else Settled.DONE for index in range(700)]
        assert outcomes == wanted
        assert storage.result_items() == {
            f"r{index}": b"%d" % index for index in range(700) if index not in lost
        }

    def test_no_settlements_are_settled_too(self, storage: Any) -> None:
        assert storage.settle([]) == []

    def test_later_settlements_of_a_batch_win(self, storage: Any) -> None:
        first, second = claimed(storage, b"a", b"b")

        storage.settle(
            [
                Settlement(first, results=(("same", b"1"),)),
                Settlement(second, results=(("same", b"2"),)),
            ]
        )

        assert storage.peek_data("same") == b"2"

    def test_one_settlement_may_delete_what_an_earlier_one_stored(self, storage: Any) -> None:
        first, second, third = claimed(storage, b"a", b"b", b"c")

        storage.settle(
            [
                Settlement(first, results=(("x", b"1"), ("y", b"1"))),
                Settlement(second, delete=("x",), delete_if=(("y", b"1"),)),
                Settlement(third, results=(("x", b"3"),)),
            ]
        )

        assert storage.peek_many(["x", "y"]) == {"x": b"3"}

    def test_a_settlement_without_a_claim_is_written_in_any_case(self, storage: Any) -> None:
        settlement = Settlement(results=(("r", b"1"),), outgoing=(Outgoing(b"next"),))

        assert storage.settle([settlement]) == [Settled.DONE]
        assert storage.peek_data("r") == b"1"
        assert storage.enqueued_items() == [b"next"]

    def test_deletions_come_before_what_is_stored_and_enqueued(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        storage.put_data("unique", b"id-1")
        storage.put_data("r", b"old")
        wish = Reservation("unique", "id-2")

        storage.settle(
            [
                Settlement(
                    claim,
                    results=(("r", b"new"),),
                    outgoing=(Outgoing(b"next", reservation=wish),),
                    delete=("r",),
                    delete_if=(("unique", b"id-1"),),
                )
            ]
        )

        assert storage.peek_many(["r", "unique"]) == {"r": b"new", "unique": b"id-2"}
        assert storage.enqueued_items() == [b"next"]

    def test_an_outgoing_message_respects_a_reservation(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        storage.put_data("unique", b"id-1")
        refused = Outgoing(b"refused", reservation=Reservation("unique", "id-2"))

        outcome = storage.settle([Settlement(claim, outgoing=(refused, Outgoing(b"next")))])

        assert outcome == [Settled.DONE]
        assert storage.enqueued_items() == [b"next"]

    def test_outgoing_messages_keep_order_and_priority(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        high = 5 if self.supports_priority else None
        outgoing = (Outgoing(b"x"), Outgoing(b"y", priority=high), Outgoing(b"z"))

        storage.settle([Settlement(claim, outgoing=outgoing)])

        wanted = [b"y", b"x", b"z"] if self.supports_priority else [b"x", b"y", b"z"]
        assert storage.enqueued_items() == wanted

    # ── attempts ───────────────────────────────────────────────────────────────────────────────

    def test_a_retry_counts_the_attempts_even_if_its_bytes_are_the_same(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        for attempt in (2, 3):
            storage.settle([Settlement(claim, outgoing=(Outgoing(b"a", attempt=attempt),))])
            (claim,) = storage.claim("c", 1)
            assert claim.attempt == attempt

    def test_a_retry_in_the_schedule_counts_the_attempts(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        storage.settle([Settlement(claim, outgoing=(Outgoing(b"b", due=1.0, attempt=2),))])

        storage.promote([_move(item) for item in storage.due().messages])

        (claim,) = storage.claim("c", 1)
        assert (claim.data, claim.attempt) == (b"b", 2)

    def test_a_crash_counts_on_top_of_the_retries(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        storage.settle([Settlement(claim, outgoing=(Outgoing(b"a", attempt=2),))])
        storage.claim("c", 1)
        storage.recover("c")
        hired(storage, "d")

        (claim,) = storage.claim("d", 1)

        assert (claim.attempt, claim.crashes_alone) == (3, 1)

    def test_settling_forgets_the_marks(self, storage: Any) -> None:
        claimed(storage, b"a")
        storage.recover("c")
        (claim,) = claimed(storage)
        assert claim.redelivered

        storage.settle([Settlement(claim)])

        (fresh,) = claimed(storage, b"a")
        assert fresh.attempt == 1
        assert not fresh.redelivered

    # ── chords ─────────────────────────────────────────────────────────────────────────────────

    def test_the_last_member_learns_that_its_chord_is_complete(self, storage: Any) -> None:
        claims = claimed(storage, b"a", b"b")

        first = storage.settle([_member(claims[0], 0)])
        last = storage.settle([_member(claims[1], 1)])

        assert first == [Settled.DONE]
        assert last == [Settled.CHORD_COMPLETE]
        partials = [keys.chord_partial("ch", index) for index in range(2)]
        assert storage.peek_many(partials) == {partials[0]: b"v0", partials[1]: b"v1"}

    def test_completing_a_chord_writes_nothing_else_and_keeps_the_claim(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        step = ChordStep("ch", 0, 1, b"v")
        whole = Settlement(claim, results=(("r", b"1"),), outgoing=(Outgoing(b"next"),), chord=step)

        assert storage.settle([whole]) == [Settled.CHORD_COMPLETE]

        assert not storage.has_data_for_key("r")
        assert storage.queue_size() == 0
        assert held(storage) == {"c": 1}
        callback = Settlement(
            claim,
            outgoing=(Outgoing(b"callback"),),
            delete=(keys.chord_partial("ch", 0),),
            delete_counters=(keys.chord_counter("ch"),),
        )
        assert storage.settle([callback]) == [Settled.DONE]
        assert storage.enqueued_items() == [b"callback"]
        assert storage.result_store_size() == 0
        assert storage.incr(keys.chord_counter("ch"), 0) == 0

    def test_a_chord_that_is_completed_within_a_batch_tells_the_member_that_did_it(
        self, storage: Any
    ) -> None:
        claims = claimed(storage, b"a", b"b", b"c")
        settlements = [_member(claim, index, 3) for index, claim in enumerate(claims)]

        outcomes = storage.settle(settlements)

        assert outcomes == [Settled.DONE, Settled.DONE, Settled.CHORD_COMPLETE]
        assert held(storage) == {"c": 1}

    def test_a_member_that_reports_twice_counts_once(self, storage: Any) -> None:
        claims = claimed(storage, b"a", b"a again", b"b")

        assert storage.settle([_member(claims[0], 0)]) == [Settled.DONE]
        assert storage.settle([_member(claims[1], 0)]) == [Settled.DONE]
        assert storage.settle([_member(claims[2], 1)]) == [Settled.CHORD_COMPLETE]

    def test_the_last_member_completes_its_chord_again_after_a_crash(self, storage: Any) -> None:
        claims = claimed(storage, b"a", b"b")
        storage.settle([_member(claims[0], 0)])
        assert storage.settle([_member(claims[1], 1)]) == [Settled.CHORD_COMPLETE]
        storage.recover("c")
        hired(storage, "d")

        (again,) = storage.claim("d", 1)

        assert storage.settle([_member(again, 1)]) == [Settled.CHORD_COMPLETE]
        assert storage.settle([_member(claims[1], 1)]) == [Settled.LOST]

    def test_a_stale_member_reports_nothing(self, storage: Any) -> None:
        (claim,) = claimed(storage, b"a")
        storage.release([claim])

        assert storage.settle([_member(claim, 0)]) == [Settled.LOST]
        assert storage.result_store_size() == 0
        assert storage.incr(keys.chord_counter("ch"), 0) == 0

    def test_members_without_claims_complete_a_chord_too(self, storage: Any) -> None:
        assert storage.settle([_member(None, 0)]) == [Settled.DONE]
        assert storage.settle([_member(None, 1)]) == [Settled.CHORD_COMPLETE]

    def test_one_of_many_threads_completes_a_chord(self, storage: Any) -> None:
        claims = claimed(storage, *(b"%d" % index for index in range(6)))

        outcomes = race(6, lambda index: storage.settle([_member(claims[index], index, 6)])[0])

        assert outcomes.count(Settled.CHORD_COMPLETE) == 1
        assert outcomes.count(Settled.DONE) == 5

    def test_what_follows_survives_the_client(self, storage: Any, other: Any) -> None:
        claims = claimed(storage, b"a")
        storage.settle([Settlement(claims[0], outgoing=(Outgoing(b"next", attempt=3),))])
        storage.close()

        hired(other, "d")
        if self.shares_data:
            (claim,) = other.claim("d", 1)
            assert (payloads([claim]), claim.attempt) == ([b"next"], 3)


def _member(claim: Claim | None, index: int, size: int = 2) -> Settlement:
    return Settlement(claim, chord=ChordStep("ch", index, size, b"v%d" % index))


def _move(item: Scheduled) -> Move:
    return Move(item)
