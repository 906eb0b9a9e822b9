"""The tasks framework of this project: Django's own, or the package django-tasks."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings


def _package() -> str:
    chosen = any(app.partition(".")[0] == "django_tasks" for app in settings.INSTALLED_APPS)
    return "django_tasks" if chosen or find_spec("django.tasks") is None else "django.tasks"


#: "django.tasks", or "django_tasks" where it is installed as an app or Django has none.
PACKAGE = _package()

# Both have the same classes, typed differently; what is shared is known by name only.
_base: Any = import_module(f"{PACKAGE}.base")
_exceptions: Any = import_module(f"{PACKAGE}.exceptions")
signals: Any = import_module(f"{PACKAGE}.signals")

BaseTaskBackend: Any = import_module(f"{PACKAGE}.backends.base").BaseTaskBackend
Task: Any = _base.Task
TaskContext: Any = _base.TaskContext
TaskError: Any = _base.TaskError
TaskResult: Any = _base.TaskResult
TaskResultStatus: Any = _base.TaskResultStatus
normalize_json: Any = _base.normalize_json
TaskResultDoesNotExist: Any = _exceptions.TaskResultDoesNotExist
InvalidTask: Any = getattr(_exceptions, "InvalidTask", None) or _exceptions.InvalidTaskError
