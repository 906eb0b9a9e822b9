"""Who waits is told: for messages, and for results."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from huey.storage.delivery import (
    Claim,
    DeadLetter,
    LosslessStorage,
    Move,
    Outgoing,
    Settlement,
)
from huey.testing.storage_contract.harness import PATIENCE, Harness, fill, hired, payloads

Aside = Callable[..., Future[Any]]


def _enqueue(storage: LosslessStorage) -> None:
    storage.enqueue(b"m")


def _enqueue_many(storage: LosslessStorage) -> None:
    storage.enqueue_many([Outgoing(b"m")])


def _promote(storage: LosslessStorage) -> None:
    storage.enqueue_many([Outgoing(b"m", due=1.0)])
    storage.promote([Move(item) for item in storage.due().messages])


def _tick(storage: LosslessStorage) -> None:
    storage.tick("t", 1.0, Outgoing(b"m"))


def _settle(storage: LosslessStorage) -> None:
    storage.settle([Settlement(outgoing=(Outgoing(b"m"),))])


def _replay(storage: LosslessStorage) -> None:
    storage.settle([Settlement(dead=DeadLetter(b"m", "failed"))])
    storage.replay(storage.dead_letters()[0].key)


class WaitingContract(Harness):
    """One test per rule of waiting. None sleeps: each would hang if the word did not get around."""

    def test_a_waiting_claim_gets_what_arrives_by_any_road(
        self, storage: Any, other: Any, aside: Aside
    ) -> None:
        hired(storage, "c")
        for road in (_enqueue, _enqueue_many, _promote, _tick, _settle, _replay):
            waiting = aside(storage.claim, "c", 5, PATIENCE)

            road(other)

            assert payloads(waiting.result(PATIENCE)) == [b"m"], road.__name__

    def test_a_waiting_claim_gets_what_another_gives_back(
        self, storage: Any, other: Any, aside: Aside
    ) -> None:
        hired(storage, "c")
        roads: list[Callable[[list[Claim]], Any]] = [
            other.release,
            lambda _: other.recover("d"),
            lambda _: other.sign_off("d"),
        ]
        for give_back in roads:
            hired(other, "d")
            fill(other, b"m")
            claims = other.claim("d", 1)
            waiting = aside(storage.claim, "c", 5, PATIENCE)

            give_back(claims)

            (claim,) = waiting.result(PATIENCE)
            storage.settle([Settlement(claim)])

    def test_a_claim_waits_no_longer_than_told(self, storage: Any) -> None:
        hired(storage, "c")

        assert storage.claim("c", 1, block=0.05) == []

    def test_wake_ends_the_waiting(self, storage: Any, aside: Aside) -> None:
        hired(storage, "c")
        waiting = aside(storage.claim, "c", 1, 4 * PATIENCE)

        storage.wake("c")

        assert waiting.result(PATIENCE) == []

    def test_wake_comes_never_too_early(self, storage: Any, aside: Aside) -> None:
        hired(storage, "c")
        storage.wake("c")

        waiting = aside(storage.claim, "c", 1, 4 * PATIENCE)

        assert waiting.result(PATIENCE) == []

    def test_all_who_wait_get_their_share(self, storage: Any, other: Any, aside: Aside) -> None:
        hired(storage, "c", "d")
        waiting = [aside(storage.claim, name, 1, PATIENCE) for name in ("c", "d")]

        fill(other, b"m", b"n")

        got = [payloads(future.result(PATIENCE)) for future in waiting]
        assert sorted(got) == [[b"m"], [b"n"]]

    # ── results ────────────────────────────────────────────────────────────────────────────────

    def test_a_result_waiter_returns_what_is_there(self, storage: Any) -> None:
        storage.put_data("a", b"1", is_result=True)
        waiter = storage.result_waiter()

        assert waiter.wait(["a", "b"], PATIENCE) == {"a"}
        waiter.close()

    def test_a_result_waiter_gives_up_with_the_timeout(self, storage: Any) -> None:
        waiter = storage.result_waiter()

        assert waiter.wait(["a"], 0.05) == set()
        assert waiter.wait(["a"], 0) == set()
        waiter.close()

    def test_a_result_waiter_learns_of_what_is_settled(
        self, storage: Any, other: Any, aside: Aside
    ) -> None:
        waiter = storage.result_waiter()
        waiting = aside(waiter.wait, ["a", "b"], PATIENCE)

        other.settle([Settlement(results=(("b", b"1"),))])

        assert waiting.result(PATIENCE) == {"b"}
        waiter.close()

    def test_a_result_waiter_learns_of_what_is_put(
        self, storage: Any, other: Any, aside: Aside
    ) -> None:
        waiter = storage.result_waiter()
        waiting = aside(waiter.wait, ["a"], None)

        other.put_data("unrelated", b"1", is_result=True)
        other.put_data("a", b"1", is_result=True)

        assert waiting.result(PATIENCE) == {"a"}
        waiter.close()

    def test_several_waiters_learn_of_the_same_result(
        self, storage: Any, other: Any, aside: Aside
    ) -> None:
        waiters = [storage.result_waiter() for _ in range(3)]
        waiting = [aside(waiter.wait, ["a"], PATIENCE) for waiter in waiters]

        other.settle([Settlement(results=(("a", b"1"),))])

        assert [future.result(PATIENCE) for future in waiting] == [{"a"}] * 3
        for waiter in waiters:
            waiter.close()

    def test_a_poke_ends_the_waiting_and_comes_never_too_early(
        self, storage: Any, aside: Aside
    ) -> None:
        waiter = storage.result_waiter()
        waiting = aside(waiter.wait, ["a"], 4 * PATIENCE)
        waiter.poke()
        assert waiting.result(PATIENCE) == set()

        waiter.poke()

        assert aside(waiter.wait, ["a"], 4 * PATIENCE).result(PATIENCE) == set()
        waiter.close()

    def test_waiting_for_a_result_ends_when_it_is_settled(
        self, storage: Any, other: Any, aside: Aside
    ) -> None:
        waiting = aside(storage.wait_result, "a", PATIENCE)

        other.settle([Settlement(results=(("a", b"1"),))])

        assert waiting.result(PATIENCE) is True
