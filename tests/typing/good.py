"""Code that a type checker has to accept, and to understand: checked, never run."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, assert_type

from huey.api import Huey, Result, ResultGroup, Task, crontab

huey = Huey("typed")


@huey.task()
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@huey.task(retries=3, retry_delay=5, unique=["text"])
async def shout(text: str, *, loud: bool = True) -> str:
    """Shout, on an event loop."""
    return text.upper() if loud else text


@huey.periodic_task(crontab(minute="*/5"), priority=3)
def nightly() -> None:
    """Run by the clock."""


@huey.task()
@huey.lock_task("one at a time")
def locked(names: Iterable[str]) -> list[str]:
    """Run alone."""
    return list(names)


@huey.task()
@huey.rate_limit("mail", limit=3, per=60)
async def send(to: str) -> bool:
    """Send so many."""
    return bool(to)


def handles() -> None:
    """What calling a task gives."""
    assert_type(add(1, 2), Result[int])
    assert_type(add(1, b=2).get(), int | None)
    assert_type(add(1)(), int | None)
    assert_type(add.schedule((1, 2), delay=timedelta(minutes=1)), Result[int])
    assert_type(add.map([(1, 2), (3, 4)]), ResultGroup[int] | None)
    assert_type(shout("hello", loud=False).get(), str | None)
    assert_type(nightly().get(), None)
    assert_type(locked(["a"]).get(), list[str] | None)
    assert_type(send("you").get(blocking=True, timeout=1.5), bool | None)


def options() -> None:
    """Options are set before the arguments, which stay those of the function."""
    assert_type(add.options(delay=10, priority=3)(1, b=2), Result[int])
    assert_type(shout.options(id="x")("hello").get(), str | None)
    assert_type(add.options(retries=2).s(1, 2), Task)


def signatures() -> None:
    """Tasks that are not enqueued yet."""
    task = add.s(1, 2, retries=3)
    assert_type(task.then(add, 3).error(nightly), Task)
    many = huey.enqueue_many([task])
    assert_type(many, ResultGroup[Any] | None)


def guarded() -> None:
    """A guard leaves the signature of a function as it is."""

    @huey.lock_task("plain")
    def plain(a: int) -> str:
        return str(a)

    assert_type(plain(1), str)
