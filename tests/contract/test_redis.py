"""The contract of storages, by the four Redis storages, on a real server."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from huey.storage.redis.storages import (
    PriorityRedisExpireStorage,
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)
from huey.testing.storage_contract import (
    ClassicContract,
    GuardContract,
    LetterContract,
    MakeStorage,
    ProducerContract,
    StorageContract,
)


class RedisContract(StorageContract):
    """What the four have in common."""

    storage_class: type[RedisStorage]
    #: Beyond what makes dequeuing from an empty queue quick.
    settings: dict[str, Any] = {}  # noqa: RUF012 - read only

    @pytest.fixture
    def make_storage(self, valkey_url: str) -> Iterator[MakeStorage]:
        with contextlib.ExitStack() as made:

            def make(name: str = "huey", **kwargs: Any) -> RedisStorage:
                settings = {"read_timeout": 0.05, **self.settings, **kwargs}
                storage = self.storage_class(name, url=valkey_url, **settings)
                return made.enter_context(contextlib.closing(storage))

            yield make


class TestRedisStorage(RedisContract):
    storage_class = RedisStorage
    supports_priority = False
    gives_back_in_place = False


class TestRedisStorageWithAPoolOfTheApplication(TestRedisStorage):
    """It speaks protocol 3, as the driver does by itself since version 8, and is left open."""

    machine_runs = 5

    @pytest.fixture
    def make_storage(self, valkey_url: str) -> Iterator[MakeStorage]:
        pool = redis.ConnectionPool.from_url(valkey_url, protocol=3)
        with contextlib.ExitStack() as made:

            def make(name: str = "huey", **kwargs: Any) -> RedisStorage:
                storage = RedisStorage(name, connection_pool=pool, read_timeout=0.05, **kwargs)
                return made.enter_context(contextlib.closing(storage))

            yield make
        pool.disconnect()


class TestRedisExpireStorage(RedisContract):
    storage_class = RedisExpireStorage
    supports_priority = False
    gives_back_in_place = False
    reads_results_once = False


class TestPriorityRedisStorage(RedisContract):
    storage_class = PriorityRedisStorage


class TestPriorityRedisExpireStorage(RedisContract):
    storage_class = PriorityRedisExpireStorage
    reads_results_once = False
    settings = {"notify_result": True}  # noqa: RUF012 - read only


class TestRedisStorageOnAServerWhoseFieldsCannotExpire(
    ClassicContract, ProducerContract, GuardContract, LetterContract
):
    """Redis before 7.4 and Valkey before 9; all that has to do with a time to live."""

    supports_priority = False

    @pytest.fixture
    def make_storage(self, valkey_url: str) -> Iterator[MakeStorage]:
        with contextlib.ExitStack() as made:

            def make(name: str = "huey", **kwargs: Any) -> RedisStorage:
                storage = RedisStorage(name, url=valkey_url, read_timeout=0.05, **kwargs)
                storage.supports_hash_ttl = False
                return made.enter_context(contextlib.closing(storage))

            yield make
