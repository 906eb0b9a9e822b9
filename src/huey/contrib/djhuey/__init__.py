"""Huey for Django projects: the queue of the settings, its decorators and helpers.

``HUEY`` is built from the settings when this module is imported, and the names below are bound to
it then. A test that overrides the settings calls ``importlib.reload`` on this module.
"""

from __future__ import annotations

import importlib.util
from typing import Any, NoReturn

from django.conf import settings

from huey.contrib.djhuey.building import BadSettings, build, check_distinct
from huey.contrib.djhuey.configuration import DEFAULT_CLASS, queue_name, read
from huey.contrib.djhuey.facade import Queues
from huey.contrib.djhuey.problems import WRONG_CLASS, Problem, find_problems
from huey.tasks.crontab import crontab
from huey.tasks.workflow import chord, group
from huey.utils import load_class

__all__ = [
    "HUEY",
    "queues",
    "get_queue",
    "task",
    "periodic_task",
    "context_task",
    "db_task",
    "db_periodic_task",
    "on_commit_task",
    "close_db",
    "lock_task",
    "is_locked",
    "flush_locks",
    "rate_limit",
    "on_startup",
    "on_shutdown",
    "pre_execute",
    "post_execute",
    "signal",
    "disconnect_signal",
    "enqueue",
    "result",
    "pending",
    "scheduled",
    "revoke",
    "revoke_by_id",
    "revoke_all",
    "restore",
    "restore_by_id",
    "restore_all",
    "is_revoked",
    "crontab",
    "group",
    "chord",
    "config_error",
    "configuration_message",
    "default_backend_path",
    "default_queue_name",
    "get_backend",
]

default_backend_path = DEFAULT_CLASS

configuration_message = """
Configuring Huey for use with Django
====================================

Add 'huey.contrib.djhuey' to INSTALLED_APPS. The setting HUEY is optional: without it the queue is
in Redis on localhost, under the name of the default database. It is a dict, a URL or a Huey:

    HUEY = {
        'huey_class': 'huey.RedisHuey',
        'name': 'my-app',
        'url': 'redis://localhost:6379/0',
        'immediate': False,          # default: the value of DEBUG
        'consumer': {'workers': 4, 'worker_type': 'thread'},
    }

Start the consumer with: manage.py run_huey
"""


def default_queue_name() -> str:
    """Give the name of a queue without one: that of the default database, or "huey"."""
    return queue_name(settings)


def config_error(msg: str) -> NoReturn:
    """Refuse the settings.

    Raises:
        ImproperlyConfigured: always; with ``msg`` and what the settings should look like.
    """
    raise BadSettings(Problem(WRONG_CLASS, msg, configuration_message))


def get_backend(import_path: str = default_backend_path) -> Any:
    """Import the Huey class at a dotted path.

    Raises:
        ImproperlyConfigured: there is none.
    """
    try:
        return load_class(import_path)
    except (ImportError, AttributeError, ValueError) as error:
        config_error(f"The Huey class {import_path!r} cannot be imported: {error}.")


def _from_settings() -> Queues:
    declared = read(settings)
    for problem in find_problems(declared, settings.DATABASES):
        if problem.is_fatal:
            raise BadSettings(problem)
    hueys = {key: build(one, debug=settings.DEBUG) for key, one in declared.queues.items()}
    check_distinct(declared, hueys)
    consumers = {key: one.consumer for key, one in declared.queues.items()}
    return Queues(hueys, declared.default, consumers)


queues = _from_settings()
HUEY = queues.get_queue()

get_queue = queues.get_queue
task = queues.task
periodic_task = queues.periodic_task
context_task = queues.context_task
db_task = queues.db_task
db_periodic_task = queues.db_periodic_task
on_commit_task = queues.on_commit_task
close_db = queues.close_db
lock_task = queues.lock_task
is_locked = queues.is_locked
flush_locks = queues.flush_locks
rate_limit = queues.rate_limit
on_startup = queues.on_startup
on_shutdown = queues.on_shutdown
pre_execute = queues.pre_execute
post_execute = queues.post_execute
signal = queues.signal
disconnect_signal = queues.disconnect_signal
enqueue = queues.enqueue
result = queues.result
pending = queues.pending
scheduled = queues.scheduled
revoke = queues.revoke
revoke_by_id = queues.revoke_by_id
revoke_all = queues.revoke_all
restore = queues.restore
restore_by_id = queues.restore_by_id
restore_all = queues.restore_all
is_revoked = queues.is_revoked

# Consumers have to know the task that runs the tasks of django.tasks.
if any(map(importlib.util.find_spec, ("django.tasks", "django_tasks"))):
    from huey.contrib.djhuey import tasks_backend

    tasks_backend.serve(queues)
