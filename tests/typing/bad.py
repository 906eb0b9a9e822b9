"""Mistakes that a type checker has to find: each comment here is an error if there is none."""

from huey.api import Huey

huey = Huey("typed")


@huey.task()
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@huey.task()
async def shout(text: str) -> str:
    """Shout, on an event loop."""
    return text.upper()


def arguments() -> None:
    """The arguments of a task are those of its function."""
    add("1", 2)  # type: ignore[arg-type]
    add()  # type: ignore[call-arg]
    add(1, 2, 3)  # type: ignore[call-arg]
    add(1, c=2)  # type: ignore[call-arg]
    shout(1)  # type: ignore[arg-type]
    add.options(delay=10)("1")  # type: ignore[arg-type]
    add.options(delay=10)(1, 2, 3)  # type: ignore[call-arg]


def results() -> tuple[int, str | None, str]:
    """A result may not be there yet, and is of the type that the function returns."""
    not_yet: int = add(1, 2).get()  # type: ignore[assignment]
    other: str | None = add(1, 2).get()  # type: ignore[assignment]
    coroutine: str = shout("a").get()  # type: ignore[assignment]
    return not_yet, other, coroutine


def settings() -> None:
    """The settings of decorators and calls have types, too."""
    huey.task(retries="3")  # type: ignore[arg-type]
    huey.lock_task("name", ttl="1h")  # type: ignore[arg-type]
    huey.rate_limit("name", limit=1)  # type: ignore[call-arg]
    add.schedule((1,), eta=60)  # type: ignore[arg-type]
