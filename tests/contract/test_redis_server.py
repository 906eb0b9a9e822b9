"""Redis servers as they are: logins, rights, settings, clusters."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from huey.exceptions import ConfigurationError, StorageError
from huey.storage.delivery import Move, Outgoing, Reservation, Settlement
from huey.storage.redis.storages import (
    PriorityRedisExpireStorage,
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)
from tests.faults.redis_proxy import Relay
from tests.services import NamedServer, NotOurs, Service, ValkeyServer, find_valkey

# Version 5.0 of the driver leaves the socket of a connection that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PATIENCE = 30.0
Make = Callable[..., Any]


@pytest.fixture
def make(valkey_url: str) -> Iterator[Make]:
    with contextlib.ExitStack() as made:

        def make(storage_class: Any = RedisStorage, name: str = "q", **kwargs: Any) -> Any:
            settings = {"url": valkey_url, "read_timeout": 0.05, **kwargs}
            return made.enter_context(contextlib.closing(storage_class(name, **settings)))

        yield make


@pytest.fixture
def server(valkey_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def own_server(valkey_server: Service, server: Any) -> Any:
    """The same, for tests that change its settings."""
    if isinstance(valkey_server, NamedServer):
        raise NotOurs("the test changes settings of its server")
    return server


def aside(function: Callable[..., Any], *args: Any) -> Future[Any]:
    future: Future[Any] = Future()
    threading.Thread(target=lambda: future.set_result(function(*args)), daemon=True).start()
    return future


class TestAccess:
    def test_connections_have_the_name_that_was_given(self, make: Make, server: Any) -> None:
        storage = make(client_name="payments")
        storage.sign_on("c", {})
        storage.heartbeat("c")

        named = [client for client in server.client_list() if client["name"] == "payments"]
        assert len(named) == 2, "one of the pool, and that of the heartbeat"

    def test_a_wrong_password_is_told_without_telling_it(
        self, valkey_url: str, own_server: Any
    ) -> None:
        own_server.execute_command("ACL", "SETUSER", "worker", "on", ">right", "~*", "+@all")
        try:
            storage = RedisStorage("q", url=f"{valkey_url}&username=worker&password=wrong")
            with pytest.raises(ConfigurationError, match="check username and password") as raised:
                storage.enqueue(b"x")
        finally:
            own_server.execute_command("ACL", "DELUSER", "worker")

        assert "wrong" not in str(raised.value).replace("WRONGPASS", "")

    def test_a_missing_password_is_told(self, make: Make, own_server: Any) -> None:
        storage = make()
        own_server.config_set("requirepass", "secret")
        try:
            with pytest.raises(ConfigurationError, match="login"):
                storage.sign_on("c", {})
            with pytest.raises(ConfigurationError, match="login"):
                storage.claim("c", 1)
        finally:
            own_server.execute_command("AUTH", "secret")
            own_server.config_set("requirepass", "")

    def test_a_missing_database_is_told(self, valkey_url: str) -> None:
        storage = RedisStorage("q", url=valkey_url.replace("db=0", "db=999"))

        with pytest.raises(ConfigurationError, match="choose a lower db"):
            storage.enqueue(b"x")

    @pytest.mark.parametrize(
        ("rights", "advice"),
        [
            (["~*", "+@all", "-@scripting"], "scripting"),
            (["~else*", "+@all"], r"huey\.\*"),
            (["~*", "+@all", "-lpush"], "LPUSH|lpush|\\+@write"),
        ],
    )
    def test_missing_rights_are_told(
        self, valkey_url: str, own_server: Any, rights: list[str], advice: str
    ) -> None:
        own_server.execute_command("ACL", "SETUSER", "worker", "on", "nopass", *rights)
        try:
            storage = RedisStorage("q", url=f"{valkey_url}&username=worker&password=x")
            with pytest.raises(ConfigurationError, match=advice):
                _use(storage)
            storage.close()
        finally:
            own_server.execute_command("ACL", "DELUSER", "worker")

    def test_few_rights_are_enough(self, valkey_url: str, own_server: Any) -> None:
        rights = ["~huey.*", "~q.*", "+@read", "+@write", "+@scripting", "+@blocking"]
        rights += ["+@connection", "+time", "+multi", "+exec"]
        own_server.execute_command("ACL", "SETUSER", "worker", "on", "nopass", *rights)
        try:
            storage = RedisStorage("q", url=f"{valkey_url}&username=worker&password=x")
            storage.sign_on("c", {})
            storage.enqueue(b"a")
            (claim,) = storage.claim("c", 1)
            storage.settle([Settlement(claim, results=(("r", b"1"),))])
            assert storage.lock("l", b"1", ttl=60, holder="c")
            assert storage.semaphore_acquire("q.lock.s", "m", 1, 60)
            assert storage.heartbeat("c")
            assert storage.pop_data("r") == b"1"
            assert storage.check() == []
            storage.close()
        finally:
            own_server.execute_command("ACL", "DELUSER", "worker")

    def test_encryption_that_the_server_does_not_have_is_told(self, valkey_url: str) -> None:
        with Relay(Path(urlsplit(valkey_url).path), tcp=True) as relay:
            url = relay.url.replace("redis:", "rediss:")
            storage = RedisStorage("q", url=f"{url}?socket_timeout=0.2")

            with pytest.raises(StorageError, match=r"\(over TLS\) did not answer"):
                storage.enqueue(b"x")

    def test_encryption_that_the_server_wants_is_told(self) -> None:
        alert = b"\x15\x03\x03\x00\x02\x02\x46"  # what a TLS server answers to plain text
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def answer() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(alert)

            threading.Thread(target=answer, daemon=True).start()
            storage = RedisStorage("q", host="127.0.0.1", port=listener.getsockname()[1], db=1)

            with pytest.raises(StorageError, match="rediss://"):
                storage.enqueue(b"x")


class TestFitness:
    def test_a_good_server_has_no_findings(self, make: Make) -> None:
        assert make().check() == []

    def test_an_evicting_server_is_found(self, make: Make, own_server: Any) -> None:
        own_server.config_set("maxmemory", "1gb")
        own_server.config_set("maxmemory-policy", "allkeys-lru")
        try:
            (finding,) = make().check()
        finally:
            own_server.config_set("maxmemory-policy", "noeviction")
            own_server.config_set("maxmemory", "0")

        assert "noeviction" in finding

    def test_a_server_that_keeps_nothing_is_found_and_cannot_be_durable(
        self, make: Make, own_server: Any
    ) -> None:
        own_server.config_set("appendonly", "no")
        try:
            (finding,) = make().check()
            durable = make(durable=True)
            with pytest.raises(ConfigurationError, match="appendonly yes"):
                durable.enqueue(b"x")
            with pytest.raises(ConfigurationError, match="appendonly yes"):
                durable.enqueue_many([Outgoing(b"x", due=1.0)])
            assert (durable.queue_size(), durable.schedule_size()) == (0, 0)
        finally:
            own_server.config_set("appendonly", "yes")

        assert "appendonly yes" in finding

    def test_a_name_that_others_may_share_is_found(self, make: Make) -> None:
        (finding,) = make(name="app-v1").check()

        assert '"app-v1" is called "appv1"' in finding
        assert make(name="app-v1", clean_name=False).check() == []

    @pytest.mark.parametrize(
        ("wrote", "reads"),
        [(RedisStorage, PriorityRedisStorage), (PriorityRedisExpireStorage, RedisExpireStorage)],
    )
    def test_a_queue_of_another_kind_is_refused_and_the_right_class_named(
        self, make: Make, wrote: Any, reads: Any
    ) -> None:
        make(wrote).enqueue(b"x")
        storage = make(reads)
        advice = wrote.__name__.replace("Storage", "Huey")

        with pytest.raises(ConfigurationError, match=advice):
            storage.sign_on("c", {})
        with pytest.raises(ConfigurationError, match=advice):
            storage.enqueue_many([Outgoing(b"y", attempt=2)])

        assert make(wrote).enqueued_items() == [b"x"]

    def test_durable_writes_work_where_the_server_syncs(self, make: Make, own_server: Any) -> None:
        try:
            own_server.execute_command("WAITAOF", 0, 0, 1)
        except redis.ResponseError:
            pytest.skip("this server is too old for WAITAOF")
        own_server.config_set("appendfsync", "always")
        try:
            storage = make(durable=True)
            storage.sign_on("c", {})
            storage.enqueue(b"a")
            assert storage.enqueue_many([Outgoing(b"b", attempt=2)]) == [None]
            first, second = storage.claim("c", 2)
            storage.settle([Settlement(first, results=(("r", b"1"),)), Settlement(second)])
        finally:
            own_server.config_set("appendfsync", "everysec")

        assert storage.peek_data("r") == b"1"


class TestACluster:
    class Server(ValkeyServer):
        def command(self) -> list[str]:
            port = 65535
            # Without a port there is no cluster, and its bus has one that is 10000 higher.
            while port > 55535:
                with socket.create_server(("127.0.0.1", 0)) as free:
                    port = free.getsockname()[1]
            network = ["--port", str(port), "--bind", "127.0.0.1"]
            return [*super().command(), "--cluster-enabled", "yes", *network]

    @pytest.fixture(scope="class")
    @classmethod
    def cluster_url(cls, valkey_server: Service) -> Iterator[str]:
        with cls.Server(find_valkey()[0]) as cluster:
            with redis.Redis.from_url(cluster.url) as client:
                client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
                while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                    pass
            yield cluster.url

    def test_refuses_a_queue_whose_keys_it_would_spread(self, cluster_url: str) -> None:
        storage = RedisStorage("q", url=cluster_url)

        with pytest.raises(ConfigurationError, match=r'RedisHuey\("\{q\}", clean_name=False\)'):
            storage.sign_on("c", {})
        with pytest.raises(ConfigurationError, match="braces"):
            storage.enqueue_many([Outgoing(b"a", due=1.0)])

    @pytest.mark.parametrize("storage_class", [RedisStorage, PriorityRedisExpireStorage])
    def test_works_with_a_name_in_braces(self, cluster_url: str, storage_class: Any) -> None:
        storage = storage_class("{q}", url=cluster_url, clean_name=False, notify_result=True)
        storage.flush_all()
        storage.sign_on("c", {})
        wish = Reservation("u", "id", ttl=60, revoke_with=b"flag")
        storage.enqueue_many([Outgoing(b"a", reservation=wish), Outgoing(b"b", due=1.0)])
        storage.promote([Move(item) for item in storage.due().messages])
        (first, second) = storage.claim("c", 5)
        waiter = storage.result_waiter()
        waiting = aside(waiter.wait, ["r"], PATIENCE)
        storage.settle([Settlement(first, results=(("r", b"1"),), delete_if=(("u", b"id"),))])

        assert waiting.result(PATIENCE) == {"r"}
        assert storage.lock("l", b"1", holder="c", ttl=60)
        assert storage.semaphore_acquire("{q}.lock.s", "m", 1, 60, holder="c")
        assert storage.recover("c") == 1
        assert storage.lock("l", b"2")
        assert storage.semaphore_acquire("{q}.lock.s", "n", 1, 60)
        assert storage.enqueued_items() == [second.data]
        storage.flush_all()
        waiter.close()
        storage.close()


def _use(storage: RedisStorage) -> None:
    storage.check()
    storage.enqueue(b"x")
