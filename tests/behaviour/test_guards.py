"""Locks and rate limits: who may enter, who must come again, what is left behind."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from huey.api import (
    Huey,
    RateLimitExceeded,
    TaskException,
    TaskLock,
    TaskLockedException,
    utcnow,
)
from tests.behaviour.driving import PATIENCE, dequeued, make_due, run_all, run_next, running


def work() -> int:
    return 1


class TestLocks:
    def test_a_lock_is_held_inside_of_its_block(self, huey: Huey) -> None:
        lock = huey.lock_task("mine")

        with lock as entered:
            assert entered is lock
            assert isinstance(lock, TaskLock)
            assert lock.is_locked() is lock.locked() is True
            assert (huey.is_locked("mine"), huey.is_locked("other")) == (True, False)
            assert huey.result_count() == 1

        assert lock.is_locked() is False
        assert huey.result_count() == 0

    def test_a_second_entry_is_refused_even_to_the_same(self, huey: Huey) -> None:
        lock = huey.lock_task("mine")

        with lock:
            with pytest.raises(TaskLockedException, match="mine"), lock:
                pass
            with pytest.raises(TaskLockedException):
                huey.lock_task("mine").acquire()
            assert lock.is_locked()

    def test_it_is_freed_when_the_block_fails(self, huey: Huey) -> None:
        lock = huey.lock_task("mine")

        with pytest.raises(ValueError, match="broken"), lock:
            raise ValueError("broken")

        assert lock.is_locked() is False

    def test_by_hand(self, huey: Huey) -> None:
        lock = huey.lock_task("mine")

        assert lock.acquire() is True
        assert lock.release() is True
        assert lock.release() is False
        lock.acquire()
        assert lock.clear() is True
        assert lock.clear() is False

    def test_only_its_owner_frees_it_by_leaving(self, huey: Huey) -> None:
        first, second = huey.lock_task("mine"), huey.lock_task("mine")

        first.acquire()
        second.clear()
        second.acquire()
        elsewhere = threading.Thread(target=first.release)
        elsewhere.start()
        elsewhere.join()

        assert second.is_locked() is True
        assert second.release() is True

    def test_a_lock_that_was_cleared_and_taken_by_another_stays_taken(self, huey: Huey) -> None:
        with huey.lock_task("mine") as lock:
            lock.clear()
            thread = threading.Thread(target=huey.lock_task("mine").acquire)
            thread.start()
            thread.join()

        assert huey.is_locked("mine") is True

    def test_one_with_a_time_to_live_is_free_by_itself(self, huey: Huey) -> None:
        lock = huey.lock_task("mine", ttl=0.01)
        lock.acquire()

        huey.storage.wait_result("nothing", timeout=0.05)

        assert lock.is_locked() is False
        assert lock.acquire() is True

    def test_one_that_a_dead_consumer_held_is_freed(self, huey: Huey) -> None:
        storage = huey._lossless
        storage.sign_on("dead", {})
        huey._holder = "dead"
        huey.lock_task("mine").acquire()
        huey._holder = None
        huey.lock_task("of nobody").acquire()

        storage.recover("dead")

        assert (huey.is_locked("mine"), huey.is_locked("of nobody")) == (False, True)

    def test_a_time_to_live_is_positive(self, huey: Huey) -> None:
        for wrong in (0, -1):
            with pytest.raises(ValueError, match="ttl"):
                huey.lock_task("mine", ttl=wrong)

    def test_a_decorated_function_keeps_its_identity(self, huey: Huey) -> None:
        guarded = huey.lock_task("mine")(work)

        assert guarded.__name__ == "work"
        assert guarded() == 1
        with huey.lock_task("mine"), pytest.raises(TaskLockedException):
            guarded()

    def test_a_coroutine_holds_it_until_it_has_finished(self, huey: Huey) -> None:
        held: list[bool] = []

        @huey.task()
        @huey.lock_task("mine")
        async def work() -> None:
            held.append(huey.is_locked("mine"))

        work()
        run_next(huey)

        assert held == [True]
        assert huey.is_locked("mine") is False


class TestLockedTasks:
    def test_one_that_finds_it_taken_fails(self, huey: Huey) -> None:
        result = huey.task()(huey.lock_task("mine")(work))()

        with huey.lock_task("mine"):
            run_next(huey)

        with pytest.raises(TaskException, match="TaskLockedException"):
            result.get()
        assert huey.is_locked("mine") is False

    def test_one_with_retries_tries_again(self, huey: Huey) -> None:
        result = huey.task(retries=1)(huey.lock_task("mine")(work))()

        with huey.lock_task("mine"):
            run_next(huey)
        assert (huey.result_count(), len(huey)) == (0, 1)
        run_next(huey)

        assert result.get() == 1

    def test_tasks_of_one_name_never_overlap(self, huey: Huey) -> None:
        inside: list[int] = []
        most: list[int] = []
        both_tried = threading.Event()

        @huey.task(retries=100, retry_delay=0.01)
        @huey.lock_task("mine")
        def exclusive() -> None:
            inside.append(1)
            most.append(len(inside))
            both_tried.wait(0.02)
            inside.pop()

        huey.store_none = True
        with running(huey, workers=4):
            results = [exclusive() for _ in range(4)]
            for result in results:
                result.get(blocking=True, timeout=PATIENCE)

        assert most == [1] * 4


class TestFlushing:
    def test_it_tells_the_names_of_those_that_were_held(self, huey: Huey) -> None:
        for name in ("one", "two"):
            huey.lock_task(name).acquire()
        huey.lock_task("free")

        assert huey.flush_locks() == {"one", "two"}
        assert huey.flush_locks() == set()
        assert huey.is_locked("one") is False

    def test_locks_of_other_processes_are_named(self, huey: Huey) -> None:
        huey.lock_task("elsewhere").acquire()
        huey._locks.clear()

        assert huey.flush_locks() == set()
        assert huey.flush_locks(" elsewhere ", "never held") == {"elsewhere"}

    def test_decorators_make_their_locks_known(self, huey: Huey) -> None:
        huey.lock_task("mine")(work)

        assert huey._locks == {"app.lock.mine"}

    def test_a_consumer_can_do_it_at_its_start(self, huey: Huey) -> None:
        for name in ("one", "two", "three"):
            huey.lock_task(name).acquire()
        huey._locks = {"app.lock.one"}

        huey.create_consumer(extra_locks="two, never")

        assert [huey.is_locked(name) for name in ("one", "two", "three")] == [False, False, True]


class TestRateLimits:
    def test_as_many_as_the_limit_may_enter(self, huey: Huey) -> None:
        limit = huey.rate_limit("mail", limit=3, per=3600)

        for _ in range(3):
            limit.acquire()
        with pytest.raises(RateLimitExceeded) as caught:
            limit.acquire()

        error = caught.value
        assert (error.key, error.retry) == ("mail", True)
        assert 0 < error.delay <= 3600
        assert limit.current_usage() == 3

    def test_looking_counts_nothing(self, huey: Huey) -> None:
        limit = huey.rate_limit("mail", limit=1, per=3600)

        assert (limit.current_usage(), limit.current_usage()) == (0, 0)
        limit.acquire()
        assert limit.current_usage() == 1

    def test_reset_opens_a_fresh_window(self, huey: Huey) -> None:
        limit = huey.rate_limit("mail", limit=1, per=3600)
        limit.acquire()

        limit.reset()

        assert limit.current_usage() == 0
        limit.acquire()

    def test_decorator_and_block_share_a_name(self, huey: Huey) -> None:
        guarded = huey.rate_limit("mail", limit=2, per=3600)(work)

        assert guarded() == 1
        with huey.rate_limit("mail", limit=2, per=3600) as entered:
            assert entered is None
        with pytest.raises(RateLimitExceeded):
            guarded()
        assert guarded.__name__ == "work"

    def test_nobody_enters_at_zero(self, huey: Huey) -> None:
        with pytest.raises(RateLimitExceeded):
            huey.rate_limit("mail", limit=0, per=60).acquire()

    def test_a_new_window_has_room(self, huey: Huey) -> None:
        limit = huey.rate_limit("mail", limit=1, per=0.05)
        limit.acquire()

        entered = 0
        while entered < 2:
            try:
                limit.acquire()
                entered += 1
            except RateLimitExceeded as error:
                huey.storage.wait_result("nothing", timeout=error.delay)

        assert limit.current_usage() <= 1

    def test_it_is_exact_under_contention(self, huey: Huey) -> None:
        limit = huey.rate_limit("mail", limit=10, per=3600)
        entered: list[bool] = []

        def enter() -> None:
            for _ in range(5):
                try:
                    limit.acquire()
                    entered.append(True)
                except RateLimitExceeded:
                    entered.append(False)

        together(enter, 6)

        assert entered.count(True) == 10

    @pytest.mark.parametrize("wrong", [{"limit": -1, "per": 60}, {"limit": 1, "per": 0}])
    def test_a_limit_that_makes_no_sense_is_refused(self, huey: Huey, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"limit|per"):
            huey.rate_limit("mail", **wrong)

    def test_a_coroutine_counts_when_it_starts(self, huey: Huey) -> None:
        @huey.task()
        @huey.rate_limit("mail", limit=1, per=3600, retry=False)
        async def send() -> int:
            return 1

        results = [send(), send()]
        run_all(huey)

        assert results[0].get() == 1
        with pytest.raises(TaskException, match="RateLimitExceeded"):
            results[1].get()


class TestRateLimitedTasks:
    @pytest.mark.parametrize(
        ("retry", "retries", "left"), [(True, 0, 0), (True, 2, 2), (False, 2, 1)]
    )
    def test_one_that_comes_again_waits_for_the_next_window(
        self, huey: Huey, retry: bool, retries: int, left: int
    ) -> None:
        limit = huey.rate_limit("none", limit=0, per=3600, retry=retry)
        huey.task(retries=retries)(limit(work))()
        run_next(huey)

        [task] = huey.scheduled()
        assert task.retries == left
        assert task.eta is not None
        assert 0 <= (task.eta - utcnow()).total_seconds() <= 3600
        assert huey.result_count() == 0

    def test_its_own_delay_goes_before_that_of_the_window(self, huey: Huey) -> None:
        limit = huey.rate_limit("none", limit=0, per=10)
        huey.task(retry_delay=1000)(limit(work))()
        run_next(huey)

        [task] = huey.scheduled()
        assert task.eta is not None
        assert (task.eta - utcnow()).total_seconds() > 900
        assert task.retry_delay == 1000

    def test_one_that_gives_up_is_an_error(self, huey: Huey) -> None:
        limit = huey.rate_limit("none", limit=0, per=3600, retry=False)
        result = huey.task()(limit(work))()
        run_next(huey)

        with pytest.raises(TaskException, match="RateLimitExceeded"):
            result.get()
        assert (len(huey), huey.scheduled_count()) == (0, 0)

    def test_one_that_was_rejected_runs_later(self, huey: Huey) -> None:
        limit = huey.rate_limit("one", limit=1, per=3600)
        limited = huey.task()(limit(work))
        results = [limited(), limited()]
        run_all(huey)
        assert [result.get() for result in results] == [1, None]

        limit.reset()
        make_due(huey, 3601)
        task = dequeued(huey)
        huey.execute(task, task.eta)

        assert results[1].get() == 1


def test_only_one_of_many_puts_into_an_empty_place(huey: Huey) -> None:
    winners: list[str] = []

    def put() -> None:
        for number in range(20):
            if huey.put_if_empty(f"key {number}", 1):
                winners.append(f"key {number}")

    together(put, 8)

    assert sorted(winners) == sorted(f"key {number}" for number in range(20))


def together(target: Callable[[], None], count: int) -> None:
    """Call a function in several threads at the same moment, and wait for all."""
    start = threading.Barrier(count)

    def run() -> None:
        start.wait()
        target()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
