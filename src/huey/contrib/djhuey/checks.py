"""System checks: ``manage.py check`` tells of usual mistakes before a consumer starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from huey.contrib.djhuey.configuration import read
from huey.contrib.djhuey.problems import (
    IMMEDIATE_IN_PRODUCTION,
    NOBODY_TICKS,
    SQLITE_IN_MEMORY,
    Problem,
    find_problems,
)


def register_all() -> None:
    """Have Django run the checks."""
    register("huey")(check_settings)
    register("huey")(check_queues)
    register("huey", deploy=True)(check_deployment)


def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Look for mistakes in the settings."""
    problems = find_problems(read(settings), settings.DATABASES)
    return [_message(problem) for problem in problems]


def check_queues(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Look for mistakes that show in the queues that were built."""
    return [_message(problem) for problem in (*_in_memory(), *_ticking())]


def check_deployment(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Look for what is right in development, and wrong in production."""
    from huey.contrib.djhuey import queues

    return [
        _message(
            Problem(
                IMMEDIATE_IN_PRODUCTION,
                f"Queue {key!r} is in immediate mode: its tasks run in the web processes.",
                'Set "immediate": False, or DEBUG = False if it should follow that.',
            )
        )
        for key, huey in queues.hueys.items()
        if huey.immediate
    ]


def _in_memory() -> Iterator[Problem]:
    from huey.contrib.djhuey import queues

    for key, huey in queues.hueys.items():
        if str(huey.storage_kwargs.get("filename", "")).startswith((":memory:", "file::memory:")):
            yield Problem(
                SQLITE_IN_MEMORY,
                f"Queue {key!r} is an SQLite database in memory: no other process sees its tasks.",
                'Give it a file: "filename": BASE_DIR / "queue.db".',
            )


def _ticking() -> Iterator[Problem]:
    from huey.contrib.djhuey import queues

    for key, huey in queues.hueys.items():
        declared = len(huey._registry._periodic_tasks)
        if declared and queues.consumers.get(key, {}).get("periodic") is False:
            yield Problem(
                NOBODY_TICKS,
                f"Queue {key!r} has {declared} periodic task(s), and its consumers are told not "
                "to enqueue periodic tasks.",
                'Leave "periodic": False out of "consumer", or run one consumer that has it on.',
            )


def _message(problem: Problem) -> CheckMessage:
    kind = Error if problem.is_fatal else Warning
    return kind(problem.text, hint=problem.hint, id=problem.id)
