"""Consumers that stop, return, fork or die half way: what they held is not lost."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from huey.constants import EmptyData
from huey.storage.delivery import Claim, Outgoing, Settled, Settlement
from huey.storage.redis.storages import RedisStorage


@pytest.fixture
def storage(valkey_url: str) -> Iterator[RedisStorage]:
    storage = RedisStorage("faults", url=valkey_url, read_timeout=0.05)
    yield storage
    storage.close()


@pytest.fixture
def server(valkey_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


def payloads(claims: list[Claim]) -> list[bytes]:
    return [claim.data for claim in claims]


def staffed(storage: RedisStorage, *messages: bytes) -> RedisStorage:
    storage.sign_on("c", {"pid": 1})
    storage.enqueue_many([Outgoing(data) for data in messages])
    return storage


class TestAStoppedConsumer:
    def test_whose_late_move_comes_after_its_end_is_no_grave(
        self, storage: RedisStorage, server: Any
    ) -> None:
        staffed(storage, b"a")
        storage.recover("c")
        storage.sign_on("d", {})
        server.lmove("huey.redis.faults", "huey.inbox.faults.c", "RIGHT", "LEFT")
        assert storage.claim("d", 1) == []

        assert storage.heartbeat("d")

        assert payloads(storage.claim("d", 1)) == [b"a"]

    def test_that_claims_after_its_end_gives_back_what_a_late_move_brought(
        self, storage: RedisStorage, server: Any
    ) -> None:
        staffed(storage, b"a")
        storage.recover("c")
        server.lmove("huey.redis.faults", "huey.inbox.faults.c", "RIGHT", "LEFT")

        assert storage.claim("c", 1) == []

        assert storage.enqueued_items() == [b"a"]

    def test_that_lives_but_does_not_claim_does_not_keep_what_a_late_move_brought(
        self, storage: RedisStorage, server: Any
    ) -> None:
        staffed(storage, b"a")
        server.lmove("huey.redis.faults", "huey.inbox.faults.c", "RIGHT", "LEFT")

        storage.heartbeat("c")

        assert storage.enqueued_items() == [b"a"]

    def test_whose_claim_arrives_late_changes_nothing_that_the_next_one_does_not_mend(
        self, storage: RedisStorage
    ) -> None:
        staffed(storage, b"a", b"b", b"c")
        seat = storage._seat("c")
        late = ("c", seat.nonce, 2, 1, 1)
        storage.claim("c", 1)
        storage.claim("c", 1)

        # The second call once more, after the third: it was held up on the way.
        storage.claim("c", 1)
        assert storage._run("claim", late, consumer="c")[2] == []

        assert storage.consumers()[0].claims == 3

    def test_whose_idle_claim_arrives_late_does_not_lose_what_it_takes(
        self, storage: RedisStorage
    ) -> None:
        staffed(storage)
        seat = storage._seat("c")
        assert storage.claim("c", 1) == []
        assert storage.claim("c", 1) == []
        storage.enqueue(b"a")

        storage._run("claim", ("c", seat.nonce, 1, 0, 1), consumer="c")

        assert payloads(storage.claim("c", 1)) == [b"a"]

    def test_whose_watcher_dies_during_the_recovery_is_recovered_by_the_next(
        self, storage: RedisStorage
    ) -> None:
        staffed(storage, b"a")
        storage.claim("c", 1)
        storage._run("declare_dead", ("c", ""), consumer="c")

        (record,) = storage.consumers()
        assert storage.recover("c", beat=record.beat, cause="signal 9") == 1

        assert storage.consumers() == []
        storage.sign_on("d", {})
        (claim,) = storage.claim("d", 1)
        assert (claim.crashes_alone, claim.cause) == (1, "signal 9")

    def test_that_takes_a_lock_after_its_end_does_not_keep_it(self, storage: RedisStorage) -> None:
        storage.lock("l", b"1", holder="nobody any more")

        storage.sweep(max_dead=9, max_dead_age=9, max_mark_age=9)

        assert storage.peek_data("l") is EmptyData


# Other threads of this process belong to the tests, and hold no lock that the child needs.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestAFork:
    def test_gives_the_child_connections_of_its_own(self, valkey_url: str, server: Any) -> None:
        storage = RedisStorage("faults", url=valkey_url)
        staffed(storage, b"a", b"b")
        storage.heartbeat("c")
        (mine,) = storage.claim("c", 1)
        reader, writer = os.pipe()

        child = os.fork()
        if child == 0:
            status = 1
            try:
                storage.sign_on("child", {})
                claims = storage.claim("child", 1)
                storage.heartbeat("child")
                os.write(writer, claims[0].data)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0

        assert os.read(reader, 10) == b"b"
        assert storage.settle([Settlement(mine)]) == [Settled.DONE]
        assert storage.heartbeat("c")
        assert {record.id: record.claims for record in storage.consumers()} == {"c": 0, "child": 1}
        os.close(reader)
        os.close(writer)
        storage.close()

    def test_does_not_keep_a_dead_parents_waiting_alive_in_the_child(
        self, valkey_url: str, server: Any
    ) -> None:
        storage = RedisStorage("faults", url=valkey_url, client_name="forked")
        staffed(storage)
        storage.claim("c", 1)
        line = storage._seat("c").line._connection._sock.fileno()
        reader, writer = os.pipe()

        child = os.fork()
        if child == 0:
            try:
                os.fstat(line)
                os.write(writer, b"open")
            except OSError:
                os.write(writer, b"closed")
            finally:
                os._exit(0)
        os.waitpid(child, 0)

        assert os.read(reader, 10) == b"closed"
        os.close(reader)
        os.close(writer)
        storage.close()
