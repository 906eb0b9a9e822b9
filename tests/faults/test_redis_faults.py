"""Lost replies, restarts and stalls: no message is lost, and none is doubled by us."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from huey.exceptions import StorageError, UnknownOutcome
from huey.storage.delivery import Claim, Outgoing, Settled, Settlement
from huey.storage.redis import waiting as waiting_for_results
from huey.storage.redis import wire
from huey.storage.redis.storages import (
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)
from tests.faults.redis_proxy import Relay
from tests.services import NamedServer, NotOurs, Service

# Version 5.0 of the driver leaves the socket of a connection that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PATIENCE = 30.0

EACH_QUEUE = pytest.mark.parametrize("storage_class", [RedisStorage, PriorityRedisStorage])


@pytest.fixture
def relay(valkey_server: Service, valkey_url: str) -> Iterator[Relay]:
    if isinstance(valkey_server, NamedServer):
        raise NotOurs("the relay connects to a Unix socket")
    with Relay(Path(urlsplit(valkey_url).path)) as relay:
        yield relay


@pytest.fixture
def make(relay: Relay) -> Iterator[Callable[..., Any]]:
    made = []

    def make(storage_class: type[RedisStorage] = RedisStorage, **kwargs: Any) -> RedisStorage:
        made.append(storage_class("faults", url=relay.url, read_timeout=0.05, **kwargs))
        return made[-1]

    yield make
    relay.pass_replies()
    for storage in made:
        storage.close()


@pytest.fixture
def server(valkey_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


def aside(function: Callable[..., Any], *args: Any) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    return future


def payloads(claims: list[Claim]) -> list[bytes]:
    return [claim.data for claim in claims]


def staffed(storage: RedisStorage, *messages: bytes) -> RedisStorage:
    storage.sign_on("c", {"pid": 1})
    storage.enqueue_many([Outgoing(data) for data in messages])
    return storage


class TestALostReply:
    @EACH_QUEUE
    def test_to_an_enqueue_is_told_and_the_message_is_not_sent_again(
        self, relay: Relay, make: Any, storage_class: type[RedisStorage]
    ) -> None:
        storage = make(storage_class)
        relay.lose_reply_to(b"precious")

        with pytest.raises(UnknownOutcome, match="may or may not be in the queue"):
            storage.enqueue(b"precious")

        assert storage.enqueued_items() == [b"precious"]

    @EACH_QUEUE
    def test_to_a_batch_of_any_kind_is_told_too(
        self, relay: Relay, make: Any, storage_class: type[RedisStorage]
    ) -> None:
        storage = make(storage_class)
        relay.lose_reply_to(b"precious")

        with pytest.raises(UnknownOutcome):
            storage.enqueue_many([Outgoing(b"precious", attempt=2), Outgoing(b"b", due=4e9)])

        assert storage.enqueued_items() == [b"precious"]
        assert storage.scheduled_items() == [b"b"]

    def test_is_still_an_error_of_the_driver_for_those_who_catch_that(
        self, relay: Relay, make: Any
    ) -> None:
        storage = make()
        relay.lose_reply_to(b"precious")

        with pytest.raises(redis.ConnectionError):
            storage.enqueue(b"precious")

    @EACH_QUEUE
    def test_to_a_claim_brings_the_same_messages_with_the_next_claim(
        self, relay: Relay, make: Any, storage_class: type[RedisStorage]
    ) -> None:
        storage = staffed(make(storage_class), b"a", b"b", b"c")
        storage.claim("c", 1)
        relay.lose_reply_to(b"EVALSHA")

        with pytest.raises(StorageError):
            storage.claim("c", 1)

        (again,) = storage.claim("c", 5)
        assert (again.data, again.attempt, again.redelivered) == (b"b", 1, False)
        assert payloads(storage.claim("c", 5)) == [b"c"]
        assert storage.settle([Settlement(again)]) == [Settled.DONE]
        assert storage.consumers()[0].claims == 2

    def test_to_a_large_claim_is_made_good_in_portions_as_they_are_asked_for(
        self, relay: Relay, make: Any
    ) -> None:
        storage = staffed(make(), b"a", b"b", b"c", b"d")
        relay.lose_reply_to(b"EVALSHA")
        with pytest.raises(StorageError):
            storage.claim("c", 3)

        assert [payloads(storage.claim("c", 2)) for _ in range(3)] == [
            [b"a", b"b"],
            [b"c"],
            [b"d"],
        ]

    def test_to_a_claim_whose_messages_were_recovered_meanwhile_brings_nothing(
        self, relay: Relay, make: Any
    ) -> None:
        storage = staffed(make(), b"a")
        relay.lose_reply_to(b"EVALSHA")
        with pytest.raises(StorageError):
            storage.claim("c", 1)

        assert make().recover("c") == 1

        assert storage.claim("c", 1) == []
        assert storage.enqueued_items() == [b"a"]

    def test_to_a_blocking_move_leaves_the_message_in_the_inbox_for_the_next_claim(
        self, relay: Relay, make: Any, server: Any
    ) -> None:
        storage = staffed(make())
        relay.watch_for(b"BLMOVE")
        relay.lose_reply_to(b"BLMOVE")
        waiting = aside(storage.claim, "c", 1, PATIENCE)
        assert relay.seen.wait(PATIENCE)

        server.lpush("huey.redis.faults", b"from an old producer")

        with pytest.raises(StorageError):
            waiting.result(PATIENCE)
        assert storage.queue_size() == 0
        assert payloads(storage.claim("c", 1)) == [b"from an old producer"]

    def test_to_a_bell_costs_nothing(self, relay: Relay, make: Any) -> None:
        storage = staffed(make(PriorityRedisStorage))
        relay.watch_for(b"BLPOP")
        relay.lose_reply_to(b"BLPOP")
        waiting = aside(storage.claim, "c", 1, PATIENCE)
        assert relay.seen.wait(PATIENCE)

        make(PriorityRedisStorage).enqueue(b"a")

        with pytest.raises(StorageError):
            waiting.result(PATIENCE)
        assert payloads(storage.claim("c", 1)) == [b"a"]

    @EACH_QUEUE
    def test_to_a_settlement_does_not_write_it_twice(
        self, relay: Relay, make: Any, storage_class: type[RedisStorage]
    ) -> None:
        storage = staffed(make(storage_class), b"a")
        (claim,) = storage.claim("c", 1)
        settlement = Settlement(claim, results=(("r", b"1"),), outgoing=(Outgoing(b"next"),))
        relay.lose_reply_to(b"EVALSHA")

        with pytest.raises(StorageError):
            storage.settle([settlement])

        assert storage.settle([settlement]) == [Settled.LOST]
        assert storage.enqueued_items() == [b"next"]
        assert storage.peek_data("r") == b"1"

    def test_to_a_release_or_a_recovery_changes_nothing_when_repeated(
        self, relay: Relay, make: Any
    ) -> None:
        storage = staffed(make(), b"a", b"b")
        first, _ = storage.claim("c", 2)
        relay.lose_reply_to(b"EVALSHA")
        with pytest.raises(StorageError):
            storage.release([first])
        assert storage.release([first]) == 0
        relay.lose_reply_to(b"EVALSHA")
        with pytest.raises(StorageError):
            storage.recover("c")

        storage.recover("c")

        assert sorted(storage.enqueued_items()) == [b"a", b"b"]
        assert storage.consumers() == []

    def test_to_a_tick_or_a_lock_means_that_it_was_taken(self, relay: Relay, make: Any) -> None:
        storage = make()
        relay.lose_reply_to(b"EVALSHA")
        with pytest.raises(StorageError):
            storage.tick("t", 1.0, Outgoing(b"tick"))
        relay.lose_reply_to(b"EVALSHA")
        with pytest.raises(StorageError):
            storage.lock("l", b"mine")

        assert storage.tick("t", 1.0, Outgoing(b"tick")) is False
        assert storage.lock("l", b"mine") is True
        assert storage.enqueued_items() == [b"tick"]

    def test_to_a_waiter_does_not_hide_the_result(self, relay: Relay, make: Any) -> None:
        waiter = make().result_waiter()
        relay.watch_for(b"BLPOP")
        relay.lose_reply_to(b"BLPOP")
        waiting = aside(waiter.wait, ["r"], PATIENCE)
        assert relay.seen.wait(PATIENCE)

        make().put_data("r", b"1", is_result=True)

        assert waiting.result(PATIENCE) == {"r"}
        waiter.close()


class TestABrokenNetwork:
    def test_does_not_block_for_ever_and_loses_nothing(
        self, relay: Relay, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wire, "PATIENCE", 0.2)
        storage = staffed(make(), b"a")
        relay.hold_replies()

        with pytest.raises(StorageError, match="did not answer in time"):
            storage.claim("c", 1)

        relay.pass_replies()
        assert payloads(storage.claim("c", 1)) == [b"a"]

    def test_is_no_unknown_outcome_if_the_message_was_never_sent(
        self, make: Any, relay: Relay
    ) -> None:
        storage = make()
        relay.__exit__()

        with pytest.raises(StorageError, match="cannot be reached, while connecting") as raised:
            storage.enqueue(b"a")

        assert not isinstance(raised.value, UnknownOutcome)

    def test_is_outlived_by_who_waits_for_a_result(self, make: Any, relay: Relay) -> None:
        storage = make()
        relay.watch_for(b"BLPOP")
        waiting = aside(storage.wait_result, "r", PATIENCE)
        assert relay.seen.wait(PATIENCE)
        relay.cut()

        make().put_data("r", b"1", is_result=True)

        assert waiting.result(PATIENCE) is True

    def test_ends_who_waits_when_it_lasts(
        self, make: Any, relay: Relay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting_for_results, "_OUTAGE", 0.0)
        storage = make()
        relay.watch_for(b"BLPOP")
        waiting = aside(storage.wait_result, "r", None)
        assert relay.seen.wait(PATIENCE)
        relay.__exit__()

        with pytest.raises(StorageError):
            waiting.result(PATIENCE)

    def test_costs_no_error_once_a_connection_that_was_cut_while_idle_is_used_again(
        self, make: Any, relay: Relay
    ) -> None:
        storage = staffed(make(), b"a")
        storage.heartbeat("c")
        storage.claim("c", 1)
        relay.cut()

        storage.enqueue(b"b")
        assert storage.heartbeat("c")
        assert payloads(storage.claim("c", 1)) == [b"b"]


class TestAServer:
    @pytest.fixture
    def storage(self, valkey_url: str) -> Iterator[RedisStorage]:
        storage = RedisStorage("faults", url=valkey_url, read_timeout=0.05)
        yield storage
        storage.close()

    def test_that_restarts_brings_back_messages_claims_and_results(
        self, valkey_server: Service, storage: RedisStorage
    ) -> None:
        staffed(storage, b"a", b"b", b"c")
        first, second = storage.claim("c", 2)
        storage.settle([Settlement(first, results=(("r", b"1"),), outgoing=(Outgoing(b"n"),))])

        valkey_server.restart()

        assert storage.enqueued_items() == [b"c", b"n"]
        assert storage.peek_data("r") == b"1"
        assert storage.settle([Settlement(second)]) == [Settled.DONE]
        assert storage.heartbeat("c")
        assert payloads(storage.claim("c", 5)) == [b"c", b"n"]

    def test_that_is_killed_fails_who_waits_and_serves_the_same_object_later(
        self, valkey_server: Service, storage: RedisStorage
    ) -> None:
        staffed(storage, b"a")
        claims = storage.claim("c", 1)
        valkey_server.kill()
        try:
            for call in (
                lambda: storage.claim("c", 1, 5),
                lambda: storage.settle([Settlement(claims[0])]),
                lambda: storage.heartbeat("c"),
                lambda: storage.enqueue(b"b"),
            ):
                with pytest.raises(StorageError):
                    call()
        finally:
            valkey_server.start()

        assert storage.settle([Settlement(claims[0])]) == [Settled.DONE]
        assert storage.queue_size() == 0

    def test_that_stands_still_for_a_while_is_waited_for(
        self, valkey_server: Service, storage: RedisStorage
    ) -> None:
        staffed(storage)
        valkey_server.pause()
        try:
            pending = [
                aside(storage.enqueue, b"a"),
                aside(storage.heartbeat, "c"),
                aside(storage.claim, "c", 1, PATIENCE),
            ]
            assert not any(future.done() for future in pending)
        finally:
            valkey_server.resume()

        assert pending[1].result(PATIENCE) is True
        assert payloads(pending[2].result(PATIENCE)) == [b"a"]
        assert storage.consumers()[0].claims == 1

    def test_that_forgot_the_scripts_is_given_them_again(
        self, storage: RedisStorage, server: Any
    ) -> None:
        staffed(storage, b"a")
        server.script_flush()
        claims = storage.claim("c", 1)
        server.script_flush()

        assert storage.settle([Settlement(claims[0])]) == [Settled.DONE]

    def test_whose_memory_is_full_refuses_tasks_and_takes_outcomes(
        self, storage: RedisStorage, server: Any
    ) -> None:
        staffed(storage, b"a", b"b", b"c")
        first, second = storage.claim("c", 2)
        server.config_set("maxmemory", "1mb")
        try:
            with pytest.raises(StorageError, match="nothing was written"):
                storage.enqueue(b"more")
            with pytest.raises(StorageError, match="nothing was written"):
                storage.enqueue_many([Outgoing(b"more", attempt=2)])

            outcome = Settlement(first, results=(("r", b"1"),), outgoing=(Outgoing(b"next"),))
            assert storage.settle([outcome]) == [Settled.DONE]
            assert storage.heartbeat("c")
            assert storage.release([second]) == 1
            assert payloads(storage.claim("c", 1)) == [b"b"]
            assert storage.recover("c") == 1
        finally:
            server.config_set("maxmemory", "0")

        assert storage.enqueued_items() == [b"b", b"c", b"next"]
        assert storage.peek_data("r") == b"1"

    def test_that_became_a_replica_is_not_taken_for_a_configuration_error_of_the_message(
        self, storage: RedisStorage, server: Any
    ) -> None:
        staffed(storage, b"a")
        (claim,) = storage.claim("c", 1)
        server.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            with pytest.raises(StorageError, match="READONLY"):
                storage.settle([Settlement(claim)])
            with pytest.raises(StorageError, match="READONLY") as raised:
                storage.enqueue(b"b")
            assert not isinstance(raised.value, UnknownOutcome)
            assert any("replica" in finding for finding in storage.check())
        finally:
            server.execute_command("REPLICAOF", "NO", "ONE")

        assert storage.settle([Settlement(claim)]) == [Settled.DONE]


class TestAnExpiringStorage:
    def test_notices_a_lost_reply_like_the_others(self, relay: Relay, make: Any) -> None:
        storage = staffed(make(RedisExpireStorage), b"a")
        (claim,) = storage.claim("c", 1)
        relay.lose_reply_to(b"EVALSHA")

        with pytest.raises(StorageError):
            storage.settle([Settlement(claim, results=(("r", b"1"),))])

        assert storage.settle([Settlement(claim)]) == [Settled.LOST]
        assert storage.peek_data("r") == b"1"
