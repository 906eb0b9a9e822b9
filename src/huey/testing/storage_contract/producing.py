"""Producers: enqueue_many, reservations."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from typing import Any

from huey import keys
from huey.constants import EmptyData
from huey.storage.delivery import Outgoing, Reservation
from huey.testing.storage_contract.harness import Harness, claim_all, hired, payloads, race

LATER = 4e9


class ProducerContract(Harness):
    """One test per rule of how messages are accepted."""

    def test_several_messages_are_accepted_in_order(self, storage: Any) -> None:
        replies = storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b"), Outgoing(b"c")])

        assert replies == [None, None, None]
        assert storage.enqueued_items() == [b"a", b"b", b"c"]

    def test_no_messages_are_accepted_too(self, storage: Any) -> None:
        assert storage.enqueue_many([]) == []

    def test_a_large_batch_keeps_its_order(self, storage: Any) -> None:
        wanted = [b"%04d" % number for number in range(1500)]

        storage.enqueue_many([Outgoing(data) for data in wanted])

        hired(storage, "c")
        assert payloads(claim_all(storage, "c")) == wanted

    def test_priorities_order_a_batch(self, storage: Any) -> None:
        if not self.supports_priority:
            return
        storage.enqueue_many(
            [Outgoing(b"a"), Outgoing(b"b", priority=5), Outgoing(b"c", priority=5)]
        )

        assert storage.enqueued_items() == [b"b", b"c", b"a"]

    def test_a_message_with_a_due_time_goes_to_the_schedule(self, storage: Any) -> None:
        storage.enqueue_many([Outgoing(b"later", due=LATER), Outgoing(b"past", due=1.0)])

        assert storage.queue_size() == 0
        assert storage.scheduled_items() == [b"past", b"later"]

    def test_the_attempt_of_a_message_reaches_who_claims_it(self, storage: Any) -> None:
        hired(storage, "c")
        storage.enqueue_many([Outgoing(b"a"), Outgoing(b"b", attempt=4)])

        first, second = claim_all(storage, "c")

        assert (first.attempt, second.attempt) == (1, 4)
        assert not second.redelivered

    def test_a_free_reservation_is_taken_with_the_message(self, storage: Any) -> None:
        wish = Reservation("unique:k", "id-1")

        assert storage.enqueue_many([Outgoing(b"a", reservation=wish)]) == [None]
        assert storage.peek_data("unique:k") == b"id-1"
        assert storage.enqueued_items() == [b"a"]

    def test_a_standing_reservation_refuses_only_the_message_that_wants_it(
        self, storage: Any
    ) -> None:
        storage.enqueue_many([Outgoing(b"a", reservation=Reservation("k", "id-1"))])

        replies = storage.enqueue_many(
            [
                Outgoing(b"b"),
                Outgoing(b"c", reservation=Reservation("k", "id-2")),
                Outgoing(b"d", due=LATER, reservation=Reservation("k", "id-3")),
            ]
        )

        assert replies == [None, "id-1", "id-1"]
        assert storage.enqueued_items() == [b"a", b"b"]
        assert storage.schedule_size() == 0
        assert storage.peek_data("k") == b"id-1"

    def test_one_batch_respects_its_own_reservations(self, storage: Any) -> None:
        replies = storage.enqueue_many(
            [
                Outgoing(b"a", reservation=Reservation("k", "id-1")),
                Outgoing(b"b", reservation=Reservation("k", "id-2")),
            ]
        )

        assert replies == [None, "id-1"]
        assert storage.enqueued_items() == [b"a"]

    def test_a_reservation_does_not_refuse_its_own_owner(self, storage: Any) -> None:
        wish = Reservation("k", "id-1")
        storage.enqueue_many([Outgoing(b"a", reservation=wish)])

        assert storage.enqueue_many([Outgoing(b"retry", reservation=wish)]) == [None]
        assert storage.enqueued_items() == [b"a", b"retry"]

    def test_a_replacing_reservation_revokes_who_stood_there(self, storage: Any) -> None:
        first = Reservation("k", "id-1", revoke_with=b"flag")
        second = Reservation("k", "id-2", revoke_with=b"flag")

        replies = storage.enqueue_many([Outgoing(b"a", reservation=first)])
        replies += storage.enqueue_many([Outgoing(b"b", reservation=second)])

        assert replies == [None, "id-1"]
        assert storage.peek_data("k") == b"id-2"
        assert storage.peek_data(keys.revoked_id("id-1")) == b"flag"
        assert storage.peek_data(keys.revoked_id("id-2")) is EmptyData
        assert storage.enqueued_items() == [b"a", b"b"]

    def test_a_reservation_with_a_ttl_frees_its_place(self, storage: Any) -> None:
        storage.enqueue_many([Outgoing(b"a", reservation=Reservation("k", "id-1", ttl=0.05))])
        assert not storage.wait_result("nothing", timeout=0.2)

        replies = storage.enqueue_many([Outgoing(b"b", reservation=Reservation("k", "id-2"))])

        assert replies == [None]

    def test_one_of_many_threads_gets_the_reservation(self, storage: Any) -> None:
        def offer(index: int) -> str | None:
            wish = Reservation("k", f"id-{index}")
            reply: str | None = storage.enqueue_many([Outgoing(b"x", reservation=wish)])[0]
            return reply

        replies = race(6, offer)

        assert replies.count(None) == 1
        assert {reply for reply in replies if reply} == {f"id-{replies.index(None)}"}
        assert storage.queue_size() == 1
