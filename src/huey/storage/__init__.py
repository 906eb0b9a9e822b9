"""Where bytes wait: this catalogue says where each storage lives, and loads it when asked for.

Drivers load with the storage that needs them. For those who look whether a driver is there, its
historic names (``psycopg``, ``cysqlite``, ``Redis`` …) are looked up on demand, and None if absent.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "BaseStorage": "huey.storage.base",
    "LosslessStorage": "huey.storage.delivery",
    "MemoryStorage": "huey.storage.memory",
    "BlackHoleStorage": "huey.storage.blackhole",
    "RedisStorage": "huey.storage.redis.storages",
    "RedisExpireStorage": "huey.storage.redis.storages",
    "RedisPriorityQueue": "huey.storage.redis.priority",
    "PriorityRedisStorage": "huey.storage.redis.storages",
    "PriorityRedisExpireStorage": "huey.storage.redis.storages",
    "SCHEDULE_POP_LUA": "huey.storage.redis.scripts",
    "BaseSqlStorage": "huey.storage.sql",
    "SqliteStorage": "huey.storage.sql.sqlite",
    "CySqliteStorage": "huey.storage.sql.sqlite",
    "PostgresStorage": "huey.storage.sql.postgres",
    "FileStorage": "huey.storage.file",
    "FileLock": "huey.storage.filelock",
    "EmptyData": "huey.constants",
    "ConfigurationError": "huey.exceptions",
}

#: Names of drivers: the module, and the attribute in it; None is the module itself.
_DRIVERS = {
    "sqlite3": ("sqlite3", None),
    "cysqlite": ("cysqlite", None),
    "psycopg": ("psycopg", None),
    "Redis": ("redis", "Redis"),
    "ConnectionPool": ("redis", "ConnectionPool"),
    "ConnectionError": ("redis.exceptions", "ConnectionError"),
    "TimeoutError": ("redis.exceptions", "TimeoutError"),
}

__all__ = [*_HOMES, *_DRIVERS]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _DRIVERS:
        return _driver(*_DRIVERS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _driver(module: str, attribute: str | None) -> Any:
    try:
        driver = import_module(module)
    except ImportError:
        return None
    return getattr(driver, attribute) if attribute else driver
