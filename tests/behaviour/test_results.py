"""Result handles: read once, kept, waited for."""

import threading
from typing import Any

import pytest

from huey.api import (
    EmptyData,
    Error,
    Huey,
    Result,
    ResultGroup,
    ResultTimeout,
    Task,
    TaskException,
)
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, run_all, run_next, running


def work(value: Any = None) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


@pytest.fixture
def worker(huey: Huey) -> Any:
    return huey.task()(work)


def test_a_handle_names_its_task(huey: Huey) -> None:
    task = Task(id="the-id")

    result: Result[Any] = Result(huey, task)

    assert (result.huey, result.task) == (huey, task)
    assert (result.id, result.revoke_id) == ("the-id", "r:the-id")
    assert repr(result) == "<Result: task the-id>"
    assert result._result is EmptyData


def test_an_unfinished_task_gives_none_and_nothing_is_kept(huey: Huey, worker: Any) -> None:
    result = worker(3)

    assert (result.get(), result(), result.get(preserve=True)) == (None, None, None)
    assert result._get() is EmptyData
    run_next(huey)

    assert result.get() == 3


def test_a_value_is_read_once_and_kept_in_the_handle(huey: Huey, worker: Any) -> None:
    result = worker(3)
    second: Result[Any] = Result(huey, result.task)
    run_next(huey)
    assert huey.result_count() == 1

    assert result.get() == 3
    assert huey.result_count() == 0
    assert (result.get(), result()) == (3, 3)
    assert second.get() is None


def test_preserve_leaves_it_for_others(huey: Huey, worker: Any) -> None:
    result = worker(3)
    run_next(huey)

    assert result.get(preserve=True) == 3
    assert huey.result_count() == 1
    assert huey.result(result.id, preserve=True) == 3
    assert huey.result(result.id) == 3
    assert huey.result(result.id) is None


def test_asking_whether_it_is_ready_pulls_the_value_in(huey: Huey, worker: Any) -> None:
    result = worker(3)
    other: Result[Any] = Result(huey, result.task)
    assert result.is_ready() is False
    run_next(huey)

    assert result.is_ready() is True
    assert huey.result_count() == 0
    assert other.is_ready() is False
    assert result.get(preserve=True) == 3
    assert result.is_ready() is True


def test_reset_forgets_the_value(huey: Huey, worker: Any) -> None:
    result = worker(3)
    run_next(huey)
    result.get()

    result.reset()

    assert result.get() is None
    huey.put_result(result.id, 4)
    assert result.get() == 4


class TestErrors:
    def test_reading_the_result_of_a_failed_task_raises(self, huey: Huey, worker: Any) -> None:
        result = worker(ValueError("broken"))
        run_next(huey)

        with pytest.raises(TaskException) as caught:
            result.get()

        metadata = caught.value.metadata
        assert str(caught.value) == metadata["error"] == "ValueError('broken')"
        assert metadata["retries"] == 0
        assert metadata["task_id"] == result.id
        assert metadata["traceback"].rstrip().endswith("ValueError: broken")
        with pytest.raises(TaskException):
            result.get()

    def test_the_raw_result_is_the_error_itself(self, huey: Huey, worker: Any) -> None:
        result = worker(ValueError("broken"))
        run_next(huey)

        raw = result.get_raw_result()

        assert isinstance(raw, Error)
        assert raw.metadata["error"] == "ValueError('broken')"

    def test_a_failure_of_an_inner_task_keeps_its_text(self, huey: Huey, worker: Any) -> None:
        inner = worker(ValueError("inner"))
        run_next(huey)

        @huey.task()
        def outer() -> Any:
            return inner.get()

        result = outer()
        run_next(huey)

        with pytest.raises(TaskException) as caught:
            result.get()
        assert caught.value.metadata["error"] == "ValueError('inner')"
        assert caught.value.metadata["task_id"] == result.id

    def test_a_subclass_may_say_more(self, make_huey: MakeHuey) -> None:
        class Mixin:
            def build_error_result(self, task: Task, exception: Exception) -> dict[str, Any]:
                metadata = super().build_error_result(task, exception)  # type: ignore[misc]
                return {**metadata, "kind": type(exception).__name__}

        huey = make_huey(mixin=Mixin)
        result = huey.task()(work)(ValueError("broken"))
        run_next(huey)

        with pytest.raises(TaskException) as caught:
            result.get()
        assert caught.value.metadata["kind"] == "ValueError"

    def test_details_that_cannot_be_stored_are_stored_as_text(self, make_huey: MakeHuey) -> None:
        class Mixin:
            def build_error_result(self, task: Task, exception: Exception) -> dict[str, Any]:
                return {"error": "text", "lock": threading.Lock(), "retries": 0}

        huey = make_huey(mixin=Mixin)
        result = huey.task()(work)(ValueError("broken"))
        run_next(huey)

        raw = result.get_raw_result()
        assert raw.metadata["error"] == "text"
        assert "lock" in raw.metadata["lock"]


class TestWaiting:
    def test_a_wait_in_vain_is_a_timeout_and_the_handle_stays_good(
        self, huey: Huey, worker: Any
    ) -> None:
        result = worker(3)

        with pytest.raises(ResultTimeout):
            result.get(blocking=True, timeout=0.01)
        assert result.is_revoked() is False
        run_next(huey)

        assert result.get(blocking=True, timeout=0.01) == 3

    def test_a_timeout_of_zero_only_looks(self, huey: Huey, worker: Any) -> None:
        result = worker(3)

        with pytest.raises(ResultTimeout):
            result.get(blocking=True, timeout=0)

    def test_a_task_that_is_not_wanted_any_more_can_be_revoked(
        self, huey: Huey, worker: Any
    ) -> None:
        result = worker(3)

        with pytest.raises(ResultTimeout):
            result.get(blocking=True, timeout=0.01, revoke_on_timeout=True)

        assert result.is_revoked() is True
        assert run_next(huey) is None
        assert (huey.result_count(), result.is_revoked()) == (0, False)

    def test_a_wait_ends_when_the_value_comes(self, huey: Huey, worker: Any) -> None:
        result = worker(3)

        with running(huey):
            assert result.get(blocking=True, timeout=PATIENCE) == 3

    def test_a_value_that_others_took_is_a_timeout_and_never_a_sentinel(
        self, huey: Huey, worker: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = worker(3)
        monkeypatch.setattr(huey.storage, "wait_result", lambda *args, **kwargs: True)

        with pytest.raises(ResultTimeout):
            result.get(blocking=True, timeout=1)
        with pytest.raises(ResultTimeout):
            huey.result(result.id, blocking=True, timeout=1)

    def test_the_storage_is_told_how_to_wait(
        self, huey: Huey, worker: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []
        monkeypatch.setattr(huey.storage, "wait_result", lambda *args: asked.append(args))
        result = worker(3)

        with pytest.raises(ResultTimeout):
            result.get(True, 2.5, 1.3, 4)

        assert asked == [(result.id, 2.5, 1.3, 4)]


class TestGroups:
    def test_values_come_in_the_order_of_the_handles(self, huey: Huey, worker: Any) -> None:
        results = [worker(number) for number in range(3)]
        group = ResultGroup(results)
        for task in reversed([huey.dequeue() for _ in results]):
            assert task is not None
            huey.execute(task)

        assert group.get(preserve=True) == group() == [0, 1, 2]
        assert (group[1], len(group), list(group)) == (1, 3, results)

    def test_an_index_waits_for_its_value(self, huey: Huey, worker: Any) -> None:
        group = worker.map([1, 2])

        with running(huey):
            assert (group[1], group[0]) == (2, 1)

    def test_unfinished_members_give_none(self, huey: Huey, worker: Any) -> None:
        group = worker.map([1, 2])
        run_next(huey)

        assert group.get() == [1, None]

    def test_a_failed_member_raises(self, huey: Huey, worker: Any) -> None:
        group = worker.map([1, ValueError("broken")])
        run_all(huey)

        with pytest.raises(TaskException, match="broken"):
            group.get()

    def test_values_can_be_had_as_they_come(self, huey: Huey, worker: Any) -> None:
        group = worker.map([1, 2, 3])
        tasks = [huey.dequeue() for _ in range(3)]
        found: list[Any] = []

        for value in self.finishing(huey, group, [tasks[1], tasks[0], tasks[2]]):
            found.append(value)

        assert found == [2, 1, 3]

    @staticmethod
    def finishing(huey: Huey, group: Any, tasks: list[Any]) -> Any:
        """Finish one task whenever the next value is asked for."""
        values = group.as_completed()
        for task in tasks:
            huey.execute(task)
            yield next(values)

    def test_waiting_for_the_next_one_ends_when_it_comes(self, huey: Huey, worker: Any) -> None:
        group = worker.map(range(10))

        with running(huey, workers=2):
            assert sorted(group.as_completed()) == list(range(10))

    def test_the_turn_of_a_failed_one_raises(self, huey: Huey, worker: Any) -> None:
        group = worker.map([ValueError("broken")])
        run_all(huey)

        with pytest.raises(TaskException, match="broken"):
            list(group.as_completed())

    def test_handles_of_several_hueys_can_be_mixed(self, make_huey: MakeHuey) -> None:
        one, two = make_huey("one"), make_huey("two")
        first, second = one.task()(work), two.task()(work)
        group = ResultGroup([first(1), second(2)])

        with running(two):
            values = group.as_completed()
            assert next(values) == 2
            with running(one):
                assert list(values) == [1]


def test_all_results_are_shown_under_the_ids_of_their_tasks(huey: Huey, worker: Any) -> None:
    results = [worker(number) for number in range(3)]
    run_all(huey)

    stored = huey.all_results()

    assert set(stored) == {result.id for result in results}
    assert [huey.serializer.deserialize(stored[result.id]) for result in results] == [0, 1, 2]


def test_the_count_includes_revocations_and_locks(huey: Huey, worker: Any) -> None:
    result = worker(1)
    result.revoke()
    with huey.lock_task("held"):
        assert huey.result_count() == 2

    run_next(huey)

    assert huey.result_count() == 0


def test_falsy_values_are_results_too(huey: Huey, worker: Any) -> None:
    falsy: list[Any] = [0, "", False, [], {}]
    for value in falsy:
        result = worker(value)
        run_next(huey)
        assert result.is_ready() is True
        assert result.get() == value
