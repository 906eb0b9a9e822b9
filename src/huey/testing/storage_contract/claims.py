"""Consumers: sign on, claim, release, and what stale receipts are worth."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from typing import Any

from huey.storage.delivery import Settled, Settlement
from huey.testing.storage_contract.harness import (
    Harness,
    MakeStorage,
    claim_all,
    fill,
    held,
    hired,
    payloads,
    race,
)


class ClaimContract(Harness):
    """One test per rule of how messages are held."""

    # ── consumers ──────────────────────────────────────────────────────────────────────────────

    def test_a_consumer_is_listed_with_what_it_says_about_itself(
        self, storage: Any, other: Any
    ) -> None:
        info = {"host": "høst", "pid": 7, "start": 1.5, "draining": False, "boot": None}

        storage.sign_on("c", info)

        (record,) = other.consumers()
        assert (record.id, dict(record.info), record.claims) == ("c", info, 0)

    def test_each_heartbeat_raises_the_beat(self, storage: Any, other: Any) -> None:
        hired(storage, "c")
        before = other.consumers()[0].beat

        assert storage.heartbeat("c") is True
        assert other.consumers()[0].beat > before

    def test_a_consumer_that_never_signed_on_has_no_heartbeat(self, storage: Any) -> None:
        assert storage.heartbeat("nobody") is False
        assert storage.consumers() == []

    def test_signing_on_again_keeps_the_claims(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        (claim,) = storage.claim("c", 1)

        storage.sign_on("c", {"pid": 2})

        (record,) = storage.consumers()
        assert (record.info["pid"], record.claims) == (2, 1)
        assert storage.settle([Settlement(claim)]) == [Settled.DONE]

    def test_signing_off_releases_claims_without_marks(self, storage: Any) -> None:
        hired(storage, "c", "d")
        fill(storage, b"a", b"b", b"c")
        storage.claim("c", 2)

        storage.sign_off("c")

        assert held(storage) == {"d": 0}
        claims = claim_all(storage, "d")
        assert payloads(claims) == [b"a", b"b", b"c"]
        assert [claim.attempt for claim in claims] == [1, 1, 1]
        assert not any(claim.redelivered for claim in claims)
        storage.sign_off("c")

    def test_a_living_consumer_is_not_called_gone(self, storage: Any, other: Any) -> None:
        hired(storage, "c")

        assert other.is_gone(other.consumers()[0]) is not True

    # ── claiming ───────────────────────────────────────────────────────────────────────────────

    def test_claims_come_in_the_order_of_the_queue(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a", b"b", b"c")
        if self.supports_priority:
            storage.enqueue(b"first", 9)

        claims = claim_all(storage, "c")

        first = [b"first"] if self.supports_priority else []
        assert payloads(claims) == [*first, b"a", b"b", b"c"]

    def test_no_more_are_claimed_than_asked_for(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a", b"b", b"c")

        assert len(storage.claim("c", 2)) <= 2
        assert storage.claim("c", 0) == []

    def test_a_batch_is_claimed_at_once(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, *(b"%03d" % number for number in range(200)))

        assert payloads(storage.claim("c", 200)) == [b"%03d" % number for number in range(200)]

    def test_an_empty_queue_gives_no_claims(self, storage: Any) -> None:
        hired(storage, "c")

        assert storage.claim("c", 5) == []

    def test_a_claimed_message_is_out_of_reach_for_everybody_else(
        self, storage: Any, other: Any
    ) -> None:
        hired(storage, "c", "d")
        fill(storage, b"a")

        claims = storage.claim("c", 1)

        assert payloads(claims) == [b"a"]
        assert other.claim("d", 1) == []
        assert other.dequeue() is None
        assert other.queue_size() == 0
        assert other.enqueued_items() == []
        assert held(other) == {"c": 1, "d": 0}

    def test_an_unknown_consumer_gets_nothing(self, storage: Any) -> None:
        fill(storage, b"a")

        assert storage.claim("nobody", 1) == []
        assert storage.claim("nobody", 1, block=0.01) == []
        assert storage.queue_size() == 1

    def test_the_first_delivery_is_attempt_one(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")

        (claim,) = storage.claim("c", 1)

        assert claim.attempt == 1
        assert (claim.crashes_alone, claim.crashes_in_company, claim.cause) == (0, 0, None)
        assert not claim.redelivered

    def test_equal_messages_are_claimed_one_by_one(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"same", b"same", b"same")

        claims = claim_all(storage, "c")

        assert payloads(claims) == [b"same"] * 3
        assert len({claim.receipt for claim in claims}) == 3
        assert storage.settle([Settlement(claims[0])]) == [Settled.DONE]
        assert held(storage) == {"c": 2}

    def test_each_message_is_claimed_once_however_many_consumers_ask(self, storage: Any) -> None:
        hired(storage, *(f"c{index}" for index in range(4)))
        wanted = [b"%03d" % number for number in range(120)]
        fill(storage, *wanted)

        def work(index: int) -> list[bytes]:
            seen = []
            while claims := storage.claim(f"c{index}", 7):
                assert set(storage.settle([Settlement(c) for c in claims])) == {Settled.DONE}
                seen += payloads(claims)
            return seen

        assert sorted(data for seen in race(4, work) for data in seen) == wanted
        assert set(held(storage).values()) == {0}

    # ── release ────────────────────────────────────────────────────────────────────────────────

    def test_released_claims_go_to_the_front_in_order(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a", b"b")
        claims = storage.claim("c", 2)
        fill(storage, b"c")

        assert storage.release(claims) == 2

        assert storage.enqueued_items() == [b"a", b"b", b"c"]
        assert held(storage) == {"c": 0}

    def test_a_released_message_does_not_overtake_a_higher_priority(self, storage: Any) -> None:
        if not self.supports_priority:
            return
        hired(storage, "c")
        storage.enqueue(b"low", 1)
        storage.enqueue(b"later", 1)
        claims = storage.claim("c", 1)
        storage.enqueue(b"high", 5)

        storage.release(claims)

        assert storage.enqueued_items() == [b"high", b"low", b"later"]

    def test_releasing_twice_has_the_effect_of_once(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        claims = storage.claim("c", 1)

        assert storage.release(claims) == 1
        assert storage.release(claims) == 0
        assert storage.release([]) == 0
        assert storage.enqueued_items() == [b"a"]

    def test_a_release_leaves_no_mark(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        storage.release(storage.claim("c", 1))

        (claim,) = storage.claim("c", 1)

        assert claim.attempt == 1
        assert not claim.redelivered

    def test_a_receipt_is_worthless_once_its_claim_was_released_and_claimed_again(
        self, storage: Any
    ) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        (old,) = storage.claim("c", 1)
        storage.release([old])
        (new,) = storage.claim("c", 1)

        stale = Settlement(old, results=(("r", b"stale"),))

        assert storage.settle([stale]) == [Settled.LOST]
        assert storage.release([old]) == 0
        assert not storage.has_data_for_key("r")
        assert held(storage) == {"c": 1}
        assert storage.settle([Settlement(new)]) == [Settled.DONE]

    def test_a_receipt_never_fits_a_later_message(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        (old,) = storage.claim("c", 1)
        storage.settle([Settlement(old)])
        fill(storage, b"b")
        (new,) = storage.claim("c", 1)

        assert storage.settle([Settlement(old)]) == [Settled.LOST]
        assert storage.release([old]) == 0
        assert storage.release([new]) == 1
        assert storage.enqueued_items() == [b"b"]

    def test_claims_outlive_the_client_that_made_them(
        self, storage: Any, make_storage: MakeStorage
    ) -> None:
        if not self.shares_data:
            return
        hired(storage, "c")
        fill(storage, b"a", b"b")
        first, second = claim_all(storage, "c")
        storage.close()

        fresh = make_storage()

        assert held(fresh) == {"c": 2}
        assert fresh.settle([Settlement(first)]) == [Settled.DONE]
        assert fresh.release([second]) == 1
        assert fresh.enqueued_items() == [b"b"]

    def test_flushing_all_voids_the_claims(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        (claim,) = storage.claim("c", 1)

        storage.flush_all()

        assert storage.settle([Settlement(claim, results=(("r", b"1"),))]) == [Settled.LOST]
        assert storage.release([claim]) == 0
        assert storage.queue_size() == storage.result_store_size() == 0

    def test_flushing_the_queue_leaves_claims_alone(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a", b"b")
        (claim,) = storage.claim("c", 1)

        storage.flush_queue()

        assert storage.queue_size() == 0
        assert storage.release([claim]) == 1
        assert storage.enqueued_items() == [b"a"]

    def test_consumers_of_different_queues_do_not_meet(self, make_storage: MakeStorage) -> None:
        if not self.isolates_names:
            return
        left, right = make_storage("left"), make_storage("right")
        hired(left, "c")
        hired(right, "c")
        fill(left, b"l")
        fill(right, b"r")
        (claim,) = left.claim("c", 5)

        assert claim.data == b"l"
        assert held(right) == {"c": 0}
        assert right.recover("c") == 0
        right.flush_all()
        assert left.settle([Settlement(claim)]) == [Settled.DONE]
