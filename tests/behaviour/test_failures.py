"""Failures at the edges: values that cannot be stored, exceptions that are no errors."""

import pickle
import threading
from typing import Any

import pytest

from huey.api import (
    CancelExecution,
    ConfigurationError,
    Error,
    Huey,
    HueyException,
    MemoryHuey,
    RateLimitExceeded,
    ResultTimeout,
    RetryTask,
    TaskException,
    TaskLockedException,
    TaskTimeout,
    chord,
)
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, News, gather, run_all, run_next, running


class Unpicklable(Exception):
    """Holds what cannot travel."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class Unrebuildable(Exception):
    """Can be written, and not be read again."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


class Unshowable(Exception):
    """Fails even when it is shown."""

    def __repr__(self) -> str:
        raise ValueError("cannot be shown")

    __str__ = __repr__


def work(value: Any = None) -> Any:
    if isinstance(value, str) and value.startswith("raise "):
        raise {
            "unpicklable": Unpicklable("text"),
            "unrebuildable": Unrebuildable("text", code=3),
            "unshowable": Unshowable(),
            "exit": SystemExit(3),
            "interrupt": KeyboardInterrupt(),
            "generator": GeneratorExit(),
            "stop": StopIteration(3),
            "memory": MemoryError(),
            "base": BaseException("base"),
        }[value.removeprefix("raise ")]
    return threading.Lock() if value == "a lock" else value


@pytest.fixture
def worker(huey: Huey) -> Any:
    return huey.task()(work)


def error_of(result: Any) -> str:
    with pytest.raises(TaskException) as caught:
        result.get()
    return str(caught.value)


class TestValuesThatCannotBeStored:
    def test_the_task_fails_and_the_type_is_named(
        self, huey: Huey, worker: Any, news: News
    ) -> None:
        result = worker("a lock")
        run_next(huey)

        assert "_thread.lock" in error_of(result)
        assert news.names == ["enqueued", "executing", "error"]

    def test_it_is_tried_again_if_there_are_retries(self, huey: Huey, worker: Any) -> None:
        worker.options(retries=1)("a lock")

        assert run_all(huey) == 2

    def test_without_results_nobody_needs_to_store_it(self, make_huey: MakeHuey) -> None:
        huey = make_huey(results=False)
        news = News(huey)
        huey.task()(work)("a lock")
        run_next(huey)

        assert news.names == ["enqueued", "executing", "complete"]

    def test_a_chord_that_needs_it_gets_the_error(self, make_huey: MakeHuey) -> None:
        huey = make_huey(results=False)
        worker = huey.task()(work)
        values: list[Any] = []
        callback = huey.task(name="callback")(values.extend)

        huey.enqueue(chord([worker.s(1), worker.s("a lock")], callback))
        run_all(huey)

        assert values[0] == 1
        assert isinstance(values[1], Error)

    def test_what_cannot_be_handed_on_is_the_error_of_the_stages_after_it(
        self, make_huey: MakeHuey
    ) -> None:
        huey = make_huey()
        worker = huey.task()(work)
        results = list(huey.enqueue(worker.s({"a": 1}).then(worker, 1).then(worker)))
        huey.task(name="unregister me")(work)
        worker.task_class, kept = type("Gone", (worker.task_class,), {}), worker.task_class

        task = huey.dequeue()
        assert task is not None
        assert task.on_complete is not None
        # As if a consumer knew the head of a pipeline only.
        task.on_complete.__class__ = worker.task_class
        huey.execute(task)

        assert kept is not worker.task_class
        assert results[0].get() == {"a": 1}
        assert "not registered" in error_of(results[1])
        assert "not registered" in error_of(results[2])


class TestExceptionsThatCannotTravel:
    @pytest.mark.parametrize("kind", ["unpicklable", "unrebuildable", "unshowable"])
    def test_result_retry_and_handler_are_there_all_the_same(
        self, huey: Huey, worker: Any, kind: str
    ) -> None:
        handled: list[Exception] = []
        handler = huey.task(name="handler")(handled.append)
        result = huey.enqueue(worker.s(f"raise {kind}", retries=1).error(handler))

        assert run_all(huey) == 4

        assert kind.capitalize() in error_of(result)
        assert len(handled) == 2
        for error in handled:
            if isinstance(error, TaskException):  # the stand-in
                assert kind.capitalize() in str(error)
            else:
                assert type(error).__name__ == kind.capitalize()


class TestExceptionsThatAreNoErrors:
    @pytest.mark.parametrize("kind", ["exit", "interrupt", "generator", "stop", "memory", "base"])
    def test_they_are_the_failure_of_their_task_and_the_worker_lives(
        self, huey: Huey, worker: Any, kind: str
    ) -> None:
        started: list[int] = []
        huey.on_startup("count")(lambda: started.append(1))

        with running(huey):
            bad = worker(f"raise {kind}")
            assert isinstance(
                bad.get_raw_result(blocking=True, timeout=PATIENCE, preserve=True), Error
            )
            good = worker(3)
            assert good.get(blocking=True, timeout=PATIENCE) == 3

        assert started == [1]

    def test_they_are_announced_as_errors(self, huey: Huey, worker: Any, news: News) -> None:
        result = worker("raise exit")
        run_next(huey)

        assert error_of(result) == "SystemExit(3)"
        assert news.names == ["enqueued", "executing", "error"]

    def test_they_are_tried_again_like_others(self, huey: Huey, worker: Any) -> None:
        worker.options(retries=2)("raise interrupt")

        assert run_all(huey) == 3


class TestTheExceptions:
    def test_who_descends_from_whom(self) -> None:
        for kind in (
            ConfigurationError,
            TaskLockedException,
            ResultTimeout,
            TaskTimeout,
            RateLimitExceeded,
        ):
            assert kind.__base__ is HueyException or issubclass(kind, HueyException)
        for other in (CancelExecution, RetryTask, TaskException):
            assert other.__base__ is Exception
        assert HueyException.__base__ is Exception

    def test_those_that_steer_need_no_arguments(self) -> None:
        assert repr(CancelExecution()) == "CancelExecution()"
        assert repr(RetryTask()) == "RetryTask(None)"
        assert repr(TaskLockedException()) == "TaskLockedException()"

    def test_retry_task_keeps_its_arguments(self) -> None:
        error = RetryTask("why", None, 5, "more", word="ignored")

        assert (error.args, error.eta, error.delay) == (("why", "more"), None, 5)

    def test_rate_limit_exceeded_tells_when_to_come_again(self) -> None:
        again, never = RateLimitExceeded("mail", 1.25), RateLimitExceeded("mail", 1.25, retry=False)

        assert str(again) == 'Rate limit exceeded on "mail", retry in 1.2s'
        assert str(never) == 'Rate limit exceeded on "mail"'
        copy = pickle.loads(pickle.dumps(never))
        assert (copy.key, copy.delay, copy.retry) == ("mail", 1.25, False)

    def test_task_exception_carries_the_details(self) -> None:
        error = TaskException({"error": "text", "retries": 1})

        assert str(error) == "text"
        assert pickle.loads(pickle.dumps(error)).metadata == {"error": "text", "retries": 1}
        assert (str(TaskException()), TaskException().metadata) == ("unknown error", {})

    def test_only_the_steering_ones_leave_the_queue_alone(self) -> None:
        huey = MemoryHuey(immediate=True)
        result = huey.task()(work)("raise memory")

        assert error_of(result) == "MemoryError()"


def test_a_consumer_finishes_a_pipeline_and_a_chord_whatever_happens(huey: Huey) -> None:
    worker = huey.task()(work)
    members = [worker.s(1), worker.s("a lock"), worker.s("raise exit").then(worker)]

    with running(huey, workers=2):
        result = huey.enqueue(chord(members, huey.task()(gather)))
        values = result.get(blocking=True, timeout=PATIENCE)

    assert values[0] == 1
    assert [type(value) for value in values[1:]] == [Error, Error]
