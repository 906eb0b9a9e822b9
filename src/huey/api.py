"""The catalogue: every public name of ``huey.api``, and where it lives."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from huey import signals as S
from huey import storage
from huey.app.huey import Huey
from huey.constants import EmptyData
from huey.exceptions import (
    RETRYING_EXCEPTIONS,
    CancelExecution,
    ConfigurationError,
    HueyException,
    RateLimitExceeded,
    ResultTimeout,
    RetryTask,
    TaskException,
    TaskLockedException,
    TaskTimeout,
)
from huey.guards.lock import TaskLock
from huey.guards.rate import RateLimit
from huey.presets import (
    BlackHoleHuey,
    CySqliteHuey,
    FileHuey,
    MemoryHuey,
    PostgresHuey,
    PriorityRedisExpireHuey,
    PriorityRedisHuey,
    RedisExpireHuey,
    RedisHuey,
    SqliteHuey,
    from_url,
)
from huey.registry import Message, Registry
from huey.results import ChordResult, Result, ResultGroup
from huey.serializer import Serializer
from huey.signals import logger
from huey.storage.base import BaseStorage
from huey.tasks.crontab import crontab
from huey.tasks.task import PeriodicTask, Task
from huey.tasks.task import signature as _signature
from huey.tasks.workflow import chord, group
from huey.tasks.wrapper import TaskWrapper
from huey.timing import normalize_expire_time, normalize_time, utcnow
from huey.utils import SKIPPED, ChordConfig, Error, noop_context

if TYPE_CHECKING:
    from huey.consumer.consumer import Consumer

__all__ = [
    # the application
    "Huey",
    "RedisHuey",
    "PriorityRedisHuey",
    "RedisExpireHuey",
    "PriorityRedisExpireHuey",
    "SqliteHuey",
    "CySqliteHuey",
    "PostgresHuey",
    "FileHuey",
    "MemoryHuey",
    "BlackHoleHuey",
    "from_url",
    # tasks
    "Task",
    "PeriodicTask",
    "TaskWrapper",
    "group",
    "chord",
    "crontab",
    "Message",
    "Registry",
    "ChordConfig",
    "_signature",
    # results
    "Result",
    "ResultGroup",
    "ChordResult",
    "Error",
    "SKIPPED",
    "EmptyData",
    # guards
    "TaskLock",
    "RateLimit",
    # exceptions
    "HueyException",
    "ConfigurationError",
    "CancelExecution",
    "RetryTask",
    "TaskException",
    "TaskLockedException",
    "TaskTimeout",
    "RateLimitExceeded",
    "ResultTimeout",
    "RETRYING_EXCEPTIONS",
    # the rest
    "BaseStorage",
    "Consumer",
    "Serializer",
    "S",
    "logger",
    "noop_context",
    "normalize_expire_time",
    "normalize_time",
    "utcnow",
]


def __getattr__(name: str) -> Any:
    if name == "Consumer":
        return import_module("huey.consumer.consumer").Consumer
    if name.endswith("Storage"):
        # With its driver, and so only when somebody asks for it.
        return getattr(storage, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
