"""Redis storages by their keys and commands: how few they send, and company of Huey 3."""

import contextlib
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from huey import keys
from huey.constants import EmptyData
from huey.exceptions import StorageError
from huey.storage.delivery import (
    ChordStep,
    Claim,
    Move,
    Outgoing,
    Reservation,
    Settled,
    Settlement,
)
from huey.storage.redis import priority
from huey.storage.redis.storages import (
    PriorityRedisExpireStorage,
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)
from tests.faults.redis_proxy import Relay
from tests.services import NamedServer, NotOurs, Service

# Version 5.0 of the driver leaves the socket of a connection that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PATIENCE = 30.0
THEN = 1_000_000_000.0
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
    """The same, for tests that count what happens on it."""
    if isinstance(valkey_server, NamedServer):
        raise NotOurs("the test counts the commands of its server")
    return server


def aside(function: Callable[..., Any], *args: Any) -> Future[Any]:
    future: Future[Any] = Future()
    threading.Thread(target=lambda: future.set_result(function(*args)), daemon=True).start()
    return future


def payloads(claims: list[Claim]) -> list[bytes]:
    return [claim.data for claim in claims]


def commands_sent(server: Any, during: Callable[[], Any]) -> dict[str, int]:
    """Count the commands that came over the network meanwhile, by name."""
    server.config_resetstat()
    during()
    stats = server.info("commandstats")
    # Only those that no script sends.
    names = ("evalsha", "eval", "blmove", "blpop", "lpush", "multi")
    calls = {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}
    return {name: count for name, count in calls.items() if count}


class TestEconomy:
    @pytest.mark.parametrize("storage_class", [RedisStorage, PriorityRedisStorage])
    def test_an_enqueue_is_one_command(
        self, make: Make, own_server: Any, storage_class: Any
    ) -> None:
        storage = make(storage_class)
        storage.enqueue(b"first, for the script")

        def enqueue() -> None:
            storage.enqueue(b"x")
            storage.enqueue_many([Outgoing(b"y")] * 100)

        sent = commands_sent(own_server, enqueue)
        expected = "lpush" if storage_class is RedisStorage else "evalsha"
        assert sent[expected] == 2
        assert storage.queue_size() == 102

    @pytest.mark.parametrize(
        ("storage_class", "wait"), [(RedisStorage, "blmove"), (PriorityRedisStorage, "blpop")]
    )
    def test_an_idle_claim_is_two_commands(
        self, make: Make, own_server: Any, storage_class: Any, wait: str
    ) -> None:
        storage = make(storage_class)
        storage.sign_on("c", {})
        storage.claim("c", 1)

        sent = commands_sent(own_server, lambda: storage.claim("c", 1, block=0.1))

        assert sent == {"evalsha": 1, wait: 1}

    def test_a_busy_consumer_sends_two_commands_for_a_batch(
        self, make: Make, own_server: Any
    ) -> None:
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(b"%d" % number) for number in range(400)])

        def work() -> None:
            claims = storage.claim("c", 200)
            storage.settle([Settlement(claim, results=(("r", b"1"),)) for claim in claims])

        work()
        assert commands_sent(own_server, work) == {"evalsha": 2}
        assert storage.queue_size() == 0

    def test_large_messages_are_claimed_in_portions(self, make: Make) -> None:
        storage = make()
        storage.sign_on("c", {})
        storage.enqueue_many([Outgoing(bytes([number]) * 200_000) for number in range(60)])

        first = storage.claim("c", 60)
        second = storage.claim("c", 60)

        assert 0 < len(first) < 60
        assert [claim.data[0] for claim in first + second] == list(range(60))

    def test_one_waiter_waits_for_a_thousand_results_over_one_connection(
        self, make: Make, own_server: Any
    ) -> None:
        storage, other = make(client_name="waiting"), make()
        waiter = storage.result_waiter()
        wanted = {f"r{number}" for number in range(1000)}
        got: set[str] = set()
        others = len(own_server.client_list())

        def wait_for_all() -> None:
            while len(got) < 1000:
                got.update(waiter.wait(wanted - got, PATIENCE))

        waiting = aside(wait_for_all)
        for start in range(0, 1000, 100):
            results = [Settlement(results=((f"r{n}", b"1"),)) for n in range(start, start + 100)]
            other.settle(results)
        waiting.result(PATIENCE)

        assert got == wanted
        assert len(own_server.client_list()) <= others + 3
        assert own_server.hlen("huey.waits.q") == 0
        waiter.close()


class TestBatches:
    @pytest.mark.parametrize("storage_class", [RedisStorage, PriorityRedisExpireStorage])
    def test_settlements_of_all_kinds_and_holders_do_not_get_into_each_others_way(
        self, make: Make, server: Any, storage_class: Any
    ) -> None:
        storage = make(storage_class, notify_result=True)
        for holder in ("c", "d"):
            storage.sign_on(holder, {})
        storage.enqueue_many([Outgoing(b"%d" % number) for number in range(8)])
        held = [storage.claim("cd"[number % 2], 1)[0] for number in range(8)]
        storage.release([held[2], held[5]])
        storage.flush_queue()

        def settlement(number: int, **more: Any) -> Settlement:
            return Settlement(held[number], results=((f"r{number}", b"%d" % number),), **more)

        wish = Reservation("u", "id", ttl=60)
        step = ChordStep("ch", 0, 1, b"v")
        outcomes = storage.settle(
            [
                settlement(0),
                Settlement(results=(("by hand", b"1"),), outgoing=(Outgoing(b"x"),)),
                settlement(1, outgoing=(Outgoing(b"y", reservation=wish),), delete=("nothing",)),
                settlement(2),
                Settlement(held[3]),
                settlement(4, chord=step, delete_counters=("n",), delete_if=(("u", b"id"),)),
                settlement(5, outgoing=(Outgoing(b"z", reservation=wish),)),
                settlement(6, chord=None, delete_if=(("u", b"other"),)),
                settlement(7),
            ]
        )

        done, lost, chord = Settled.DONE, Settled.LOST, Settled.CHORD_COMPLETE
        assert outcomes == [done, done, done, lost, done, chord, lost, done, done]
        results = {f"r{number}": b"%d" % number for number in (0, 1, 6, 7)}
        wanted = {**results, "by hand": b"1", "u": b"id", keys.chord_partial("ch", 0): b"v"}
        assert storage.result_items() == wanted
        assert storage.enqueued_items() == [b"x", b"y"]
        told = {key.decode() for key in server.keys("huey.notify.q.*")}
        assert told == {f"huey.notify.q.{key}" for key in [*results, "by hand"]}
        assert {record.id: record.claims for record in storage.consumers()} == {"c": 1, "d": 0}


class TestCompany:
    """Huey 3 works on the same keys."""

    def test_its_messages_wake_an_idle_claim(
        self, make: Make, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = make()
        storage.sign_on("c", {})
        waiting = aside(storage.claim, "c", 1, PATIENCE)

        server.lpush("huey.redis.q", b"old")

        assert payloads(waiting.result(PATIENCE)) == [b"old"]

    def test_its_messages_with_priorities_are_seen_without_a_bell(
        self, make: Make, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(priority, "_LOOK", 0.05)
        storage = make(PriorityRedisStorage)
        storage.sign_on("c", {})
        waiting = aside(storage.claim, "c", 2, PATIENCE)

        server.zadd("huey.redis.q", {struct.pack(">Q", 1) + b"old": -3})

        assert payloads(waiting.result(PATIENCE)) == [b"old"]

    def test_it_pops_what_we_enqueue(self, make: Make, server: Any) -> None:
        make().enqueue(b"new")
        assert server.brpop("huey.redis.q", timeout=1)[1] == b"new"

        make(PriorityRedisStorage).enqueue_many([Outgoing(b"low"), Outgoing(b"high", priority=2)])
        assert server.bzpopmin("huey.redis.q", timeout=1)[1][8:] == b"high"

    def test_its_scheduled_messages_are_shown_for_verification_once(
        self, make: Make, server: Any
    ) -> None:
        storage = make()
        server.zadd("huey.schedule.q", {b"old": THEN + 18_000.25, b"older": THEN})
        storage.enqueue_many([Outgoing(b"new", due=THEN)])

        foreign = storage.unverified()

        assert sorted((item.data, item.due) for item in foreign) == [
            (b"old", THEN + 18_000.25),
            (b"older", THEN),
        ]
        assert storage.unverified() == []
        assert storage.promote([Move(item, due=THEN + 5) for item in foreign]) == 2
        assert make().unverified() == []
        assert {item.due for item in storage.due(now=THEN + 5).messages} == {THEN, THEN + 5}

    def test_a_long_schedule_is_verified_in_portions(self, make: Make, server: Any) -> None:
        storage = make()
        server.zadd("huey.schedule.q", {b"%d" % number: THEN + number for number in range(1200)})

        seen = set()
        while portion := storage.unverified(limit=100):
            assert len(portion) <= 100
            seen |= {item.data for item in portion}

        assert len(seen) == 1200

    def test_bytes_that_are_scheduled_twice_are_delivered_twice(
        self, make: Make, server: Any
    ) -> None:
        storage = make()
        storage.enqueue_many([Outgoing(b"same", due=THEN), Outgoing(b"same", due=THEN + 1)])

        assert storage.schedule_size() == 2
        assert storage.scheduled_items() == [b"same", b"same"]
        assert server.zrange("huey.schedule.q", 0, -1) == [b"same"]
        due = storage.due(now=THEN + 1)
        assert [item.due for item in due.messages] == [THEN, THEN + 1]
        assert storage.promote([Move(item) for item in due.messages]) == 2
        assert storage.promote([Move(item) for item in due.messages]) == 0
        assert storage.enqueued_items() == [b"same", b"same"]

    def test_its_waiters_are_told_as_they_expect(self, make: Make, server: Any) -> None:
        storage = make(notify_result=True, notify_result_ttl=30)

        storage.settle([Settlement(results=(("a", b"1"),))])
        storage.put_data("b", b"2", is_result=True)

        for key in ("huey.notify.q.a", "huey.notify.q.b"):
            assert server.lrange(key, 0, -1) == [b"1"]
            assert 0 < server.ttl(key) <= 30

    def test_its_results_end_our_waiting_with_and_without_its_notice(
        self, make: Make, server: Any
    ) -> None:
        storage = make()
        waiting = aside(storage.wait_result, "silent", PATIENCE)
        server.hset("huey.results.q", "silent", b"1")
        assert waiting.result(PATIENCE) is True

        told = make(notify_result=True)
        waiting = aside(told.wait_result, "popped already", PATIENCE)
        server.lpush("huey.notify.q.popped already", b"1")
        assert waiting.result(PATIENCE) is True
        assert server.exists("huey.notify.q.popped already") == 0

    def test_its_locks_hold_for_us_and_ours_for_it(self, make: Make, server: Any) -> None:
        storage = make()
        server.hset("huey.results.q", "q.lock.its", b"1")

        assert storage.lock("q.lock.its", b"us") is False
        assert storage.lock("q.lock.ours", b"us") is True
        assert server.hsetnx("huey.results.q", "q.lock.ours", b"1") == 0

        server.hdel("huey.results.q", "q.lock.ours")
        server.hset("huey.results.q", "q.lock.ours", b"its again")
        assert storage.unlock("q.lock.ours", b"us") is False

    def test_its_places_of_a_semaphore_count(self, make: Make, server: Any) -> None:
        storage = make()
        seconds, _ = server.time()
        server.zadd("q.lock.s", {"its": seconds, "its, long ago": seconds - 1000})

        assert storage.semaphore_acquire("q.lock.s", "ours", 2, 300) is True
        assert storage.semaphore_acquire("q.lock.s", "one too many", 2, 300) is False
        assert {member for member, _ in server.zrange("q.lock.s", 0, -1, withscores=True)} == {
            b"its",
            b"ours",
        }

    def test_a_place_ends_when_it_was_promised_to_whatever_others_believe(self, make: Make) -> None:
        storage = make()
        storage.semaphore_acquire("s", "long", 1, 600)

        assert storage.semaphore_acquire("s", "short", 1, 0.001) is False
        assert storage.semaphore_renew("s", "long", 600) is True


class TestExpiry:
    def test_results_and_counters_expire_and_other_data_stay(self, make: Make, server: Any) -> None:
        storage = make(RedisExpireStorage, expire_time=100)

        storage.settle([Settlement(results=(("settled", b"1"),))])
        storage.put_data("put", b"1", is_result=True)
        storage.put_data("plain", b"1")
        storage.incr("n")

        assert 90 < server.ttl("huey.r.q.settled") <= 100
        assert 90 < server.ttl("huey.r.q.put") <= 100
        assert server.ttl("huey.r.q.plain") == -1
        assert 90 < server.ttl("huey.c.q.n") <= 100
        assert storage.pop_data("put") == storage.pop_data("put") == b"1"
        assert storage.delete_data("put") == 1
        assert storage.peek_data("put") is EmptyData

    def test_a_rate_outlives_the_results(self, make: Make, server: Any) -> None:
        storage = make(RedisExpireStorage, expire_time=1)

        storage.rate_hit("r", 1e6 * 86400, 5)

        assert server.ttl("huey.c.q.r") > 1

    @pytest.mark.parametrize("has_field_ttl", [True, False])
    def test_a_value_with_a_ttl_ends_on_any_server(
        self, make: Make, server: Any, has_field_ttl: bool
    ) -> None:
        storage = make()
        if has_field_ttl and not storage.supports_hash_ttl:
            pytest.skip("the fields of this server cannot expire")
        storage.supports_hash_ttl = has_field_ttl

        assert storage.put_if_empty("k", b"1", ttl=50)

        if has_field_ttl:
            (ttl,) = server.execute_command("HTTL", "huey.results.q", "FIELDS", 1, "k")
            assert 40 < ttl <= 50
        else:
            server.zadd("huey.expiry.q", dict.fromkeys(server.zrange("huey.expiry.q", 0, -1), 1))
            assert storage.peek_data("k") is EmptyData
            assert storage.result_store_size() == 0

    def test_a_revocation_by_replacement_is_found_under_its_key(
        self, make: Make, server: Any
    ) -> None:
        storage = make(RedisExpireStorage)
        for task_id in ("one", "two"):
            wish = Reservation("u", task_id, revoke_with=b"flag")
            storage.enqueue_many([Outgoing(b"m", reservation=wish)])

        assert storage.peek_data(keys.revoked_id("one")) == b"flag"


class TestTidiness:
    @pytest.mark.parametrize("storage_class", [RedisStorage, PriorityRedisExpireStorage])
    def test_nothing_is_left_of_a_queue_that_was_flushed(
        self, make: Make, server: Any, storage_class: Any
    ) -> None:
        storage = make(storage_class)
        storage.sign_on("c", {})
        wish = Reservation("u", "id", ttl=60)
        storage.enqueue_many(
            [Outgoing(b"a", reservation=wish), Outgoing(b"b", due=1.0), Outgoing(b"b", due=1.0)]
        )
        storage.claim("c", 1)
        storage.lock("l", b"1", holder="c")
        storage.semaphore_acquire("q.lock.s", "m", 1, 60, holder="c")
        storage.rate_hit("r", 60, 5)
        storage.tick("t", 1.0, Outgoing(b"t"))
        storage.recover("c")
        storage.wait_result("nothing", 0.01)

        storage.flush_all()

        assert set(server.keys()) <= {b"huey.sequence.q", b"huey.gone.q", b"huey.bell.q"}

    def test_a_waiter_that_died_is_swept(self, make: Make, server: Any) -> None:
        storage = make()
        server.hset("huey.waits.q", "r", b"huey.wait.q.dead 1000\nhuey.wait.q.alive 9000000000\n")
        server.hset("huey.waits.q", "s", b"huey.wait.q.dead 1000\n")

        assert storage.sweep(max_dead=9, max_dead_age=9, max_mark_age=9) == 1

        assert server.hgetall("huey.waits.q") == {b"r": b"huey.wait.q.alive 9000000000\n"}

    def test_an_unreachable_server_does_not_keep_a_waiter_from_closing(
        self, valkey_url: str
    ) -> None:
        with Relay(Path(urlsplit(valkey_url).path)) as relay:
            waiter = RedisStorage("q", url=relay.url).result_waiter()
            waiter.wait(["r"], 0.01)
        with pytest.raises(StorageError):
            waiter.wait(["s"], 0.01)

        waiter.close()
