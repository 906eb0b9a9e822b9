"""A Django site with django-huey and two queues; runs its command, and prints what came of it.

Usage: python -m tests.compat.programs.queues FOLDER
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import django
from django.conf import settings

FOLDER = Path(sys.argv[1])

settings.configure(
    SECRET_KEY="a secret",
    INSTALLED_APPS=["django_huey"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DJANGO_HUEY={
        "default": "first",
        "queues": {
            "first": {
                "huey_class": "huey.SqliteHuey",
                "connection": {"filename": str(FOLDER / "first.db")},
                "immediate": False,
                "consumer": {"workers": 2, "unknown option": 3},
            },
            "second": {"backend_class": "huey.MemoryHuey", "name": "other", "immediate": True},
        },
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402  # after setup(), as Django wants
from django_huey import (  # type: ignore[import-untyped]  # noqa: E402
    db_task,
    enqueue,
    get_queue,
    is_revoked,
    lock_task,
    on_startup,
    post_execute,
    pre_execute,
    restore,
    result,
    revoke,
    scheduled,
    task,
)

from huey import RedisHuey  # noqa: E402
from huey.consumer.consumer import Consumer  # noqa: E402

hooks: list[str] = []
started: list[int] = []


@on_startup()  # type: ignore[untyped-decorator]  # django-huey has no types
def note_start() -> None:
    started.append(os.getpid())


@pre_execute()  # type: ignore[untyped-decorator]
def note_before(task: Any) -> None:
    hooks.append("before")


@post_execute()  # type: ignore[untyped-decorator]
def note_after(task: Any, value: Any, error: Any) -> None:
    hooks.append("after")


@db_task()  # type: ignore[untyped-decorator]
def add(a: int, b: int) -> int:
    return a + b


@task(queue="second")  # type: ignore[untyped-decorator]
@lock_task("mine", queue="second")  # type: ignore[untyped-decorator]
def double(a: int) -> int:
    return a * 2


@task()  # type: ignore[untyped-decorator]
def stop() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    handle = add(1, 2)
    revoked = add(3, 4)
    revoke(revoked)
    was_revoked = is_revoked(revoked)
    restored = restore(revoked)
    options = watch_consumers()
    stopper = add.schedule((5, 6), delay=3600)
    enqueue(stop.s())
    call_command("djangohuey", "--disable-autoload", "--workers", "3", "--huey-verbose")
    json.dump(
        {
            "first": [result(handle.id), result(revoked.id), result(stopper.id)],
            "second": double(4).get(),
            "revoked": [was_revoked, bool(restored)],
            "local": add.call_local(1, 1),
            "hooks": hooks,
            "starts": len(started),
            "options": options[0],
            "scheduled": len(scheduled()),
            "names": [get_queue("first").name, get_queue("second").name],
            "is redis": isinstance(get_queue("first"), RedisHuey),
            "threads": [thread.name for thread in threading.enumerate()],
        },
        sys.stdout,
    )


def watch_consumers() -> list[dict[str, Any]]:
    """Note what each consumer is built with."""
    seen: list[dict[str, Any]] = []
    build = Consumer.__init__

    def noting(self: Consumer, huey: Any, **options: Any) -> None:
        seen.append(options)
        build(self, huey, **options)

    Consumer.__init__ = noting  # type: ignore[method-assign, assignment]  # here only
    return seen


if __name__ == "__main__":
    main()
