"""A Django site with django-huey-monitor, which writes down every signal; prints what it wrote.

Usage: python -m tests.compat.programs.monitored DATABASE
"""

import json
import sys
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a secret",
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "huey.contrib.djhuey",
        "bx_django_utils",
        "huey_monitor",
    ],
    TEMPLATES=[
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    HUEY={
        "huey_class": "huey.MemoryHuey",
        "name": "monitored",
        "immediate": False,
        # The monitor's own settings hand options of the consumer to the storage.
        "connection": {"initial_delay": 0.1, "backoff": 1.15},
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402  # after setup(), as Django wants

call_command("migrate", verbosity=0)

from huey_monitor.models import (  # type: ignore[import-untyped]  # noqa: E402
    SignalInfoModel,
    TaskModel,
)
from huey_monitor.templatetags.huey_monitor import (  # type: ignore[import-untyped]  # noqa: E402
    huey_counts_info,
)
from huey_monitor.tqdm import ProcessInfo  # type: ignore[import-untyped]  # noqa: E402

from huey.api import CancelExecution, chord  # noqa: E402
from huey.contrib.djhuey import HUEY, task  # noqa: E402
from tests.behaviour.driving import running  # noqa: E402


@task()
def good(number: int = 1) -> int:
    return number


@task(retries=1)
def bad() -> None:
    raise ValueError("broken on purpose")


@task()
def cancelled() -> None:
    raise CancelExecution("enough")


@task()
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task(context=True)
def progress(task: Any) -> None:
    info = ProcessInfo(task, desc="counting", total=3)
    for _ in range(3):
        info.update()


def main() -> None:
    calls = {
        "good": good(),
        "bad": bad(),
        "cancelled": cancelled(),
        "progress": HUEY.enqueue(progress.s()),
        "revoked": good(2),
        "expired": HUEY.enqueue(good.s(3, expires=-1)),
        "chord": HUEY.enqueue(chord([good.s(4), good.s(5)], total)).callback,
    }
    calls["revoked"].revoke()
    counts = huey_counts_info()
    HUEY.flush_locks()
    left_over = good(6)
    SignalInfoModel.objects.create(
        hostname="h", pid=1, thread="t", task_id=left_over.id, signal_name="executing"
    )
    TaskModel.objects.filter(task_id=left_over.id).update(
        state=SignalInfoModel.objects.get(task_id=left_over.id, signal_name="executing")
    )
    with running(HUEY):
        calls["chord"].get(blocking=True, timeout=20)
        left_over.get(blocking=True, timeout=20)
    calls["left over"] = left_over
    told: dict[str, Any] = {name: describe(call.id) for name, call in calls.items()}
    json.dump({"tasks": told, "counts": str(counts)}, sys.stdout)


def describe(task_id: str) -> dict[str, Any]:
    found = TaskModel.objects.get(task_id=task_id)
    signals = SignalInfoModel.objects.filter(task_id=task_id).order_by("create_dt")
    return {
        "name": found.name,
        "finished": found.finished,
        "progress": found.progress_count,
        "signals": [signal.signal_name for signal in signals],
        "exceptions": [signal.exception for signal in signals if signal.exception],
        "lines": [signal.exception_line for signal in signals if signal.exception_line],
    }


if __name__ == "__main__":
    main()
