"""Another attempt: how many, when, and what is seen of the ones that failed."""

import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from huey.api import (
    RETRYING_EXCEPTIONS,
    CancelExecution,
    Huey,
    RateLimitExceeded,
    RetryTask,
    TaskException,
    TaskLockedException,
    crontab,
    utcnow,
)
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, dequeued, make_due, run_all, run_next, running


class Script:
    """A function that does what it is told, one thing per call."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.calls: list[Any] = []

    def __call__(self, *args: Any) -> Any:
        self.calls.append(args)
        step = self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step


def scripted(huey: Huey, script: Script, **settings: Any) -> Any:
    @huey.task(**settings)
    def work(*args: Any) -> Any:
        return script(*args)

    return work


def error_of(result: Any) -> dict[str, Any]:
    with pytest.raises(TaskException) as caught:
        result.get()
    metadata: dict[str, Any] = caught.value.metadata
    return metadata


BROKEN = ValueError("broken")


class TestCounting:
    def test_a_task_is_tried_once_more_than_it_has_retries(self, huey: Huey) -> None:
        script = Script(BROKEN, BROKEN, 3)
        result = scripted(huey, script, retries=2)("x")

        assert run_all(huey) == 3

        assert script.calls == [("x",)] * 3
        assert result.get() == 3

    def test_the_number_of_retries_that_were_left_is_told(self, huey: Huey) -> None:
        result = scripted(huey, Script(BROKEN, BROKEN), retries=1)()

        run_next(huey)
        assert error_of(result)["retries"] == 1
        assert error_of(result)["retries"] == 1
        run_next(huey)
        result.reset()

        assert error_of(result)["retries"] == 0
        assert len(huey) == 0

    def test_a_call_may_have_its_own_number(self, huey: Huey) -> None:
        work = scripted(huey, Script(BROKEN), retries=1)
        result = work.options(retries=3)()
        run_next(huey)

        assert error_of(result)["retries"] == 3

    def test_a_task_knows_which_attempt_it_is(self, huey: Huey) -> None:
        seen: list[int] = []

        @huey.task(retries=2, context=True)
        def note(task: Any) -> None:
            seen.append(task.attempt)
            raise BROKEN

        with running(huey) as consumer:
            result = huey.enqueue(note.s())
            while len(seen) < 3:
                huey.storage.wait_result(result.id, timeout=0.01)
        assert consumer.huey is huey

        assert seen == [1, 2, 3]

    def test_id_and_priority_stay(self, huey: Huey) -> None:
        work = scripted(huey, Script(BROKEN, 1, 2), retries=1)
        work()
        high = work.options(priority=10)("high")

        run_next(huey)

        again = dequeued(huey)
        assert (again.id, again.priority) == (high.id, 10)

    def test_the_handle_keeps_the_first_error_until_it_is_reset(self, huey: Huey) -> None:
        result = scripted(huey, Script(BROKEN, 3), retries=1)()
        run_next(huey)
        error_of(result)
        run_next(huey)

        assert error_of(result)["retries"] == 1
        result.reset()
        assert result.get() == 3


class TestWhatIsShown:
    def test_errors_that_will_be_followed_by_another_try_can_be_kept_back(
        self, make_huey: MakeHuey
    ) -> None:
        huey = make_huey(store_intermediate_errors=False)
        handled: list[Any] = []
        handler = huey.task(name="handler")(handled.append)
        work = scripted(huey, Script(BROKEN, 3, BROKEN, BROKEN), retries=1)

        good = huey.enqueue(work.s().error(handler))
        run_next(huey)
        assert (huey.result_count(), len(huey)) == (0, 1)
        run_next(huey)
        assert (good.get(), handled) == (3, [])

        bad = huey.enqueue(work.s().error(handler))
        run_all(huey)
        assert error_of(bad)["retries"] == 0
        assert [repr(error) for error in handled] == ["ValueError('broken')"]

    def test_an_error_handler_is_called_once_per_failed_attempt(self, huey: Huey) -> None:
        handled: list[Any] = []

        @huey.task()
        def handler(number: int, error: Exception) -> None:
            handled.append((number, repr(error)))

        work = scripted(huey, Script(BROKEN, KeyError("x")), retries=1)
        huey.enqueue(work.s().error(handler, 7))
        run_all(huey)

        assert handled == [(7, "ValueError('broken')"), (7, "KeyError('x')")]

    def test_a_second_handler_handles_the_failures_of_the_first(self, huey: Huey) -> None:
        handled: list[Any] = []

        @huey.task()
        def first(error: Exception) -> None:
            raise KeyError("first")

        second = huey.task(name="second")(handled.append)
        huey.enqueue(scripted(huey, Script(BROKEN)).s().error(first).error(second))
        run_all(huey)

        assert [repr(error) for error in handled] == ["KeyError('first')"]


class TestWhen:
    def test_without_a_delay_it_is_queued_again(self, huey: Huey) -> None:
        scripted(huey, Script(BROKEN), retries=1)()
        run_next(huey)

        assert (len(huey), huey.scheduled_count()) == (1, 0)

    def test_with_a_delay_it_is_scheduled(self, huey: Huey) -> None:
        result = scripted(huey, Script(BROKEN), retries=1, retry_delay=10)()
        before = utcnow()
        # The wait is measured from the real time, whatever the worker pretends.
        run_next(huey, datetime(2035, 1, 1))

        assert (len(huey), huey.scheduled_count()) == (0, 1)
        [task] = huey.scheduled()
        assert task.eta is not None
        assert before <= task.eta - timedelta(seconds=10) <= utcnow()
        assert (task.id, task.retries) == (result.id, 0)

    def test_a_periodic_task_is_scheduled_too(self, huey: Huey) -> None:
        @huey.periodic_task(crontab(), retries=1, retry_delay=10)
        def nightly() -> None:
            raise BROKEN

        [task] = huey.read_periodic(None)
        huey.execute(task)

        assert [scheduled.id for scheduled in huey.scheduled()] == [task.id]
        assert huey.result_count() == 0

    def test_the_delay_grows_and_the_growth_travels(self, huey: Huey) -> None:
        work = scripted(huey, Script(*[BROKEN] * 4), retries=3, retry_delay=2, retry_backoff=2)
        work()
        found: list[Any] = []

        for wait in (2, 4, 8):
            before = utcnow()
            run_next(huey, utcnow() + timedelta(seconds=100))
            [task] = make_due(huey, 60)
            assert task.eta is not None
            waited = task.eta - before
            assert timedelta(seconds=wait) <= waited < timedelta(seconds=2 * wait)
            found.append((task.retry_delay, task.retry_backoff, task.retries))
        run_next(huey, utcnow() + timedelta(seconds=100))

        assert found == [(4, 2, 2), (8, 2, 1), (16, 2, 0)]
        assert (len(huey), huey.scheduled_count()) == (0, 0)

    def test_a_growing_delay_can_be_capped(self, huey: Huey) -> None:
        work = scripted(
            huey, Script(BROKEN), retries=1, retry_delay=100, retry_backoff=2, retry_max_delay=5
        )
        work()
        run_next(huey)

        [task] = huey.scheduled()
        assert task.eta is not None
        assert task.eta - utcnow() <= timedelta(seconds=5)

    def test_a_delay_can_be_spread(self, huey: Huey) -> None:
        work = scripted(huey, Script(*[BROKEN] * 20), retries=1, retry_delay=100, retry_jitter=1.0)
        before = utcnow()
        for _ in range(20):
            work()
            run_next(huey)

        waits = {task.eta - before for task in huey.scheduled() if task.eta is not None}
        assert len(waits) == 20
        assert min(waits) >= timedelta(0)
        assert max(waits) <= timedelta(seconds=130)

    def test_an_instant_of_the_exception_is_kept_without_utc(self, make_huey: MakeHuey) -> None:
        huey = make_huey(utc=False)
        eta = datetime(2030, 1, 2, 3, 4, 5, 678901)
        scripted(huey, Script(RetryTask(eta=eta)))()
        run_next(huey)

        assert [task.eta for task in huey.scheduled()] == [eta]

    def test_a_delayed_retry_runs_by_itself(self, huey: Huey) -> None:
        result = scripted(huey, Script(BROKEN, 3), retries=1, retry_delay=0.1)()

        with running(huey):
            error_of_first = result.get_raw_result(blocking=True, timeout=PATIENCE)
            result.reset()
            assert result.get(blocking=True, timeout=PATIENCE) == 3
        assert error_of_first.metadata["retries"] == 1


class TestWhichErrors:
    def test_only_those_that_are_worth_it_are_tried_again(self, huey: Huey) -> None:
        work = scripted(huey, Script(OSError(), KeyError(), 1), retries=2, retry_on=OSError)
        result = work()

        run_next(huey)
        assert len(huey) == 1
        run_next(huey)
        result.reset()

        assert len(huey) == 0
        assert error_of(result)["error"] == "KeyError()"

    def test_several_can_be_named(self, huey: Huey) -> None:
        work = scripted(
            huey, Script(OSError(), KeyError(), 1), retries=2, retry_on=(OSError, LookupError)
        )
        work()

        assert run_all(huey) == 3


class TestRetryTask:
    def test_it_uses_up_no_retry_and_shows_nothing(self, huey: Huey) -> None:
        handled: list[Any] = []
        handler = huey.task(name="handler")(handled.append)
        work = scripted(huey, Script(RetryTask("again"), 3), retries=2)
        result = huey.enqueue(work.s().error(handler))

        run_next(huey)

        assert (huey.result_count(), result.get()) == (0, None)
        assert [task.retries for task in huey.pending()] == [2]
        run_all(huey)
        assert (result.get(), handled) == (3, [])

    def test_it_works_without_retries(self, huey: Huey) -> None:
        result = scripted(huey, Script(RetryTask(), RetryTask(), 3))()

        assert run_all(huey) == 3
        assert result.get() == 3

    @pytest.mark.parametrize("delay", [30, timedelta(seconds=30), 0])
    def test_its_delay_overrides_that_of_the_task(self, huey: Huey, delay: Any) -> None:
        scripted(huey, Script(RetryTask(delay=delay)), retries=1, retry_delay=600)()
        run_next(huey)

        [task] = huey.scheduled()
        assert task.eta is not None
        assert task.eta - utcnow() <= timedelta(seconds=30)
        assert (task.retries, task.retry_delay) == (1, 600)

    def test_without_a_time_it_uses_the_delay_of_the_task(self, huey: Huey) -> None:
        scripted(huey, Script(RetryTask()), retry_delay=600)()
        run_next(huey)

        [task] = huey.scheduled()
        assert task.eta is not None
        assert task.eta - utcnow() > timedelta(seconds=500)

    @pytest.mark.parametrize(
        "wrong", [{"eta": datetime(2030, 1, 1), "delay": 5}, {"eta": "now"}, {"delay": "soon"}]
    )
    def test_a_time_that_makes_no_sense_fails_where_all_can_see_it(
        self, huey: Huey, wrong: dict[str, Any]
    ) -> None:
        result = scripted(huey, Script(RetryTask(**wrong)))()
        run_next(huey)

        assert (len(huey), huey.scheduled_count()) == (0, 0)
        assert "Error" in error_of(result)["error"]


class TestCancelExecution:
    def test_a_task_without_retries_ends(self, huey: Huey) -> None:
        result = scripted(huey, Script(CancelExecution()))()
        run_next(huey)

        assert len(huey) == 0
        assert error_of(result)["error"] == "CancelExecution()"

    def test_a_reason_is_shown(self, huey: Huey) -> None:
        result = scripted(huey, Script(CancelExecution("enough")))()
        run_next(huey)

        assert error_of(result)["error"] == "CancelExecution('enough')"

    def test_a_task_with_retries_uses_one(self, huey: Huey) -> None:
        result = scripted(huey, Script(CancelExecution(), 3), retries=1)()

        assert run_all(huey) == 2
        assert result.get() == 3

    @pytest.mark.parametrize(("retries", "seen"), [(0, [1, 1, 1]), (2, [2, 1, 1, 1])])
    def test_it_can_insist_on_another_try(self, huey: Huey, retries: int, seen: list[int]) -> None:
        script = Script(*[CancelExecution(retry=True) for _ in seen])
        result = scripted(huey, script, retries=retries)()

        found = []
        for _ in seen:
            run_next(huey)
            found.append(error_of(result)["retries"])
            result.reset()

        assert found == seen
        assert len(huey) == 1

    def test_it_can_forbid_another_try(self, huey: Huey) -> None:
        result = scripted(huey, Script(CancelExecution(retry=False)), retries=3)()
        run_next(huey)

        assert len(huey) == 0
        assert error_of(result)["retries"] == 0

    def test_its_first_argument_is_the_reason(self) -> None:
        assert CancelExecution("x").retry is None
        assert inspect.signature(CancelExecution).parameters.keys() == {"msg", "retry"}


class TestRejections:
    REJECTIONS = (
        lambda: TaskLockedException("held"),
        lambda: RateLimitExceeded("limit", 5, retry=False),
    )

    @pytest.mark.parametrize("make", REJECTIONS)
    def test_one_that_will_be_tried_again_shows_nothing(
        self, huey: Huey, make: Callable[[], Exception]
    ) -> None:
        handler = huey.task(name="handler")(repr)
        work = scripted(huey, Script(make()), retries=1)
        huey.enqueue(work.s().error(handler))
        run_next(huey)

        assert huey.result_count() == 0
        assert [task.name for task in [*huey.pending(), *huey.scheduled()]] == ["work"]

    @pytest.mark.parametrize("make", REJECTIONS)
    def test_the_last_one_is_an_error(self, huey: Huey, make: Callable[[], Exception]) -> None:
        names: list[str] = []

        @huey.task()
        def handler(error: Exception) -> None:
            names.append(type(error).__name__)

        rejection = make()
        result = huey.enqueue(scripted(huey, Script(rejection)).s().error(handler))
        run_all(huey)

        assert error_of(result)["error"] == repr(rejection)
        assert names == [type(rejection).__name__]

    def test_which_exceptions_ask_for_another_try(self) -> None:
        expected = {RetryTask, RateLimitExceeded, TaskLockedException}
        assert set(RETRYING_EXCEPTIONS) == expected
