"""AsyncMiniHuey: tasks on the application's own event loop."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest

from huey.contrib.mini import AsyncMiniHuey
from huey.exceptions import ConfigurationError, HueyException, ResultTimeout
from huey.tasks.crontab import crontab

PATIENCE = 30

user: ContextVar[str] = ContextVar("user", default="nobody")


@pytest.fixture
async def mini() -> AsyncIterator[AsyncMiniHuey]:
    mini = AsyncMiniHuey(interval=3600)
    yield mini
    if mini._is_running():
        await mini.stop(timeout=PATIENCE)


class TestCalling:
    async def test_a_coroutine_function_runs_on_the_running_loop(self, mini: AsyncMiniHuey) -> None:
        @mini.task()
        async def where(n: int) -> tuple[int, asyncio.AbstractEventLoop]:
            return n, asyncio.get_running_loop()

        assert await where(5) == (5, asyncio.get_running_loop())

    async def test_another_function_runs_beside_the_loop(self, mini: AsyncMiniHuey) -> None:
        release = threading.Event()

        @mini.task()
        def block(n: int) -> int:
            assert release.wait(PATIENCE)
            return n

        result = block(5)
        await asyncio.sleep(0)  # the loop is free meanwhile
        release.set()

        assert await result == 5
        assert await result.get() == 5
        assert await result(timeout=1) == 5
        assert result.successful()

    async def test_awaiting_raises_what_the_task_raised_and_the_log_has_the_traceback(
        self, mini: AsyncMiniHuey, caplog: pytest.LogCaptureFixture
    ) -> None:
        @mini.task()
        async def fail() -> None:
            raise ZeroDivisionError("on purpose")

        @mini.task()
        def fail_aside() -> None:
            raise ZeroDivisionError("on purpose")

        for result in (fail(), fail_aside()):
            with pytest.raises(ZeroDivisionError, match="on purpose"):
                await result
        failures = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert failures == ["task fail failed", "task fail_aside failed"]

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
    async def test_a_task_that_exits_fails_and_the_loop_lives(
        self, mini: AsyncMiniHuey, error: type[BaseException]
    ) -> None:
        @mini.task()
        async def leave() -> None:
            raise error

        result = leave()
        while not result.ready():
            await asyncio.sleep(0)

        assert isinstance(result.exception(), error)

    async def test_a_stop_iteration_ends_the_task_and_nobody_who_awaits_it(
        self, mini: AsyncMiniHuey
    ) -> None:
        result = mini.task()(lambda: next(iter([0][1:])))()

        with pytest.raises(RuntimeError, match="StopIteration"):
            await result.get(timeout=PATIENCE)

    async def test_get_gives_up_with_its_timeout_and_the_task_goes_on(
        self, mini: AsyncMiniHuey
    ) -> None:
        release = asyncio.Event()
        result = mini.task()(release.wait)()

        with pytest.raises(ResultTimeout):
            await result.get(timeout=0.01)

        release.set()
        assert await result is True

    async def test_a_timeout_of_the_task_itself_is_not_mistaken_for_that(
        self, mini: AsyncMiniHuey
    ) -> None:
        @mini.task()
        async def fail() -> None:
            raise TimeoutError("the server did not answer")

        with pytest.raises(TimeoutError, match="did not answer"):
            await fail().get(timeout=PATIENCE)

    async def test_an_await_that_is_cancelled_leaves_the_task_alone(
        self, mini: AsyncMiniHuey
    ) -> None:
        release = asyncio.Event()
        result = mini.task()(release.wait)()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await result

        release.set()
        assert await result is True

    async def test_a_task_sees_the_context_of_its_caller(self, mini: AsyncMiniHuey) -> None:
        user.set("ada")

        assert await mini.task()(user.get)() == "ada"

        @mini.task()
        async def ask() -> str:
            return user.get()

        assert await ask() == "ada"

    @pytest.mark.parametrize("aside", [True, False])
    async def test_no_more_tasks_run_at_once_than_there_are_places(self, aside: bool) -> None:
        mini = AsyncMiniHuey(pool_size=2)
        running, most = [0], [0]
        met = threading.Event()

        def enter() -> None:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 2:
                met.set()

        @mini.task()
        def in_thread() -> None:
            enter()
            assert met.wait(PATIENCE)
            running[0] -= 1

        @mini.task()
        async def on_loop() -> None:
            enter()
            while not met.is_set():
                await asyncio.sleep(0)
            running[0] -= 1

        await asyncio.gather(*[(in_thread if aside else on_loop)() for _ in range(6)])

        assert most == [2]

    async def test_a_thread_may_call_tasks_once_the_loop_is_known(
        self, mini: AsyncMiniHuey
    ) -> None:
        @mini.task()
        async def where() -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        mini.start()
        result = await asyncio.to_thread(where)

        assert await result is asyncio.get_running_loop()

    async def test_a_thread_that_knows_no_loop_is_told_so(self, mini: AsyncMiniHuey) -> None:
        with pytest.raises(ConfigurationError, match="running event loop"):
            await asyncio.to_thread(mini.task()(print))

    def test_the_same_tasks_serve_one_loop_after_the_other(self) -> None:
        mini = AsyncMiniHuey(pool_size=1)

        @mini.task()
        async def ping() -> str:
            await asyncio.sleep(0)
            return "pong"

        async def main() -> Any:
            async with mini.lifespan():
                return await asyncio.gather(ping(), ping(), ping.schedule(delay=0))

        assert [asyncio.run(main()) for _ in range(2)] == [["pong"] * 3] * 2


class TestScheduler:
    async def test_a_scheduled_task_starts_when_it_is_due_and_not_before(
        self, mini: AsyncMiniHuey
    ) -> None:
        mini.start()
        began = time.time()

        result = mini.task()(time.time).schedule(delay=0.05)

        assert await result.get(timeout=PATIENCE) >= began + 0.05

    async def test_a_thread_may_schedule(self, mini: AsyncMiniHuey) -> None:
        mini.start()
        ping = mini.task()(lambda: "pong")

        result = await asyncio.to_thread(lambda: ping.schedule(delay=0))

        assert await result.get(timeout=PATIENCE) == "pong"

    async def test_periodic_tasks_run_by_the_clock(self, mini: AsyncMiniHuey) -> None:
        ticked, minute = asyncio.Event(), asyncio.Event()

        @mini.task(timedelta(milliseconds=10))
        async def tick() -> None:
            ticked.set()

        @mini.task(crontab())
        async def each_minute() -> None:
            minute.set()

        mini._last_check -= timedelta(minutes=1)
        mini.start()

        async with asyncio.timeout(PATIENCE):
            await ticked.wait()
            await minute.wait()

    async def test_a_rule_that_fails_does_not_stop_the_scheduler(self, mini: AsyncMiniHuey) -> None:
        mini.task(lambda now: 1 / 0)(print)
        mini._last_check -= timedelta(minutes=1)
        mini.start()

        result = mini.task()(lambda: "alive").schedule(delay=0.01)

        assert await result.get(timeout=PATIENCE) == "alive"

    async def test_starting_twice_and_stopping_what_does_not_run_are_errors(
        self, mini: AsyncMiniHuey
    ) -> None:
        with pytest.raises(HueyException, match="not appear to have started"):
            await mini.stop()
        mini.start()
        with pytest.raises(HueyException, match="already running"):
            mini.start()

    def test_it_cannot_be_started_without_a_loop(self) -> None:
        with pytest.raises(ConfigurationError, match="running event loop"):
            AsyncMiniHuey().start()

    async def test_stop_waits_for_running_tasks_if_told(self, mini: AsyncMiniHuey) -> None:
        release = asyncio.Event()
        mini.start()
        result = mini.task()(release.wait)()
        assert await mini.stop(timeout=0.01) is False

        mini.start()
        release.set()

        assert await mini.stop(wait=True) is True
        assert result.ready()

    async def test_a_lifespan_runs_the_scheduler_and_waits_for_tasks(
        self, mini: AsyncMiniHuey
    ) -> None:
        async with mini.lifespan(object()):
            assert await mini.task()(lambda: "ran").schedule(delay=0) == "ran"
            last = mini.task()(asyncio.sleep)(0.01)

        assert last.ready()
        assert not mini._is_running()

    async def test_a_lifespan_ends_with_its_error(self, mini: AsyncMiniHuey) -> None:
        with pytest.raises(ZeroDivisionError):
            async with mini.lifespan():
                raise ZeroDivisionError

        assert not mini._is_running()

    def test_tasks_that_end_with_their_loop_say_so(self) -> None:
        mini = AsyncMiniHuey()

        async def main() -> Any:
            result = mini.task()(asyncio.sleep)(3600)
            await asyncio.sleep(0)
            return result

        result = asyncio.run(main())

        assert isinstance(result.exception(timeout=0), asyncio.CancelledError)
