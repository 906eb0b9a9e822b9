"""One task after another: what is handed on, and what happens when a stage fails."""

from typing import Any, NamedTuple

import pytest

from huey.api import Error, Huey, ResultGroup, Task, TaskException
from tests.behaviour.driving import PATIENCE, dequeued, run_all, run_next, running


class Pair(NamedTuple):
    left: int
    right: int


def add(*numbers: int, **more: int) -> int:
    total = sum(numbers) + sum(more.values())
    if total < 0:
        raise ValueError("negative")
    return total


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


def giving(huey: Huey, value: Any) -> Any:
    @huey.task()
    def give() -> Any:
        return value

    return give


def taking(huey: Huey) -> Any:
    @huey.task()
    def take(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    return take


class TestHandingOn:
    def test_a_pipeline_gives_a_handle_per_stage(self, huey: Huey, sums: Any) -> None:
        first, second, third = huey.enqueue(sums.s(1).then(sums, 2).then(sums.s(3)))

        for expected in (1, 3, 6):
            assert len(huey) == 1
            assert run_next(huey) == expected

        assert [first.get(), second.get(), third.get()] == [1, 3, 6]
        assert (len(huey), huey.result_count()) == (0, 0)

    def test_the_handles_can_be_read_together(self, huey: Huey, sums: Any) -> None:
        results = huey.enqueue(sums.s(1).then(sums, 2))
        run_all(huey)

        assert isinstance(results, ResultGroup)
        assert results.get() == [1, 3]

    @pytest.mark.parametrize(
        ("value", "args", "kwargs"),
        [
            (None, ("own",), {"key": "own"}),
            ((), ("own",), {"key": "own"}),
            (("a", "b"), ("own", "a", "b"), {"key": "own"}),
            (Pair(1, 2), ("own", 1, 2), {"key": "own"}),
            ({"key": "given", "other": 1}, ("own",), {"key": "own", "other": 1}),
            (["a", "b"], ("own", ["a", "b"]), {"key": "own"}),
            (0, ("own", 0), {"key": "own"}),
        ],
    )
    def test_what_the_next_stage_gets(
        self, huey: Huey, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        give, take = giving(huey, value), taking(huey)

        huey.enqueue(give.s().then(take, "own", key="own"))
        run_next(huey)

        assert run_next(huey) == (args, kwargs)

    def test_tasks_and_functions_can_be_mixed_and_given_more_arguments(
        self, huey: Huey, sums: Any
    ) -> None:
        later = sums.s(10, extra=1)

        head = sums.s(1).then(later, 20, extra=5, more=2)

        assert head.on_complete is later
        assert later.data == ((10, 20), {"extra": 1, "more": 2})
        huey.enqueue(head)
        run_next(huey)
        assert run_next(huey) == 34

    def test_then_gives_the_head_and_appends_at_the_end(self, sums: Any) -> None:
        head: Task = sums.s(1)

        assert head.then(sums, 2).then(sums, 3) is head
        assert head.on_complete is not None
        assert head.on_complete.on_complete is not None
        assert head.on_complete.on_complete.args == (3,)

    def test_stages_can_have_ids_and_options_of_their_own(self, huey: Huey, sums: Any) -> None:
        huey.enqueue(sums.s(1, id="one").then(sums, 2, id="two", retries=3, priority=4))
        run_next(huey)

        task = dequeued(huey)
        assert (task.id, task.retries, task.priority, task.data) == ("two", 3, 4, ((2, 1), {}))

    def test_a_later_stage_may_wait_for_its_time(self, huey: Huey, sums: Any) -> None:
        huey.enqueue(sums.s(1).then(sums, 2, delay=60))

        run_next(huey)
        assert run_next(huey) is None

        assert (len(huey), huey.scheduled_count()) == (0, 1)

    def test_none_is_stored_for_nobody(self, huey: Huey) -> None:
        give, take = giving(huey, None), taking(huey)
        first, second = huey.enqueue(give.s().then(take))
        run_all(huey)

        assert first.is_ready() is False
        assert second.get() == ((), {})


class TestFailing:
    def test_the_error_is_that_of_all_stages_after_it(self, huey: Huey, sums: Any) -> None:
        results = huey.enqueue(sums.s(1).then(sums, -2).then(sums, 3).then(sums, 4))
        first, failed, *after = results

        assert run_all(huey) == 2

        assert first.get() == 1
        for result in (failed, *after):
            with pytest.raises(TaskException, match="negative"):
                result.get(preserve=True)
            error = result.get_raw_result()
            assert isinstance(error, Error)
            assert error.metadata["task_id"] == failed.id

    def test_while_a_retry_is_pending_the_stages_after_it_know_nothing(
        self, huey: Huey, sums: Any
    ) -> None:
        first, second = huey.enqueue(sums.s(-1, retries=1).then(sums, 2))
        run_next(huey)

        assert isinstance(first.get_raw_result(), Error)
        assert second.is_ready() is False
        run_next(huey)

        assert isinstance(second.get_raw_result(), Error)
        assert len(huey) == 0

    def test_a_retry_that_succeeds_goes_on(self, huey: Huey, sums: Any) -> None:
        attempts: list[int] = []

        @huey.task(retries=1)
        def second_time() -> int:
            attempts.append(1)
            if len(attempts) == 1:
                raise ValueError("the first time")
            return 5

        _, second = huey.enqueue(second_time.s().then(sums, 2))
        run_all(huey)

        assert second.get() == 7

    def test_each_stage_has_its_own_handler(self, huey: Huey, sums: Any) -> None:
        handled: list[Any] = []

        @huey.task()
        def handler(stage: str, error: Exception) -> None:
            handled.append((stage, str(error)))

        huey.enqueue(sums.s(1).error(handler, "first").then(sums.s(-2).error(handler, "second")))
        run_all(huey)

        assert handled == [("second", "negative")]

    def test_what_is_dropped_ends_the_pipeline_without_an_error(
        self, huey: Huey, sums: Any
    ) -> None:
        results = huey.enqueue(sums.s(1).then(sums, 2, expires=-1).then(sums, 3))

        assert run_all(huey) == 2
        assert results.get() == [1, None, None]


def test_a_consumer_runs_a_pipeline_to_its_end(huey: Huey, sums: Any) -> None:
    with running(huey, workers=2):
        results = huey.enqueue(sums.s(1).then(sums, 2).then(sums, 3).then(sums, 4))
        assert results.get(blocking=True, timeout=PATIENCE) == [1, 3, 6, 10]


def test_a_task_may_enqueue_a_pipeline_itself(huey: Huey, sums: Any) -> None:
    @huey.task()
    def outer() -> list[str]:
        return [result.id for result in huey.enqueue(sums.s(1).then(sums, 2))]

    with running(huey):
        ids = outer().get(blocking=True, timeout=PATIENCE)
        assert ids is not None
        assert huey.result(ids[1], blocking=True, timeout=PATIENCE) == 3
