"""Tasks of ``django.tasks``, or of the package django-tasks where Django has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huey.contrib.djhuey import tasks_api
from huey.exceptions import RetryTask

#: What a decorator leaves is of a class that is known at run time only.
Decorate = Callable[[Callable[..., Any]], Any]
task: Callable[..., Decorate] = tasks_api._base.task

#: What the tasks saw, for the tests.
seen: list[Any] = []


@task()
def double(number: int) -> int:
    return number * 2


@task()
async def double_later(number: int) -> int:
    return number * 2


@task()
async def count_orders_later() -> int:
    from orders.models import Order  # type: ignore[import-not-found]  # of the example

    return int(await Order.objects.acount())


@task(takes_context=True)
def attempts(context: Any) -> int:
    return int(context.attempt)


@task(takes_context=True)
def third_time(context: Any) -> int:
    if context.attempt < 3:
        raise RetryTask("not yet")
    return int(context.attempt)


@task()
def fails() -> None:
    raise LookupError("nobody there")


@task()
async def fails_later() -> None:
    raise LookupError("nobody there")


@task()
def leaves() -> None:
    raise SystemExit("the task wants to go")


@task()
def interrupts() -> None:
    raise KeyboardInterrupt


@task()
def returns_an_object() -> object:
    return object()


@task()
def notes(name: str) -> None:
    seen.append(name)
