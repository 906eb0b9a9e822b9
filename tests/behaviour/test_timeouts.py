"""Tasks that run too long, and may look at the clock themselves."""

import asyncio
import time
from typing import Any

import pytest

from huey.api import Huey, Task, TaskException, TaskTimeout
from tests.behaviour.driving import News, dequeued, run_all, run_next


class Overrun:
    """Waits inside of a task until its time is over, and then looks at the clock."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, task: Any) -> None:
        while not task.is_timed_out and task.timeout:
            time.sleep(min(task.time_remaining, 0.001))
        self.seen.append((task.is_timed_out, task.time_remaining))
        task.check_timeout()


@pytest.fixture
def overrun() -> Overrun:
    return Overrun()


@pytest.fixture
def slow(huey: Huey, overrun: Overrun) -> Any:
    @huey.task(context=True, timeout=0.001)
    def slow(task: Any) -> str:
        overrun(task)
        return "in time"

    return slow


def test_a_task_can_end_itself_without_any_consumer(
    huey: Huey, slow: Any, overrun: Overrun, news: News
) -> None:
    result = slow()
    run_next(huey)

    assert overrun.seen == [(True, 0.0)]
    assert news.names == ["enqueued", "executing", "timeout"]
    with pytest.raises(TaskException) as caught:
        result.get()
    assert caught.value.metadata["error"] == "TaskTimeout('timeout 0.001s')"


def test_a_timeout_uses_up_a_retry_like_any_error(huey: Huey, slow: Any) -> None:
    slow.options(retries=1)()

    assert run_all(huey) == 2


@pytest.mark.parametrize("way", ["call", "signature", "schedule"])
def test_zero_switches_the_limit_off_and_none_keeps_it(huey: Huey, slow: Any, way: str) -> None:
    def enqueue(timeout: float | None) -> Task:
        match way:
            case "call":
                slow(timeout=timeout)
            case "signature":
                huey.enqueue(slow.s(timeout=timeout))
            case "schedule":
                slow.schedule(delay=-1, timeout=timeout)
        return dequeued(huey)

    assert [enqueue(timeout).timeout for timeout in (None, 0, 5)] == [0.001, 0, 5]


def test_without_a_limit_there_is_always_time(huey: Huey, slow: Any, overrun: Overrun) -> None:
    result = slow(timeout=0)
    run_next(huey)

    assert result.get() == "in time"
    [(timed_out, remaining)] = overrun.seen
    assert not timed_out
    assert remaining == float("inf")


def test_the_clock_starts_with_the_attempt(huey: Huey) -> None:
    task = Task(timeout=0.001)

    assert not task.is_timed_out
    assert task.time_remaining == float("inf")
    task.check_timeout()


def test_the_time_left_counts_down_to_nothing() -> None:
    task = Task(timeout=50)
    task.start_clock()
    assert 0 < task.time_remaining <= 50
    assert task.is_timed_out is False

    late = Task(timeout=1e-9)
    late.start_clock()
    while late.time_remaining:
        pass
    with pytest.raises(TaskTimeout, match=r"timeout 1e-09s"):
        late.check_timeout()


def test_pre_hooks_do_not_use_up_the_time(huey: Huey, slow: Any) -> None:
    deadlines: list[float | None] = []
    huey.pre_execute("look")(lambda task: deadlines.append(task._deadline))

    slow()
    run_next(huey)

    assert deadlines == [None]


def test_a_timeout_of_somebody_else_counts_as_one(huey: Huey, news: News) -> None:
    @huey.task()
    def client() -> None:
        raise TaskTimeout("the client library gave up")

    client()
    run_next(huey)

    assert news.names == ["enqueued", "executing", "timeout"]


def test_a_coroutine_is_ended_from_outside(huey: Huey, news: News) -> None:
    @huey.task(timeout=0.01)
    async def forever() -> None:
        await asyncio.Event().wait()

    result = forever()
    run_next(huey)

    with pytest.raises(TaskException, match=r"TaskTimeout\('timeout \(0.01s\)'\)"):
        result.get()
    assert news.names == ["enqueued", "executing", "timeout"]
