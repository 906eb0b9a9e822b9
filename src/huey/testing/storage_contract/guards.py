"""Locks, semaphores and rate limits."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from typing import Any

import pytest

from huey.storage.delivery import Outgoing
from huey.testing.storage_contract.harness import PATIENCE, Harness, hired, race

#: A window that does not end while a test runs: the next one begins in the year 2128.
LONG = 5_000_000_000.0


def freed(storage: Any, attempt: Any) -> bool:
    """Try again until an expiring guard lets us in."""
    return any(attempt() or storage.wait_result("nothing", 0.05) for _ in range(int(PATIENCE * 20)))


class GuardContract(Harness):
    """One test per rule of what stands before task code."""

    # ── locks ──────────────────────────────────────────────────────────────────────────────────

    def test_a_lock_is_taken_once(self, storage: Any, other: Any) -> None:
        assert storage.lock("l", b"me") is True
        assert other.lock("l", b"you") is False
        assert other.has_data_for_key("l")

    def test_only_its_owner_unlocks(self, storage: Any, other: Any) -> None:
        storage.lock("l", b"me")

        assert other.unlock("l", b"you") is False
        assert other.lock("l", b"you") is False
        assert storage.unlock("l", b"me") is True
        assert storage.unlock("l", b"me") is False
        assert other.lock("l", b"you") is True

    def test_a_lock_can_be_deleted_like_any_data(self, storage: Any) -> None:
        storage.lock("l", b"me", ttl=60)

        assert storage.delete_data("l")
        assert storage.lock("l", b"you") is True

    def test_one_of_many_threads_gets_the_lock(self, storage: Any) -> None:
        assert race(6, lambda index: storage.lock("l", b"%d" % index)).count(True) == 1

    def test_a_lock_with_a_ttl_is_free_by_itself(self, storage: Any) -> None:
        assert storage.lock("l", b"me", ttl=0.05)

        assert freed(storage, lambda: storage.lock("l", b"you"))
        assert storage.unlock("l", b"me") is False

    def test_the_locks_of_the_dead_are_freed(self, storage: Any, other: Any) -> None:
        hired(storage, "dead", "c")
        storage.lock("of the dead", b"1", holder="dead")
        storage.lock("with ttl", b"1", ttl=600, holder="dead")
        storage.lock("of the living", b"1", holder="c")
        storage.lock("of nobody", b"1")

        other.recover("dead")

        assert set(other.result_items()) == {"of the living", "of nobody"}

    def test_signing_off_frees_locks(self, storage: Any) -> None:
        hired(storage, "c")
        storage.lock("l", b"1", holder="c")

        storage.sign_off("c")

        assert storage.lock("l", b"2") is True

    def test_a_lock_that_has_a_new_owner_outlives_the_death_of_the_old_one(
        self, storage: Any
    ) -> None:
        hired(storage, "dead")
        storage.lock("l", b"old", holder="dead")
        storage.unlock("l", b"old")
        storage.lock("l", b"new")

        storage.recover("dead")

        assert storage.peek_data("l") == b"new"

    # ── semaphores ─────────────────────────────────────────────────────────────────────────────

    def test_a_semaphore_has_as_many_places_as_it_says(self, storage: Any, other: Any) -> None:
        assert storage.semaphore_acquire("s", "a", 2, 60) is True
        assert other.semaphore_acquire("s", "b", 2, 60) is True
        assert storage.semaphore_acquire("s", "c", 2, 60) is False

        assert other.semaphore_release("s", "a") is True
        assert storage.semaphore_acquire("s", "c", 2, 60) is True

    def test_who_has_a_place_may_take_it_again(self, storage: Any) -> None:
        assert storage.semaphore_acquire("s", "a", 1, 60) is True
        assert storage.semaphore_acquire("s", "a", 1, 60) is True
        assert storage.semaphore_release("s", "a") is True
        assert storage.semaphore_release("s", "a") is False

    def test_a_place_that_was_not_renewed_is_lost(self, storage: Any) -> None:
        storage.semaphore_acquire("s", "a", 1, 0.05)

        assert freed(storage, lambda: storage.semaphore_acquire("s", "b", 1, 60))
        assert storage.semaphore_renew("s", "a", 60) is False
        assert storage.semaphore_release("s", "a") is False
        assert storage.semaphore_renew("s", "b", 60) is True

    def test_a_renewed_place_is_kept(self, storage: Any) -> None:
        storage.semaphore_acquire("s", "a", 1, 0.3)

        assert storage.semaphore_renew("s", "a", 600) is True

        assert not storage.wait_result("nothing", timeout=0.4)
        assert storage.semaphore_acquire("s", "b", 1, 60) is False

    def test_the_places_of_the_dead_are_free(self, storage: Any) -> None:
        hired(storage, "dead")
        storage.semaphore_acquire("s", "a", 1, 600, holder="dead")

        storage.recover("dead")

        assert storage.semaphore_acquire("s", "b", 1, 60) is True

    def test_semaphores_do_not_meet(self, storage: Any) -> None:
        assert storage.semaphore_acquire("s", "a", 1, 60)
        assert storage.semaphore_acquire("t", "a", 1, 60)
        storage.semaphore_release("s", "a")

        assert storage.semaphore_acquire("t", "b", 1, 60) is False

    def test_no_more_threads_are_let_in_than_there_are_places(self, storage: Any) -> None:
        taken = race(8, lambda index: storage.semaphore_acquire("s", str(index), 3, 60))

        assert taken.count(True) == 3

    # ── rates ──────────────────────────────────────────────────────────────────────────────────

    def test_hits_are_counted_up_to_the_limit(self, storage: Any, other: Any) -> None:
        assert [storage.rate_hit("r", LONG, 2)[0] for _ in range(2)] == [1, 2]
        assert [other.rate_hit("r", LONG, 2)[0] for _ in range(2)] == [3, 3]

    def test_an_amount_of_zero_only_looks(self, storage: Any) -> None:
        assert storage.rate_hit("r", LONG, 2, 0)[0] == 0
        storage.rate_hit("r", LONG, 2)
        assert storage.rate_hit("r", LONG, 2, 0)[0] == 1
        assert storage.rate_hit("r", LONG, 2, 0)[0] == 1

    def test_a_large_amount_counts_whole_or_not_at_all(self, storage: Any) -> None:
        assert storage.rate_hit("r", LONG, 5, 4)[0] == 4
        assert storage.rate_hit("r", LONG, 5, 2)[0] == 6
        assert storage.rate_hit("r", LONG, 5, 1)[0] == 5

    def test_a_limit_of_zero_refuses(self, storage: Any) -> None:
        assert storage.rate_hit("r", LONG, 0)[0] == 1
        assert storage.rate_hit("r", LONG, 0, 0)[0] == 0

    def test_the_window_is_aligned_to_the_clock(self, storage: Any) -> None:
        _, left = storage.rate_hit("r", LONG, 5)

        assert left == pytest.approx(LONG - storage.now() % LONG, abs=PATIENCE)

    def test_a_new_window_starts_empty(self, storage: Any) -> None:
        while (first := storage.rate_hit("r", 0.2, 1))[0] != 1:
            storage.wait_result("nothing", first[1])
        assert 0 < first[1] <= 0.2

        assert freed(storage, lambda: storage.rate_hit("r", 0.2, 1)[0] == 1)

    def test_deleting_the_counter_makes_room_again(self, storage: Any) -> None:
        storage.rate_hit("r", LONG, 1)
        assert storage.rate_hit("r", LONG, 1)[0] == 2

        storage.delete_counter("r")

        assert storage.rate_hit("r", LONG, 1, 0)[0] == 0
        assert storage.rate_hit("r", LONG, 1)[0] == 1

    def test_no_more_threads_pass_than_the_limit_allows(self, storage: Any) -> None:
        hits = race(8, lambda _: [storage.rate_hit("r", LONG, 10)[0] for _ in range(4)])

        counts = [count for seen in hits for count in seen]
        assert sorted(count for count in counts if count <= 10) == list(range(1, 11))

    def test_flushing_all_empties_the_guards(self, storage: Any) -> None:
        storage.lock("l", b"1", ttl=60)
        storage.semaphore_acquire("s", "a", 1, 60)
        storage.rate_hit("r", LONG, 1)
        storage.tick("t", 5.0, Outgoing(b"x"))

        storage.flush_all()

        assert storage.lock("l", b"2") is True
        assert storage.semaphore_acquire("s", "b", 1, 60) is True
        assert storage.rate_hit("r", LONG, 1)[0] == 1
        assert storage.last_ticks() == {}
        assert storage.queue_size() == 0
