"""`huey.storage` says where each storage lives, and loads nothing before it is asked."""

import os
import subprocess
import sys

import pytest

import huey.storage
from huey.constants import EmptyData
from huey.exceptions import ConfigurationError

#: As Huey 3.5.4 has them.
STORAGES = [
    "BaseStorage",
    "BlackHoleStorage",
    "MemoryStorage",
    "RedisStorage",
    "RedisExpireStorage",
    "RedisPriorityQueue",
    "PriorityRedisStorage",
    "PriorityRedisExpireStorage",
    "BaseSqlStorage",
    "SqliteStorage",
    "CySqliteStorage",
    "PostgresStorage",
    "FileStorage",
]
DRIVERS = {
    "cysqlite": "cysqlite",
    "psycopg": "psycopg",
    "sqlite3": "sqlite3",
    "Redis": "redis",
    "ConnectionPool": "redis",
    "ConnectionError": "redis.exceptions",
    "TimeoutError": "redis.exceptions",
}


@pytest.mark.parametrize("name", STORAGES)
def test_each_storage_is_found_under_its_historic_name(name: str) -> None:
    assert getattr(huey.storage, name).__name__ == name


def test_other_historic_names_are_found() -> None:
    assert huey.storage.EmptyData is EmptyData
    assert huey.storage.ConfigurationError is ConfigurationError
    assert "redis.call" in huey.storage.SCHEDULE_POP_LUA
    assert callable(huey.storage.FileLock)


@pytest.mark.parametrize("name", DRIVERS)
def test_drivers_are_found_and_none_if_they_are_absent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(huey.storage, name) is not None

    monkeypatch.setitem(sys.modules, DRIVERS[name], None)

    assert getattr(huey.storage, name) is None


def test_unknown_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="NoSuchStorage"):
        _ = huey.storage.NoSuchStorage
    assert set(STORAGES) <= set(dir(huey.storage))


def test_no_driver_is_loaded_with_the_catalogue() -> None:
    script = (
        "import sys, huey.storage.memory, huey.storage.classic, huey.storage.blackhole\n"
        "print({'redis', 'psycopg', 'sqlite3', 'cysqlite', 'gevent'} & set(sys.modules))"
    )

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )

    assert done.stdout.strip() == "set()"
