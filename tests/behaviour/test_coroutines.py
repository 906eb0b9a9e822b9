"""Tasks that are coroutine functions, whoever runs them."""

import asyncio
from typing import Any

import pytest

from huey.api import SKIPPED, Error, Huey, RetryTask, TaskException, chord, crontab
from tests.behaviour.driving import PATIENCE, News, gather, run_all, run_next, running


async def double(number: int) -> int:
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError("negative")
    return number * 2


@pytest.fixture
def doubled(huey: Huey) -> Any:
    return huey.task()(double)


def test_a_coroutine_runs_to_its_end(huey: Huey, doubled: Any, news: News) -> None:
    result = doubled(2)

    assert run_next(huey) == 4
    assert result.get() == 4
    assert news.names == ["enqueued", "executing", "complete"]


def test_its_error_is_that_of_the_task(huey: Huey, doubled: Any, news: News) -> None:
    result = doubled(-1)
    run_next(huey)

    with pytest.raises(TaskException, match="negative"):
        result.get()
    assert news.names == ["enqueued", "executing", "error"]


def test_retries_and_workflows_take_them_like_functions(huey: Huey, doubled: Any) -> None:
    attempts: list[int] = []

    @huey.task(retries=1)
    async def second_time(number: int) -> int:
        attempts.append(number)
        if len(attempts) == 1:
            raise RetryTask
        return number

    members = [
        doubled.s(1).then(doubled),
        doubled.s(-1),
        doubled.s(3, expires=-1),
        second_time.s(5),
    ]
    result = huey.enqueue(chord(members, huey.task()(gather)))
    run_all(huey)

    values = result.get()
    assert values[0] == 4
    assert isinstance(values[1], Error)
    assert values[2:] == [SKIPPED, 5]


def test_they_can_be_periodic_and_have_a_context(huey: Huey) -> None:
    seen: list[str] = []

    @huey.periodic_task(crontab(), context=True)
    async def nightly(task: Any) -> None:
        await asyncio.sleep(0)
        seen.append(task.id)

    [task] = huey.read_periodic(None)
    huey.execute(task)

    assert seen == [task.id]


def test_the_function_itself_gives_a_coroutine(doubled: Any) -> None:
    assert asyncio.run(doubled.call_local(2)) == 4


def test_a_wrapped_coroutine_function_is_one_too(huey: Huey) -> None:
    guarded = huey.task(name="guarded")(huey.lock_task("mine")(double))

    result = guarded(2)
    run_next(huey)

    assert result.get() == 4


def test_each_runs_in_a_loop_that_is_open(huey: Huey) -> None:
    @huey.task()
    async def spawn() -> int:
        return sum(await asyncio.gather(double(1), double(2)))

    results = [spawn(), spawn()]
    run_all(huey)

    assert [result.get() for result in results] == [6, 6]


@pytest.mark.parametrize("worker_type", ["thread", "asyncio"])
def test_workers_of_different_kinds_run_them(huey: Huey, doubled: Any, worker_type: str) -> None:
    with running(huey, workers=2, worker_type=worker_type):
        results = doubled.map(range(10))
        assert results.get(blocking=True, timeout=PATIENCE) == [n * 2 for n in range(10)]
