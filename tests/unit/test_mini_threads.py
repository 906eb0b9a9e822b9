"""ThreadMiniHuey: what is special about threads."""

import asyncio
import concurrent.futures
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from huey.contrib.mini import ThreadMiniHuey


def test_each_task_has_a_thread_that_is_named_after_its_huey() -> None:
    mini = ThreadMiniHuey("mail")

    name = mini.task()(lambda: threading.current_thread().name)().get(timeout=30)

    assert name == "mail-task"


def test_results_are_futures_of_the_standard_library() -> None:
    double = ThreadMiniHuey().task()(lambda n: 2 * n)

    done, _ = concurrent.futures.wait([double(n) for n in range(3)], timeout=30)

    assert sorted(future.result() for future in done) == [0, 2, 4]


def test_a_coroutine_function_runs_in_a_loop_of_its_own() -> None:
    async def fetch(n: int) -> int:
        await asyncio.sleep(0)
        return n

    assert ThreadMiniHuey().task()(fetch)(5).get(timeout=30) == 5


def test_calls_from_many_threads_all_run() -> None:
    mini = ThreadMiniHuey(pool_size=4)
    double = mini.task()(lambda n: 2 * n)
    results: list[int] = []

    def caller(n: int) -> None:
        results.append(double(n).get(timeout=30))

    callers = [threading.Thread(target=caller, args=(n,)) for n in range(30)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()

    assert sorted(results) == [2 * n for n in range(30)]


def test_the_process_does_not_exit_before_its_tasks_have_ended() -> None:
    script = """
        import threading
        from huey.contrib.mini import ThreadMiniHuey

        def task():
            threading.main_thread().join()
            print("ended")

        ThreadMiniHuey().task()(task)()
        """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, check=True
    )

    assert done.stdout.split() == [b"ended"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_has_a_scheduler_of_its_own() -> None:
    script = """
        import os, threading, warnings
        from huey.contrib.mini import ThreadMiniHuey

        warnings.simplefilter("ignore")
        mini = ThreadMiniHuey(pool_size=1)
        release = threading.Event()
        busy = mini.task()(release.wait)
        ping = mini.task()(lambda: "pong")
        mini.start()
        busy()  # the only place is taken, by a thread that the child does not have
        if not os.fork():
            mini.start()
            print(ping.schedule(delay=0).get(timeout=30), mini.stop(wait=True), flush=True)
            os._exit(0)
        os.wait()
        release.set()
        """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, check=True
    )

    assert done.stdout.split() == [b"pong", b"True"]
