"""A task queue that loses no task."""

import importlib
from typing import Any

from huey.app.huey import Huey
from huey.exceptions import CancelExecution, RetryTask
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
from huey.tasks.crontab import crontab
from huey.tasks.workflow import chord, group
from huey.utils import SKIPPED, Error

__author__ = "The Huey 4 authors"
__license__ = "MIT"
__version__ = "4.0.0"

__all__ = [
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
    "crontab",
    "group",
    "chord",
    "CancelExecution",
    "RetryTask",
    "Error",
    "SKIPPED",
]

#: Modules that Huey 3.5.4 makes attributes of the package; ours are loaded when asked for.
_SUBMODULES = ("api", "consumer", "storage")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"huey.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
