"""An application for tests that start real consumers: `HUEY_TEST_URL` says where its queue is."""

import asyncio
import ctypes
import datetime
import os
import time
from datetime import timedelta
from pathlib import Path

from huey import crontab, from_url
from huey.exceptions import RetryTask

FOLDER = Path(os.environ.get("HUEY_TEST_FOLDER", "."))
huey = from_url(os.environ.get("HUEY_TEST_URL", "memory://"), name="tests")


def note(what: object) -> None:
    """Leave a line that survives any death of this process."""
    descriptor = os.open(FOLDER / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, f"{what}\n".encode())
    finally:
        os.close(descriptor)


@huey.task()
def add(a: int, b: int) -> int:
    return a + b


@huey.task()
def noted(number: int, seconds: float = 0.0) -> int:
    note(number)
    time.sleep(seconds)
    return number


@huey.task(retries=1)
def noted_at_second_try(number: int, seconds: float = 0.0) -> int:
    if not (FOLDER / f"tried-{number}").exists():
        (FOLDER / f"tried-{number}").touch()
        raise ValueError("the first try fails")
    note(number)
    time.sleep(seconds)
    return number


@huey.task()
def process_id() -> int:
    return os.getpid()


@huey.task()
def kill_own_process(signum: int = 0) -> None:
    note("kill")
    if signum:
        os.kill(os.getpid(), signum)
        time.sleep(60)
    os._exit(3)


@huey.task()
def exits() -> None:
    raise SystemExit("not the worker")


@huey.task(timeout=0.2)
def too_long() -> None:
    time.sleep(60)


@huey.task()
async def doubled(number: int) -> int:
    await asyncio.sleep(0.001)
    return number * 2


@huey.task()
def waits_for(name: str) -> str:
    """Run until the test creates a file of this name."""
    note(f"started {name}")
    while not (FOLDER / name).exists():
        time.sleep(0.005)
    return name


@huey.task()
def holds_the_gil(seconds: float) -> str:
    """Sleep in C code that does not let go of the interpreter."""
    note("holds")
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return "done"


@huey.task(context=True)
def which_attempt(task: object = None) -> tuple[int, bool]:
    note("attempt")
    return task.attempt, task.redelivered  # type: ignore[attr-defined]  # it is a Task


@huey.task()
def asks_for_more() -> None:
    raise RetryTask(delay=0.05)


@huey.task()
def noted_sum(number: int, values: list[int]) -> int:
    note(f"callback {number}")
    return sum(values)


@huey.task()
def instant() -> str:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat()


@huey.task()
def unpicklable_result() -> object:
    return lambda: None


class Unpicklable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("this exception stays where it is")


@huey.task()
def unpicklable_error() -> None:
    note("unpicklable")
    raise Unpicklable


@huey.task()
def told_of(error: Exception) -> None:
    note(f"told of {type(error).__name__}")


@huey.periodic_task(timedelta(milliseconds=200))
def ticks() -> None:
    note("tick")


@huey.periodic_task(crontab(month="1", day="1", hour="0", minute="0"))
def new_year() -> None:
    note("new year")
