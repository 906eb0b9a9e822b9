"""Coroutines that enqueue and await results, on every storage."""

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from huey.api import (
    FileHuey,
    Huey,
    MemoryHuey,
    PostgresHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    Result,
    ResultTimeout,
    SqliteHuey,
    TaskException,
    chord,
    group,
)
from huey.app.awaiting import WRITERS
from huey.app.fetching import Fetch
from huey.app.hub import ResultHub
from huey.contrib.asyncio import aget_result, aget_result_group
from tests.behaviour.classic_storage import DictStorage
from tests.behaviour.driving import PATIENCE, run_next
from tests.processes import wait_until

Make = Callable[[pytest.FixtureRequest, Path], Huey]

STORAGES: dict[str, Make] = {
    "memory": lambda request, path: MemoryHuey(),
    "classic": lambda request, path: Huey(storage_class=DictStorage),
    "sqlite": lambda request, path: SqliteHuey(filename=str(path / "queue.db")),
    "file": lambda request, path: FileHuey(path=str(path / "queue")),
    "redis": lambda request, path: RedisHuey(url=request.getfixturevalue("valkey_url")),
    "redis-expire": lambda request, path: RedisExpireHuey(
        url=request.getfixturevalue("valkey_url"), expire_time=600
    ),
    "redis-priority": lambda request, path: PriorityRedisHuey(
        url=request.getfixturevalue("valkey_url")
    ),
    "postgres": lambda request, path: PostgresHuey(dsn=request.getfixturevalue("postgres_url")),
}


def available() -> list[str]:
    """The storages that there are: a folder without a module in it is none."""
    spec = importlib.util.find_spec("huey.storage.file")
    is_there = spec is not None and spec.origin is not None
    return [name for name in STORAGES if name != "file" or is_there]


@pytest.fixture(params=available())
def huey(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Huey]:
    huey = STORAGES[request.param](request, tmp_path)
    yield huey
    wait_until(lambda: not hub_is_waiting(huey), "the hub to see that nobody waits")
    huey.storage.close()


@pytest.fixture
def memory() -> Huey:
    return MemoryHuey()


def run_queued(huey: Huey) -> None:
    """Execute what is queued, without ever waiting for more."""
    while huey.pending_count():
        run_next(huey)


async def work(huey: Huey) -> None:
    """Execute what is queued, as a consumer would: aside."""
    await asyncio.to_thread(run_queued, huey)


def add_to(huey: Huey) -> Any:
    @huey.task()
    def add(a: int, b: int) -> int:
        return a + b

    return add


def fail_in(huey: Huey) -> Any:
    @huey.task()
    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    return fail


async def soon(awaitable: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def hub_wants(huey: Huey, key: str) -> list[Any]:
    """Who waits for a result at this moment."""
    hub: ResultHub | None = vars(huey._lossless).get("_huey_hub")
    return list(hub._wants.get(key, [])) if hub is not None else []


def hub_is_waiting(huey: Huey) -> bool:
    hub: ResultHub | None = vars(huey._lossless).get("_huey_hub")
    return hub is not None and hub._waiter is not None


class TestAwaitingAResult:
    async def test_the_value_comes_when_the_task_has_run(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        waiting = asyncio.ensure_future(result)

        await work(huey)

        assert await soon(waiting) == 3
        assert result.get() == 3

    async def test_a_value_that_is_there_comes_at_once(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        await work(huey)

        assert await soon(result) == 3
        assert await soon(result) == 3

    async def test_the_value_is_read_once(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        await work(huey)

        await soon(result)

        assert huey.result_count() == 0

    async def test_preserve_leaves_the_value_for_others(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        await work(huey)

        assert await soon(aget_result(result, preserve=True)) == 3

        assert await soon(Result(huey, result.task)) == 3

    async def test_a_failed_task_raises_its_error(self, huey: Huey) -> None:
        result = fail_in(huey)()
        await work(huey)

        for _ in range(2):
            with pytest.raises(TaskException, match="on purpose"):
                await soon(result)

    async def test_a_timeout_ends_the_wait_and_costs_nothing(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        with pytest.raises(ResultTimeout, match=result.id):
            await soon(aget_result(result, timeout=0.01))

        await work(huey)

        assert await soon(aget_result(result, timeout=PATIENCE)) == 3

    async def test_a_timeout_of_nothing_is_one_look(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        with pytest.raises(ResultTimeout):
            await soon(aget_result(result, timeout=0))

        await work(huey)

        assert await soon(aget_result(result, timeout=0)) == 3

    async def test_a_wait_that_is_cancelled_leaves_the_value_for_others(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await result

        await work(huey)

        assert huey.result_count() == 1
        assert await soon(Result(huey, result.task)) == 3

    async def test_many_may_wait_for_the_same_value(self, huey: Huey) -> None:
        result = add_to(huey)(1, 2)
        waiting = [
            asyncio.ensure_future(handle)
            for handle in (result, result, Result[int](huey, result.task))
        ]
        # All have asked before the value is there.
        while len(hub_wants(huey, result.id)) < 3:
            await asyncio.sleep(0)

        await work(huey)

        assert await soon(asyncio.gather(*waiting)) == [3, 3, 3]

    async def test_none_comes_too_if_it_is_stored(self, tmp_path: Path) -> None:
        huey = SqliteHuey(filename=str(tmp_path / "queue.db"), store_none=True)
        result = huey.task()(lambda: None)()
        await work(huey)

        assert await soon(result) is None


class TestAwaitingMany:
    async def test_the_values_of_a_group_keep_the_order_of_its_tasks(self, huey: Huey) -> None:
        results = add_to(huey).map([(n, n) for n in range(20)])
        await work(huey)

        assert await soon(results) == [2 * n for n in range(20)]
        assert await soon(aget_result_group(results)) == [2 * n for n in range(20)]

    async def test_the_first_failure_ends_the_wait_for_a_group(self, huey: Huey) -> None:
        add, fail = add_to(huey), fail_in(huey)
        never = huey.task()(lambda: None)
        results = huey.enqueue(group([never.s(), fail.s(), add.s(1, 2)]))
        await work(huey)

        with pytest.raises(TaskException, match="on purpose"):
            await soon(results)

        assert hub_wants(huey, results._results[0].id) == []

    async def test_cancelling_the_wait_for_a_group_cancels_all_of_it(self, huey: Huey) -> None:
        results = add_to(huey).map([(1, 1), (2, 2)])

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await aget_result_group(results)

        await work(huey)
        assert huey.result_count() == 2

    async def test_a_group_of_pipelines_gives_lists(self, memory: Huey) -> None:
        add = add_to(memory)
        results = memory.enqueue(group([add.s(n, 1).then(add, 10) for n in (1, 2)]))
        await work(memory)

        assert await soon(aget_result(results)) == [[2, 12], [3, 13]]

    async def test_a_chord_gives_the_value_of_its_callback(self, huey: Huey) -> None:
        add = add_to(huey)
        total = huey.task()(lambda values: sum(values))
        first = huey.enqueue(chord([add.s(n, n) for n in range(3)], total.s()))
        second = huey.enqueue(chord([add.s(n, n) for n in range(4)], total.s()))
        await work(huey)

        assert await soon(first) == 6
        assert await soon(aget_result(second)) == 12


class TestEnqueueing:
    async def test_a_task_is_enqueued_and_awaited(self, huey: Huey) -> None:
        add = add_to(huey)
        results = [
            await add.aenqueue(1, 2),
            await huey.aenqueue(add.s(3, 4)),
            await add.options(priority=None).aenqueue(5, b=6),
        ]

        await work(huey)

        assert [await soon(result) for result in results] == [3, 7, 11]

    async def test_many_tasks_are_enqueued_at_once(self, huey: Huey) -> None:
        add = add_to(huey)

        results = await huey.aenqueue_many(add.s(n, n) for n in range(5))
        await work(huey)

        assert results is not None
        assert await soon(results) == [0, 2, 4, 6, 8]

    async def test_groups_and_chords_are_enqueued(self, huey: Huey) -> None:
        add = add_to(huey)
        total = huey.task()(lambda values: sum(values))

        summed = await huey.aenqueue(chord([add.s(1, 2), add.s(3, 4)], total.s()))
        grouped = await huey.aenqueue(group([add.s(1, 2)]))
        await work(huey)

        assert await soon(summed) == 10
        assert await soon(grouped) == [3]

    async def test_an_error_reaches_the_caller(self, memory: Huey) -> None:
        with pytest.raises(TypeError, match="takes a task"):
            await memory.aenqueue(5)


class TestImmediateMode:
    async def test_results_are_awaited_as_usual(self) -> None:
        huey = MemoryHuey(immediate=True)
        add = add_to(huey)

        assert await soon(add(1, 2)) == 3
        assert await soon(await add.aenqueue(3, 4)) == 7

    async def test_the_task_does_not_block_the_loop(self) -> None:
        huey = MemoryHuey(immediate=True)
        release = threading.Event()
        enqueueing = asyncio.ensure_future(huey.task()(lambda: release.wait(PATIENCE)).aenqueue())
        await asyncio.sleep(0)

        release.set()

        assert await soon(await soon(enqueueing)) is True

    async def test_long_tasks_do_not_queue_up_behind_each_other(self) -> None:
        huey = MemoryHuey(immediate=True)
        meeting = threading.Barrier(WRITERS + 1)
        meet = huey.task()(lambda: meeting.wait(PATIENCE))

        results = [
            await soon(r)
            for r in await asyncio.gather(*[meet.aenqueue() for _ in range(WRITERS + 1)])
        ]

        assert sorted(results) == list(range(WRITERS + 1))


class TestCancellation:
    """A coroutine is cancelled in the very moment in which its value arrives."""

    async def test_after_the_value_was_found_but_before_the_coroutine_goes_on(
        self, huey: Huey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = add_to(huey)(1, 2)
        waiting = asyncio.ensure_future(aget_result(result))
        really_found = Fetch.found

        def found(self: Fetch) -> None:
            really_found(self)
            waiting.cancel()

        with monkeypatch.context() as patched:
            patched.setattr(Fetch, "found", found)
            await work(huey)
            with pytest.raises(asyncio.CancelledError):
                await soon(waiting)

        assert await soon(Result(huey, result.task)) == 3

    async def test_while_the_value_is_being_removed(
        self, huey: Huey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = add_to(huey)(1, 2)
        waiting = asyncio.ensure_future(aget_result(result))
        really_remove = ResultHub.remove

        def remove(self: ResultHub, *args: Any) -> None:
            really_remove(self, *args)
            waiting.cancel()

        with monkeypatch.context() as patched:
            patched.setattr(ResultHub, "remove", remove)
            await work(huey)
            with pytest.raises(asyncio.CancelledError):
                await soon(waiting)

        assert await soon(Result(huey, result.task)) == 3
        assert huey.result_count() == 0


class TestAThousandAtOnce:
    async def test_all_of_them_arrive(self, huey: Huey) -> None:
        echo = huey.task()(lambda n: n)
        results = await huey.aenqueue_many(echo.s(n) for n in range(1000))
        assert results is not None
        waiting = asyncio.ensure_future(results)

        await work(huey)

        assert await soon(waiting) == list(range(1000))
        assert huey.result_count() == 0

    async def test_they_cost_two_connections(self, valkey_url: str) -> None:
        import redis

        waiter, teller = RedisHuey(url=valkey_url), RedisHuey(url=valkey_url)
        teller.put_result("opens", "its connection")
        echo = waiter.task()(lambda n: n)
        results = [Result[str](waiter, echo.s(n)) for n in range(1000)]
        with redis.Redis.from_url(valkey_url) as client:
            before = {entry["id"] for entry in client.client_list()}

            waiting = [asyncio.ensure_future(result) for result in results]
            while len(hub_wants(waiter, results[-1].id)) == 0 or not hub_is_waiting(waiter):
                await asyncio.sleep(0)
            teller.put_result(results[0].id, "first")
            assert await soon(waiting[0]) == "first"
            during = {entry["id"] for entry in client.client_list()}

            assert len(during - before) == 2

        for result in results[1:]:
            teller.put_result(result.id, "later")
        assert set(await soon(asyncio.gather(*waiting[1:]))) == {"later"}
        waiter.storage.close()
        teller.storage.close()

    def test_loops_in_several_threads_share_one_thread(self, huey: Huey) -> None:
        echo = huey.task()(lambda n: n)
        results = [echo(n) for n in range(40)]
        started = threading.Barrier(5)

        async def wait_for(some: list[Any]) -> list[int]:
            waits = asyncio.gather(*some)
            await asyncio.sleep(0)
            started.wait(PATIENCE)
            values: list[int] = await soon(waits)
            return values

        with ThreadPoolExecutor(4) as threads:
            waiting = [
                threads.submit(asyncio.run, wait_for(results[n : n + 10])) for n in (0, 10, 20, 30)
            ]
            started.wait(PATIENCE)
            run_queued(huey)
            values = [value for future in waiting for value in future.result()]

        assert values == list(range(40))
