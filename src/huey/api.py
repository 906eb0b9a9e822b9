"""The catalogue: every public name of ``huey.api``, and where it lives."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from huey import signals as S
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

#: Names that would load a driver or the consumer: found when they are asked for.
_DEFERRED = {
    "Consumer": "huey.consumer.consumer",
    "BlackHoleStorage": "huey.storage.blackhole",
    "MemoryStorage": "huey.storage.memory",
    "FileStorage": "huey.storage.file",
    "SqliteStorage": "huey.storage.sql.sqlite",
    "CySqliteStorage": "huey.storage.sql.sqlite",
    "PostgresStorage": "huey.storage.sql.postgres",
    "RedisStorage": "huey.storage.redis",
    "RedisExpireStorage": "huey.storage.redis",
    "PriorityRedisStorage": "huey.storage.redis",
    "PriorityRedisExpireStorage": "huey.storage.redis",
}


def __getattr__(name: str) -> Any:
    if name in _DEFERRED:
        return getattr(importlib.import_module(_DEFERRED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
