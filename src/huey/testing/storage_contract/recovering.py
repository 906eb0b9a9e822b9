"""Recovery: what becomes of the claims of the dead, and of their receipts."""
# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from typing import Any

from huey.storage.delivery import Outgoing, Settled, Settlement
from huey.testing.storage_contract.harness import (
    Harness,
    claim_all,
    fill,
    held,
    hired,
    payloads,
)


class RecoveryContract(Harness):
    """One test per rule of how messages come back."""

    def test_recovery_gives_back_what_the_dead_held_in_order_to_the_front(
        self, storage: Any, other: Any
    ) -> None:
        hired(storage, "dead", "c")
        fill(storage, b"a", b"b", b"c")
        storage.claim("dead", 2)

        assert other.recover("dead", cause="signal 9") == 2

        assert held(other) == {"c": 0}
        claims = claim_all(other, "c")
        assert payloads(claims) == [b"a", b"b", b"c"]
        assert [claim.attempt for claim in claims] == [2, 2, 1]
        assert [claim.crashes_in_company for claim in claims] == [1, 1, 0]
        assert [claim.crashes_alone for claim in claims] == [0, 0, 0]
        assert [claim.cause for claim in claims] == ["signal 9", "signal 9", None]
        assert [claim.redelivered for claim in claims] == [True, True, False]

    def test_a_message_that_died_without_company_is_told_apart(self, storage: Any) -> None:
        for turn in range(3):
            hired(storage, f"c{turn}")
            if turn == 0:
                fill(storage, b"poison")
            storage.claim(f"c{turn}", 1)
            assert storage.recover(f"c{turn}") == 1
        hired(storage, "last")

        (claim,) = storage.claim("last", 1)

        assert (claim.attempt, claim.crashes_alone, claim.crashes_in_company) == (4, 3, 0)

    def test_a_message_settled_before_the_death_counts_not_as_company(self, storage: Any) -> None:
        hired(storage, "dead", "c")
        fill(storage, b"a", b"b")
        first, _ = claim_all(storage, "dead")
        storage.settle([Settlement(first)])

        storage.recover("dead")

        (claim,) = storage.claim("c", 1)
        assert (claim.crashes_alone, claim.crashes_in_company) == (1, 0)

    def test_the_dead_is_forgotten_and_gets_nothing_more(self, storage: Any) -> None:
        hired(storage, "dead")
        fill(storage, b"a")
        storage.claim("dead", 1)

        storage.recover("dead")

        assert storage.heartbeat("dead") is False
        assert storage.claim("dead", 1) == []
        assert storage.consumers() == []
        assert storage.recover("dead") == 0
        assert storage.recover("never was") == 0

    def test_nobody_is_recovered_whose_heart_has_beaten_meanwhile(self, storage: Any) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        storage.claim("c", 1)
        seen = storage.consumers()[0].beat
        storage.heartbeat("c")

        assert storage.recover("c", beat=seen) == 0
        assert held(storage) == {"c": 1}
        assert storage.queue_size() == 0

        assert storage.recover("c", beat=storage.consumers()[0].beat) == 1
        assert storage.consumers() == []

    def test_the_stale_holder_cannot_change_anything(self, storage: Any, other: Any) -> None:
        hired(storage, "stale", "c")
        fill(storage, b"a")
        (old,) = storage.claim("stale", 1)
        other.recover("stale")
        (new,) = other.claim("c", 1)
        follow_up = Settlement(old, results=(("r", b"stale"),), outgoing=(Outgoing(b"next"),))

        assert storage.settle([follow_up]) == [Settled.LOST]
        assert storage.release([old]) == 0

        assert not storage.has_data_for_key("r")
        assert storage.queue_size() == 0
        assert other.settle([Settlement(new, results=(("r", b"new"),))]) == [Settled.DONE]
        assert storage.peek_data("r") == b"new"

    def test_a_stale_holder_that_signs_on_again_has_not_got_its_claims_back(
        self, storage: Any
    ) -> None:
        hired(storage, "c")
        fill(storage, b"a")
        (old,) = storage.claim("c", 1)
        storage.recover("c")
        hired(storage, "c")

        assert held(storage) == {"c": 0}
        assert storage.settle([Settlement(old)]) == [Settled.LOST]
        (new,) = storage.claim("c", 1)
        assert storage.settle([Settlement(old)]) == [Settled.LOST]
        assert storage.settle([Settlement(new)]) == [Settled.DONE]

    def test_many_claims_are_recovered(self, storage: Any) -> None:
        hired(storage, "dead", "c")
        wanted = [b"%04d" % number for number in range(1200)]
        fill(storage, *wanted)
        assert len(claim_all(storage, "dead")) == 1200

        assert storage.recover("dead") == 1200

        assert payloads(claim_all(storage, "c")) == wanted
