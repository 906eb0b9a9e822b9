"""MiniHuey: what is special about greenlets."""

import subprocess
import sys
import textwrap
from datetime import datetime

import gevent
import gevent.event
import gevent.pool
import pytest

from huey.contrib.mini import MiniHuey, MiniHueyResult
from huey.exceptions import ConfigurationError, WorkerLost


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_attributes_that_others_look_at_are_there() -> None:
    mini = MiniHuey()

    assert mini.name == "huey"
    assert mini._interval == 1
    assert (mini._periodic_tasks, mini._scheduled_tasks, mini._run_t) == ([], [], None)
    assert (mini._last_check.second, mini._last_check.microsecond) == (0, 0)
    assert isinstance(mini._last_check, datetime)
    assert isinstance(mini._shutdown, gevent.event.Event)
    assert isinstance(mini._pool, gevent.pool.Pool)
    assert next(mini._counter) == 0


def test_a_result_is_one_of_gevent() -> None:
    result = MiniHuey().task()(lambda: 5)()

    assert isinstance(result, MiniHueyResult)
    assert isinstance(result, gevent.event.AsyncResult)
    assert gevent.wait([result], timeout=30) == [result]
    assert result.get() == 5


def test_the_pool_knows_the_running_tasks_and_can_kill_them() -> None:
    mini = MiniHuey()
    results = [mini.task()(lambda: gevent.sleep(3600))() for _ in range(3)]
    gevent.sleep(0)
    assert len(mini._pool) == 3

    mini._pool.kill()

    assert len(mini._pool) == 0
    for result in results:
        with pytest.raises(WorkerLost, match="killed"):
            result.get(timeout=30)


def test_the_pool_is_empty_when_the_tasks_have_ended() -> None:
    mini = MiniHuey(pool_size=2)
    ok, bad = mini.task()(lambda: None), mini.task()(lambda: 1 / 0)
    for task in (ok, bad, ok):
        task()

    assert mini._pool.join(timeout=30) is True
    assert mini._pool.free_count() == 2


def test_a_coroutine_function_is_refused_and_the_way_out_is_named() -> None:
    async def fetch() -> None:
        raise AssertionError("never called")

    with pytest.raises(ConfigurationError, match="AsyncMiniHuey"):
        MiniHuey().task()(fetch)


async def test_inside_an_event_loop_the_other_forms_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"event loop.*AsyncMiniHuey.*ThreadMiniHuey"):
        MiniHuey()


def test_without_gevent_the_package_can_be_imported_and_the_other_forms_are_named() -> None:
    told = run(
        """
        import sys
        sys.modules["gevent"] = None
        from huey.contrib.mini import AsyncMiniHuey, MiniHuey, ThreadMiniHuey
        try:
            MiniHuey()
        except Exception as error:
            print(type(error).__name__, error)
        print(ThreadMiniHuey().task()(lambda: 5)().get(timeout=30))
        """
    )

    assert told.startswith("ConfigurationError MiniHuey needs the package")
    assert 'pip install "huey[gevent]"' in told
    assert "AsyncMiniHuey (asyncio) and ThreadMiniHuey (threads)" in told
    assert told.endswith("5")


def test_importing_the_package_loads_neither_gevent_nor_asyncio() -> None:
    loaded = run(
        """
        import sys
        import huey.contrib.mini
        print({"gevent", "asyncio"} & set(sys.modules))
        """
    )

    assert loaded == "set()"


def test_a_library_that_is_not_patched_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    mini = MiniHuey()

    mini.start()
    mini.stop()

    assert "monkey.patch_all()" in caplog.text


def test_in_a_patched_program_ordinary_waits_let_other_tasks_run() -> None:
    told = run(
        """
        from gevent import monkey; monkey.patch_all()
        import logging, threading, time
        from huey.contrib.mini import MiniHuey

        logging.basicConfig(level=logging.INFO, filename="/dev/null")
        mini = MiniHuey()
        barrier = threading.Barrier(50)
        mini.start()
        results = [mini.task()(lambda: barrier.wait(30))() for _ in range(50)]
        print(sorted(result.get(timeout=30) for result in results) == list(range(50)))
        mini.stop(wait=True)
        # Each greenlet that logs has an entry among the threads, which must go with it.
        print(len(threading._active) < 10)
        """
    )

    assert told.split() == ["True", "True"]
