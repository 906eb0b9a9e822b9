"""Dead letters, and sweeping."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from typing import Any

from huey.storage.delivery import DeadLetter, DeathCause, Outgoing, Reservation, Settlement
from huey.testing.storage_contract.harness import Harness, fill, hired

FOREVER = 1e9


def bury(storage: Any, *data: bytes) -> None:
    """Store dead letters, each in a settlement of its own."""
    for item in data:
        storage.settle([Settlement(dead=DeadLetter(item, DeathCause.FAILED, f"of {item!r}"))])


def sweep(storage: Any, dead: int = 999, age: float = FOREVER, marks: float = FOREVER) -> int:
    """Sweep, by default nothing that a test does not mean."""
    swept: int = storage.sweep(max_dead=dead, max_dead_age=age, max_mark_age=marks)
    return swept


class LetterContract(Harness):
    """One test per rule of what is kept for people."""

    def test_letters_are_listed_the_newest_first(self, storage: Any, other: Any) -> None:
        bury(storage, b"a", b"b", b"c")

        assert other.dead_count() == 3
        assert [letter.data for letter in other.dead_letters()] == [b"c", b"b", b"a"]
        assert [letter.data for letter in other.dead_letters(limit=1, offset=1)] == [b"b"]
        assert other.dead_letters(limit=5, offset=3) == []

    def test_a_letter_says_why_and_when(self, storage: Any) -> None:
        before = storage.now()
        bury(storage, b"a")

        (letter,) = storage.dead_letters()

        assert (letter.cause, letter.detail) == (DeathCause.FAILED, "of b'a'")
        assert before - 1 <= letter.died_at <= storage.now() + 1
        assert letter.key

    def test_the_time_of_death_may_be_given(self, storage: Any) -> None:
        storage.settle([Settlement(dead=DeadLetter(b"a", "failed", died_at=12345.5))])

        assert storage.dead_letters()[0].died_at == 12345.5

    def test_a_replayed_letter_is_a_message_again(self, storage: Any) -> None:
        bury(storage, b"a", b"b")
        key = storage.dead_letters()[1].key

        assert storage.replay(key) is True
        assert storage.replay(key) is False

        assert storage.enqueued_items() == [b"a"]
        assert [letter.data for letter in storage.dead_letters()] == [b"b"]

    def test_a_letter_is_replayed_with_the_priority_given(self, storage: Any) -> None:
        if not self.supports_priority:
            return
        fill(storage, b"x")
        bury(storage, b"a")

        storage.replay(storage.dead_letters()[0].key, priority=3)

        assert storage.enqueued_items() == [b"a", b"x"]

    def test_a_replayed_letter_starts_without_marks(self, storage: Any) -> None:
        hired(storage, "dead", "c")
        fill(storage, b"a")
        storage.claim("dead", 1)
        storage.recover("dead")
        (claim,) = storage.claim("c", 1)
        storage.settle([Settlement(claim, dead=DeadLetter(b"a", DeathCause.CRASHED))])

        storage.replay(storage.dead_letters()[0].key)

        (claim,) = storage.claim("c", 1)
        assert (claim.attempt, claim.redelivered) == (1, False)

    def test_a_letter_can_be_deleted(self, storage: Any) -> None:
        bury(storage, b"a")
        key = storage.dead_letters()[0].key

        assert storage.delete_dead(key) is True
        assert storage.delete_dead(key) is False
        assert storage.dead_count() == 0

    def test_unknown_letters_are_not_found(self, storage: Any) -> None:
        assert storage.replay("nothing") is False
        assert storage.delete_dead("nothing") is False

    def test_the_same_message_may_die_twice(self, storage: Any) -> None:
        bury(storage, b"a", b"a")

        assert storage.dead_count() == 2
        assert len({letter.key for letter in storage.dead_letters()}) == 2

    def test_flushing_all_removes_letters(self, storage: Any) -> None:
        bury(storage, b"a")

        storage.flush_all()

        assert storage.dead_count() == 0

    # ── sweeping ───────────────────────────────────────────────────────────────────────────────

    def test_sweeping_keeps_the_newest_letters(self, storage: Any) -> None:
        bury(storage, b"a", b"b", b"c")

        assert sweep(storage, dead=2) == 1
        assert [letter.data for letter in storage.dead_letters()] == [b"c", b"b"]
        assert sweep(storage, dead=2) == 0

    def test_sweeping_removes_letters_by_age(self, storage: Any) -> None:
        bury(storage, b"new")
        storage.settle([Settlement(dead=DeadLetter(b"old", "failed", died_at=1.0))])

        assert sweep(storage, age=3600) == 1
        assert [letter.data for letter in storage.dead_letters()] == [b"new"]

    def test_sweeping_removes_untouched_marks(self, storage: Any) -> None:
        storage.enqueue_many([Outgoing(b"a", attempt=5)])
        assert sweep(storage) == 0

        assert sweep(storage, marks=-60) == 1

        hired(storage, "c")
        assert storage.claim("c", 1)[0].attempt == 1

    def test_sweeping_forgets_what_has_expired(self, storage: Any) -> None:
        if not self.expires_data:
            return
        storage.lock("l", b"1", ttl=0.05)
        storage.semaphore_acquire("s", "m", 1, 0.05)
        storage.enqueue_many([Outgoing(b"a", reservation=Reservation("u", "id", ttl=0.05))])
        assert not storage.wait_result("nothing", timeout=0.2)

        sweep(storage)

        assert storage.result_items() == {}
        assert storage.semaphore_acquire("s", "n", 1, 60) is True

    def test_sweeping_harms_nothing_that_is_needed(self, storage: Any) -> None:
        hired(storage, "c")
        ttl = 600 if self.expires_data else None
        storage.enqueue_many([Outgoing(b"a", reservation=Reservation("u", "id", ttl=ttl))])
        storage.lock("l", b"1", ttl=ttl)
        storage.semaphore_acquire("s", "m", 1, 600, holder="c")
        storage.put_data("r", b"1", is_result=True)
        storage.incr("n")

        sweep(storage)

        assert set(storage.result_items()) >= {"u", "l", "r"}
        assert storage.semaphore_renew("s", "m", 60) is True
        assert storage.incr("n", 0) == 1
        assert storage.enqueued_items() == [b"a"]
        assert len(storage.consumers()) == 1
