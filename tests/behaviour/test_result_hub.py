"""The thread that waits for results: how it begins, ends, fails and recovers."""

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from huey.api import Huey, MemoryHuey, Result, SqliteHuey, Task
from huey.app import hub as hub_module
from huey.app.hub import ResultHub, hub_of
from huey.app.polling import Poller
from huey.exceptions import StorageError
from huey.storage.memory import MemoryStorage
from tests.behaviour.classic_storage import DictStorage
from tests.behaviour.driving import PATIENCE, run_all


def hub(huey: Huey) -> ResultHub:
    return hub_of(huey._lossless)


def worker_of(huey: Huey) -> threading.Thread:
    thread = hub(huey)._thread
    assert thread is not None
    return thread


async def soon(awaitable: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await awaitable


def ready(huey: Huey, value: Any = 5) -> Result[Any]:
    """A result that is there."""
    task = Task()
    huey.put_result(task.id, value)
    return Result(huey, task)


class Unsteady(MemoryStorage):
    """Cannot be reached while `is_down`."""

    is_down = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("peek_many", "settle", "result_waiter") and self.is_down:
            raise StorageError("The server is away.")
        return super().__getattribute__(name)


class TestItsLife:
    async def test_nothing_runs_before_something_is_awaited(self) -> None:
        huey = MemoryHuey()
        result = ready(huey)

        assert "_huey_hub" not in vars(huey.storage)

        await soon(result)

    async def test_one_thread_serves_all_who_wait(self) -> None:
        huey = MemoryHuey()
        threads = set()

        for _ in range(5):
            await soon(ready(huey))
            threads.add(worker_of(huey))

        assert len(threads) == 1

    async def test_it_ends_when_nobody_has_waited_for_a_while_and_begins_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub_module, "LINGER", 0.01)
        huey = MemoryHuey()
        await soon(ready(huey))
        first = hub(huey)._thread

        if first is not None:
            first.join(PATIENCE)
        assert hub(huey)._thread is None

        assert await soon(ready(huey)) == 5

    async def test_it_stops_waiting_as_soon_as_nobody_waits_any_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub_module, "LINGER", 4 * PATIENCE)
        huey = MemoryHuey()
        waiting = asyncio.ensure_future(huey.task()(lambda: 5)())
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while hub(huey)._waiter is None:
                await asyncio.sleep(0)

            waiting.cancel()

            while hub(huey)._waiter is not None:
                await asyncio.sleep(0)

    async def test_it_keeps_no_storage_alive_when_it_has_ended(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub_module, "LINGER", 0.01)
        huey = MemoryHuey()
        await soon(ready(huey))
        thread, storage = hub(huey)._thread, weakref.ref(huey.storage)

        if thread is not None:
            thread.join(PATIENCE)
        del huey, thread
        gc.collect()

        assert storage() is None

    def test_a_loop_that_is_closed_costs_others_nothing(self) -> None:
        huey = MemoryHuey()
        result = huey.task()(lambda: 5)()
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(huey.aget_result(result))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

        run_all(huey)

        assert asyncio.run(soon(Result[int](huey, result.task))) == 5
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
    def test_a_forked_child_has_a_thread_of_its_own(self, tmp_path: Path) -> None:
        script = f"""
            import asyncio, os, sys, warnings
            from huey import SqliteHuey

            warnings.simplefilter("ignore")
            huey = SqliteHuey(filename={str(tmp_path / "queue.db")!r})
            add = huey.task()(lambda a, b: a + b)

            async def call():
                result = await add.aenqueue(1, 2)
                await asyncio.to_thread(lambda: huey.execute(huey.dequeue()))
                return await asyncio.wait_for(result, 30)

            first = asyncio.run(call())
            if not os.fork():
                print(first, asyncio.run(call()), flush=True)
                os._exit(0)
            os.wait()
            print(asyncio.run(call()))
            """

        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, check=True
        )

        assert done.stdout.split() == [b"3", b"3", b"3"]


class TestFailures:
    async def test_who_waits_survives_a_storage_that_is_away(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        huey = Huey(storage_class=Unsteady)
        result = ready(huey)
        huey.storage.is_down = True  # type: ignore[attr-defined]  # Unsteady
        waiting = asyncio.ensure_future(result)
        while "Waiting for results failed" not in caplog.text:
            await asyncio.sleep(0.001)

        huey.storage.is_down = False  # type: ignore[attr-defined]  # Unsteady

        assert await soon(waiting) == 5
        assert huey.result_count() == 0
        worker_of(huey)
        assert caplog.text.count("Waiting for results failed (StorageError") == 1

    async def test_a_value_that_was_read_is_not_held_up_by_its_removal(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        huey = Huey(storage_class=Unsteady)
        result = ready(huey)
        really_remove = ResultHub.remove

        def remove(self: ResultHub, *args: Any) -> None:
            huey.storage.is_down = True  # type: ignore[attr-defined]  # Unsteady
            really_remove(self, *args)

        monkeypatch.setattr(ResultHub, "remove", remove)

        assert await soon(result) == 5

        assert huey.result_count() == 1
        huey.storage.is_down = False  # type: ignore[attr-defined]  # Unsteady
        while huey.result_count():
            await asyncio.sleep(0.001)

    async def test_a_storage_that_cannot_remove_values_still_gives_them(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Keeping(DictStorage):
            def delete_data(self, key: Any) -> bool:
                raise NotImplementedError

        huey = Huey(storage_class=Keeping)

        assert [await soon(ready(huey, n)) for n in range(3)] == [0, 1, 2]

        assert "cannot be removed" in caplog.text

    async def test_a_value_that_cannot_be_decoded_fails_and_stays(self) -> None:
        huey = MemoryHuey()
        result = ready(huey)
        huey.storage.put_data(result.id, b"no pickle", is_result=True)

        with pytest.raises(Exception, match=r"pickle|load key"):
            await soon(result)

        assert huey.storage.peek_data(result.id) == b"no pickle"

    async def test_a_newer_value_is_not_replaced_by_one_that_is_given_back(self) -> None:
        huey = MemoryHuey()
        result = ready(huey, "old")
        raw = huey.storage.peek_data(result.id)
        assert isinstance(raw, bytes)
        huey.put_result(result.id, "new")

        hub(huey).give_back(result.id, raw)

        assert await soon(result) == "new"

    def test_the_process_does_not_exit_before_a_value_is_given_back(self, tmp_path: Path) -> None:
        script = f"""
            import asyncio, threading
            from huey import SqliteHuey
            from huey.app.hub import ResultHub

            huey = SqliteHuey(filename={str(tmp_path / "queue.db")!r})
            result = huey.task()(lambda: 5)()
            huey.execute(huey.dequeue())
            really_remove, really_has = ResultHub.remove, huey.storage.has_data_for_key

            def remove(self, *args):
                really_remove(self, *args)
                waiting.cancel()

            def has_data_for_key(key):
                threading.main_thread().join()
                return really_has(key)

            async def main():
                global waiting
                huey.storage.has_data_for_key = has_data_for_key
                ResultHub.remove = remove
                waiting = asyncio.ensure_future(result)
                await asyncio.wait([waiting])

            asyncio.run(main())
            """

        subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)

        assert SqliteHuey(filename=str(tmp_path / "queue.db")).result_count() == 1


class TestPolling:
    def test_each_result_is_looked_at_less_and_less_often(self) -> None:
        looks: list[str] = []

        class Seen(DictStorage):
            def peek_many(self, keys: Any) -> dict[Any, bytes]:
                looks.extend(keys)
                return super().peek_many(keys)

        poller = Poller(Seen(), lambda key: {"often": (1.0, 0.001), "seldom": (1.0, 9.0)}[key])

        assert poller.wait(["often", "seldom"], 0.02) == set()

        assert looks.count("seldom") == 1
        assert looks.count("often") > 2

    def test_a_poke_ends_the_wait_now_or_the_next_time(self) -> None:
        poller = Poller(DictStorage(), lambda key: (1.0, 9.0))
        poller.poke()
        assert poller.wait(["a"], 4 * PATIENCE) == set()
        threading.Timer(0.01, poller.poke).start()
        assert poller.wait(["a"], 4 * PATIENCE) == set()

    def test_what_is_there_is_found(self) -> None:
        storage = DictStorage()
        storage.put_data("b", b"1")

        assert Poller(storage, lambda key: (1.0, 9.0)).wait(["a", "b"], None) == {"b"}
