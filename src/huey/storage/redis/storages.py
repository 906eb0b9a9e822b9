"""The Redis storages: with a list or a sorted set as queue, with one hash or expiring keys."""

from __future__ import annotations

import os
import weakref
from collections import deque
from typing import Any

from huey.storage import drivers
from huey.storage.redis import names
from huey.storage.redis.classic import Classic
from huey.storage.redis.clockwork import Clockwork
from huey.storage.redis.connecting import given, make_pool
from huey.storage.redis.expiring import ExpiringData
from huey.storage.redis.guarding import Guarding
from huey.storage.redis.letters import Letters
from huey.storage.redis.names import Names
from huey.storage.redis.priority import RedisPriorityQueue
from huey.storage.redis.settling import Settling
from huey.storage.redis.waiting import Waiting

#: All storages of this process: a forked child must not use the connections of its parent.
_storages: weakref.WeakSet[RedisStorage] = weakref.WeakSet()


class _ClientClass:
    """The driver's client, loaded when somebody asks for it; a subclass may name another."""

    def __get__(self, instance: object, owner: type) -> Any:
        return drivers.require("redis", extra="redis", purpose="A Redis storage").Redis


class RedisStorage(Classic, Settling, Clockwork, Waiting, Guarding, Letters):
    """Messages in a list, key/value data in a hash.

    Args:
        name: of the queue.
        blocking: whether the classic ``dequeue`` waits for a message.
        read_timeout: for how many seconds it does.
        connection_pool: a pool of the driver, such as a Sentinel's; or
        url: ``redis://``, ``rediss://``, ``valkey://``, ``unix://`` or ``redis+sentinel://``; or
        connection_params: ``host``, ``port``, ``db``, ``password`` and what else the driver's
            connections take.
        client_name: how our connections are listed by the server; with a pool of your own, only
            those that are not of the pool.
        notify_result: also tell the waiters of Huey 3 when a result is stored.
        notify_result_ttl: for how many seconds they can learn of it.
        clean_name: reduce the name to letters, digits and underscores, like Huey 3.
        durable: return from writes that must not be lost when the server's disk has them (needs
            Redis 7.2 or any Valkey, and ``appendonly yes``).

    Raises:
        ConfigurationError: without the driver, or if the connection is over-determined.
    """

    blocking = True
    priority = False
    redis_client: Any = _ClientClass()

    #: Names of the keys; in storages whose data expire, functions from a key to its whole name.
    result_key: Any
    counter_key: Any

    def __init__(
        self,
        name: str = "huey",
        blocking: bool = True,
        read_timeout: float = 1,
        connection_pool: Any = None,
        url: str | None = None,
        client_name: str | None = None,
        notify_result: bool = False,
        notify_result_ttl: int = 60,
        clean_name: bool = True,
        durable: bool = False,
        **connection_params: Any,
    ) -> None:
        super().__init__(names.clean_name(name, clean_name))
        self._given_name, self._cleans_name = name, clean_name
        self.blocking = blocking
        self.read_timeout = read_timeout
        self.notify_result = notify_result
        self.notify_result_ttl = notify_result_ttl
        self.durable = durable
        self.connection_params = given(connection_params)
        self.pool = make_pool(
            url=url,
            connection_pool=connection_pool,
            params=self.connection_params,
            read_timeout=read_timeout,
            client_name=client_name,
        )
        self._owns_pool = connection_pool is None
        self._client_name = client_name
        self.conn = self.redis_client(connection_pool=self.pool)
        self._name_keys()
        self._begin()
        _storages.add(self)

    def _name_keys(self) -> None:
        self._names = Names.of(self.name)
        self.queue_key = self._names.queue
        self.schedule_key = self._names.schedule
        self.result_key = self._names.results
        self.counter_key = self._names.counters
        self.notify_prefix = names.notify_prefix(self.name)

    def _begin(self) -> None:
        """Begin without any connection, as after a fork."""
        self._prepared = {}
        self._seats = {}
        self._idle_waiters = deque()
        self._pulse = None
        self._scan_cursor = b"0"
        self._scanned_all = False
        self._found = deque()
        self._listed = set()
        self._sweep_cursors = (b"0", b"0")

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; what it still holds is released without crash marks."""
        super().sign_off(consumer)
        seat = self._seats.pop(consumer, None)
        if seat is not None:
            seat.alarm.ring()

    def close(self) -> None:
        """Close our connections; a pool that was given is left alone."""
        for seat in list(self._seats.values()):
            seat.alarm.ring()
            seat.line.close()
        while self._idle_waiters:
            self._idle_waiters.pop().close()
        if self._pulse is not None:
            self._pulse.close()
        if self._owns_pool:
            self.pool.disconnect()


class RedisExpireStorage(ExpiringData, RedisStorage):
    """Messages in a list, key/value data in keys of their own; results and counters expire.

    Args:
        name: of the queue.
        expire_time: seconds for which results are kept, and counters since their last use; None:
            for ever.
        args: as for `RedisStorage`, after its name.
        kwargs: likewise.
    """

    def __init__(
        self, name: str = "huey", expire_time: float | None = 86400, *args: Any, **kwargs: Any
    ) -> None:
        self._expire_time = expire_time
        super().__init__(name, *args, **kwargs)

    def _name_keys(self) -> None:
        super()._name_keys()
        self.result_prefix = names.result_prefix(self.name)
        self.counter_prefix = names.counter_prefix(self.name)
        self.result_key = self._field
        self.counter_key = self._counter_field


class PriorityRedisStorage(RedisPriorityQueue, RedisStorage):
    """Messages in a sorted set, key/value data in a hash; arguments as for `RedisStorage`."""


class PriorityRedisExpireStorage(RedisPriorityQueue, RedisExpireStorage):
    """Messages in a sorted set, data in keys that expire; as `RedisExpireStorage`."""


def _begin_in_child() -> None:
    """Leave the connections to the parent: a child that held them open would outlive its death."""
    for storage in list(_storages):
        storage._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
