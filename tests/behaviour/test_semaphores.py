"""Semaphores: so many at a time, on every storage."""

import threading
from typing import Any

import pytest

from huey.api import ConfigurationError, Huey, MemoryHuey, TaskException, TaskLockedException
from huey.contrib.helpers import RedisSemaphore, lock_task_semaphore
from huey.guards.semaphore import Semaphore
from tests.behaviour.driving import PATIENCE, run_all, running
from tests.behaviour.test_guards import together


def pause(huey: Huey, seconds: float) -> None:
    """Let time pass by the clock of the storage."""
    huey.storage.wait_result("nothing", timeout=seconds)


class TestByHand:
    def test_so_many_may_enter(self, huey: Huey) -> None:
        semaphore = RedisSemaphore(huey, "three", value=2)

        first, second = semaphore.acquire(), semaphore.acquire()

        assert first
        assert second
        assert first != second
        assert semaphore.acquire() is None
        assert semaphore.release(first) == 1
        assert semaphore.release(first) == 0
        assert semaphore.acquire() is not None

    def test_who_is_inside_may_enter_again(self, huey: Huey) -> None:
        semaphore = Semaphore(huey, "one")

        assert semaphore.acquire("me") == "me"
        assert semaphore.acquire("me") == "me"
        assert semaphore.acquire("you") is None
        assert semaphore.release("me") == 1
        assert semaphore.acquire("you") == "you"

    def test_a_place_returns_by_itself(self, huey: Huey) -> None:
        semaphore = Semaphore(huey, "one", timeout=0.02)
        assert semaphore.acquire("me") == "me"

        pause(huey, 0.06)

        assert semaphore.renew("me") is False
        assert semaphore.acquire("you") == "you"
        assert semaphore.release("me") == 0

    def test_only_who_is_inside_can_renew(self, huey: Huey) -> None:
        semaphore = Semaphore(huey, "one")
        semaphore.acquire("me")

        assert semaphore.renew("me") is True
        assert semaphore.renew("you") is False
        assert semaphore.acquire("you") is None

    def test_many_at_the_same_moment(self, huey: Huey) -> None:
        semaphore = Semaphore(huey, "five", value=5)
        entered: list[str | None] = []

        together(lambda: entered.append(semaphore.acquire()), 20)

        assert len([member for member in entered if member is not None]) == 5

    def test_names_are_shared_and_queues_are_not(self, huey: Huey) -> None:
        Semaphore(huey, "name").acquire()

        assert Semaphore(huey, "name").acquire() is None
        assert Semaphore(huey, "other").acquire() is not None

    def test_the_defaults_are_those_of_huey(self, huey: Huey) -> None:
        semaphore = RedisSemaphore(huey, "one")

        assert (semaphore.value, semaphore.timeout) == (1, 300.0)
        assert semaphore.key == "app.lock.one"
        assert huey._locks == {"app.lock.one"}

    @pytest.mark.parametrize("wrong", [{"value": 0}, {"value": -1}, {"timeout": 0}])
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Semaphore(MemoryHuey(), "one", **wrong)

    def test_a_storage_without_a_client_has_none_to_give(self) -> None:
        with pytest.raises(ConfigurationError, match="Redis"):
            _ = RedisSemaphore(MemoryHuey(), "one").conn


class TestDecorating:
    def test_a_call_that_finds_no_place_is_refused(self, huey: Huey) -> None:
        @lock_task_semaphore(huey, "one")
        def work() -> int:
            """Do something."""
            return 1

        semaphore = Semaphore(huey, "one")
        held = semaphore.acquire()
        assert held is not None
        with pytest.raises(TaskLockedException, match="one"):
            work()
        semaphore.release(held)

        assert (work(), work()) == (1, 1)
        assert (work.__name__, work.__doc__) == ("work", "Do something.")

    def test_the_place_is_given_back_when_the_call_fails(self, huey: Huey) -> None:
        @lock_task_semaphore(huey, "one")
        def fail() -> None:
            raise ValueError("broken")

        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                fail()

    def test_a_long_call_keeps_its_place(self, huey: Huey, monkeypatch: pytest.MonkeyPatch) -> None:
        storage = huey._lossless
        renew, renewed = storage.semaphore_renew, threading.Event()
        answers: list[bool] = []

        def noting(*args: Any) -> bool:
            answers.append(renew(*args))
            renewed.set()
            return answers[-1]

        monkeypatch.setattr(storage, "semaphore_renew", noting)

        @lock_task_semaphore(huey, "one", timeout=1.5)
        def work() -> str | None:
            renewed.wait(PATIENCE)
            return Semaphore(huey, "one").acquire()

        assert work() is None
        assert answers == [True]

    def test_a_coroutine_keeps_it_until_it_has_finished(self, huey: Huey) -> None:
        @huey.task()
        @lock_task_semaphore(huey, "one")
        async def work() -> str:
            return "entered" if Semaphore(huey, "one").acquire() is None else "alone"

        results = [work(), work()]
        run_all(huey)

        assert [result.get() for result in results] == ["entered"] * 2

    def test_a_task_without_retries_fails(self, huey: Huey) -> None:
        @huey.task()
        @lock_task_semaphore(huey, "one")
        def work() -> None:
            pass

        Semaphore(huey, "one").acquire()
        result = work()
        run_all(huey)

        with pytest.raises(TaskException, match="TaskLockedException"):
            result.get()

    def test_so_many_tasks_run_at_a_time(self, huey: Huey) -> None:
        guard = threading.Lock()
        inside: list[int] = []
        most: list[int] = []

        @huey.task(retries=1000, retry_delay=0.01)
        @lock_task_semaphore(huey, "two", value=2)
        def work() -> int:
            with guard:
                inside.append(1)
                most.append(len(inside))
            threading.Event().wait(0.01)
            with guard:
                inside.pop()
            return 1

        with running(huey, workers=5):
            results = [work() for _ in range(8)]
            for result in results:
                assert result.get(blocking=True, timeout=PATIENCE) == 1

        assert max(most) <= 2
        assert len(most) == 8
