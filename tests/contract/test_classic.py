"""A storage with only the classic methods keeps the classic contract, and most of the rest at most
once, through its adapter."""

import threading
from datetime import datetime
from typing import Any

import pytest

from huey.constants import EmptyData
from huey.storage.base import BaseStorage, Key, MaybeBytes
from huey.storage.blackhole import BlackHoleStorage
from huey.storage.classic import ClassicDelivery, lossless
from huey.storage.delivery import Move, Outgoing, Reservation, Settled, Settlement
from huey.storage.memory import MemoryStorage
from huey.testing.storage_contract import (
    ClassicContract,
    LetterContract,
    MakeStorage,
    SettlingContract,
    WaitingContract,
)
from huey.testing.storage_contract.harness import PATIENCE, claim_all, fill, hired, payloads


class ListStorage(BaseStorage):
    """As a third party would write it: the classic methods only."""

    priority = False

    def __init__(self, name: str = "huey", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.guard = threading.RLock()
        self.queue: list[bytes] = []
        self.schedule: list[tuple[datetime, bytes]] = []
        self.data: dict[bytes, bytes] = {}
        self.counters: dict[bytes, int] = {}

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        if priority:
            raise NotImplementedError("no priorities here")
        self.queue.append(data)

    def dequeue(self) -> bytes | None:
        with self.guard:
            return self.queue.pop(0) if self.queue else None

    def queue_size(self) -> int:
        return len(self.queue)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        return self.queue[: limit or None]

    def flush_queue(self) -> None:
        self.queue.clear()

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        self.schedule.append((ts, data))
        self.schedule.sort(key=lambda entry: entry[0])

    def read_schedule(self, ts: datetime) -> list[bytes]:
        due = [data for when, data in self.schedule if when <= ts]
        del self.schedule[: len(due)]
        return due

    def schedule_size(self) -> int:
        return len(self.schedule)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return [data for _, data in self.schedule[: limit or None]]

    def flush_schedule(self) -> None:
        self.schedule.clear()

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        self.data[_bytes(key)] = value

    def peek_data(self, key: Key) -> MaybeBytes:
        return self.data.get(_bytes(key), EmptyData)

    def pop_data(self, key: Key) -> MaybeBytes:
        return self.data.pop(_bytes(key), EmptyData)

    def has_data_for_key(self, key: Key) -> bool:
        return _bytes(key) in self.data

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        with self.guard:
            return super().put_if_empty(key, value, ttl)

    def result_store_size(self) -> int:
        return len(self.data)

    def result_items(self) -> dict[str, bytes]:
        return {key.decode(): value for key, value in self.data.items()}

    def flush_results(self) -> None:
        self.data.clear()

    def incr(self, key: Key, amount: int = 1) -> int:
        with self.guard:
            value = self.counters[_bytes(key)] = self.counters.get(_bytes(key), 0) + amount
            return value

    def delete_counter(self, key: Key) -> None:
        self.counters.pop(_bytes(key), None)

    def flush_counters(self) -> None:
        self.counters.clear()


def _bytes(key: Key) -> bytes:
    return key if isinstance(key, bytes) else key.encode()


class TestAStorageOfAThirdParty(ClassicContract):
    supports_priority = False
    shares_data = False
    expires_data = False

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        return ListStorage


class TestItsAdapter(SettlingContract, WaitingContract, LetterContract):
    supports_priority = False
    gives_back_in_place = False
    shares_data = False
    expires_data = False
    # The adapter's few marks do not age.
    test_sweeping_removes_untouched_marks = None  # type: ignore[assignment]  # switched off

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        return lambda name="huey", **kwargs: lossless(ListStorage(name, **kwargs))


def test_a_lossless_storage_needs_no_adapter() -> None:
    storage = MemoryStorage()

    assert lossless(storage) is storage


def test_a_storage_has_one_adapter_which_says_that_it_is_not_lossless() -> None:
    storage = ListStorage("mine")

    adapter = lossless(storage)

    assert adapter is lossless(storage)
    assert isinstance(adapter, ClassicDelivery)
    assert adapter.name == "mine"
    assert not adapter.lossless


def test_released_claims_are_enqueued_again() -> None:
    adapter = lossless(ListStorage())
    hired(adapter, "c")
    fill(adapter, b"a", b"b")
    claims = adapter.claim("c", 5)

    assert adapter.queue_size() == 0
    assert adapter.release(claims) == 2
    assert adapter.release(claims) == 0
    assert adapter.enqueued_items() == [b"a", b"b"]
    assert adapter.settle([Settlement(claims[0])]) == [Settled.LOST]


def test_what_a_dead_worker_of_this_process_held_is_enqueued_again() -> None:
    adapter = lossless(ListStorage())
    hired(adapter, "dead", "c")
    fill(adapter, b"a")
    adapter.claim("dead", 1)

    assert adapter.recover("dead") == 1

    (claim,) = adapter.claim("c", 1)
    assert (claim.data, claim.attempt) == (b"a", 2)


def test_consumers_of_this_process_are_known_to_it() -> None:
    adapter = lossless(ListStorage())
    adapter.sign_on("c", {"pid": 1})

    assert adapter.heartbeat("c") is True
    assert adapter.heartbeat("nobody") is False
    assert [(record.id, record.beat) for record in adapter.consumers()] == [("c", 1)]
    assert adapter.recover("c", beat=0) == 0
    fill(adapter, b"a")
    adapter.claim("c", 1)
    adapter.sign_off("c")
    assert adapter.consumers() == []
    assert adapter.enqueued_items() == [b"a"]


def test_reservations_are_kept_over_the_classic_methods() -> None:
    adapter = lossless(ListStorage())
    wishes = [Reservation("u", f"id-{number}") for number in range(3)]

    replies = adapter.enqueue_many([Outgoing(b"m", reservation=wish) for wish in wishes])
    replies += adapter.enqueue_many([Outgoing(b"again", reservation=wishes[0])])
    replacing = Reservation("u", "id-9", revoke_with=b"flag")
    replies += adapter.enqueue_many([Outgoing(b"new", reservation=replacing)])

    assert replies == [None, "id-0", "id-0", None, "id-0"]
    assert adapter.enqueued_items() == [b"m", b"again", b"new"]
    assert adapter.peek_data("r:id-0") == b"flag"
    with pytest.raises(NotImplementedError):
        adapter.enqueue_many([Outgoing(b"x", reservation=Reservation("v", "id", ttl=5))])


def test_due_messages_are_shown_until_they_are_promoted() -> None:
    adapter = lossless(ListStorage())
    adapter.enqueue_many(
        [Outgoing(b"a", due=5.0), Outgoing(b"b", due=6.0), Outgoing(b"c", due=9e9)]
    )

    first = adapter.due(limit=1, now=7.0)
    assert [item.data for item in first.messages] == [b"a"]
    assert first.wait == 0
    assert adapter.promote([Move(item) for item in first.messages]) == 1
    assert adapter.promote([Move(item) for item in first.messages]) == 0

    (later,) = adapter.due(now=7.0).messages
    assert adapter.promote([Move(later, due=9e9)]) == 1
    assert adapter.enqueued_items() == [b"a"]
    assert adapter.scheduled_items() == [b"c", b"b"]


class BrokenStorage(ListStorage):
    """Fails on demand."""

    broken = False

    def dequeue(self) -> bytes | None:
        if self.broken and len(self.queue) < 2:
            raise ConnectionError("gone")
        return super().dequeue()

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        if self.broken:
            raise ConnectionError("gone")
        super().enqueue(data, priority)


def test_an_error_while_claiming_loses_nothing_that_was_dequeued() -> None:
    storage = BrokenStorage()
    adapter = lossless(storage)
    hired(adapter, "c")
    fill(adapter, b"a", b"b")
    storage.broken = True

    assert payloads(adapter.claim("c", 5)) == [b"a"]
    with pytest.raises(ConnectionError):
        adapter.claim("c", 5)


def test_an_error_while_promoting_loses_nothing_that_was_read() -> None:
    storage = BrokenStorage()
    adapter = lossless(storage)
    adapter.enqueue_many([Outgoing(b"a", due=5.0)])
    (item,) = adapter.due(now=7.0).messages
    storage.broken = True

    with pytest.raises(ConnectionError):
        adapter.promote([Move(item)])

    storage.broken = False
    assert adapter.promote([Move(item) for item in adapter.due(now=7.0).messages]) == 1
    assert storage.queue == [b"a"]


class BlockingStorage(ListStorage):
    """Waits by itself, as Redis does."""

    blocking = True

    def __init__(self, name: str = "huey", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.arrived = threading.Condition()

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        with self.arrived:
            super().enqueue(data, priority)
            self.arrived.notify()

    def dequeue(self) -> bytes | None:
        with self.arrived:
            self.arrived.wait_for(lambda: self.queue, 0.05)
            return super().dequeue()


def test_a_storage_that_blocks_is_left_to_wait_by_itself() -> None:
    adapter = lossless(BlockingStorage())
    hired(adapter, "c")
    assert adapter.claim("c", 5) == []
    threading.Timer(0.01, adapter.enqueue, [b"a"]).start()

    assert payloads(adapter.claim("c", 5, block=PATIENCE)) == [b"a"]

    fill(adapter, b"b", b"c")
    assert payloads(claim_all(adapter, "c")) == [b"b", b"c"]


def test_ticks_are_exact_between_two_processes() -> None:
    storage = ListStorage()
    one, two = ClassicDelivery(storage), ClassicDelivery(storage)

    assert one.tick("t", 60.0, Outgoing(b"a")) is True
    assert two.tick("t", 60.0, Outgoing(b"b")) is False
    assert two.tick("t", 120.0, Outgoing(b"c")) is True
    assert one.tick("t", 120.0, Outgoing(b"d")) is False
    assert one.tick("t", 60.0, Outgoing(b"e")) is False
    assert storage.queue == [b"a", b"c"]


def test_guards_work_over_the_classic_methods() -> None:
    adapter = lossless(ListStorage())
    hired(adapter, "c")

    assert adapter.lock("l", b"me", holder="c")
    assert not adapter.lock("l", b"you")
    assert not adapter.unlock("l", b"you")
    assert adapter.semaphore_acquire("s", "a", 1, 60, holder="c")
    assert not adapter.semaphore_acquire("s", "b", 1, 60)
    assert adapter.semaphore_renew("s", "a", 60)
    assert [adapter.rate_hit("r", 5e9, 1)[0] for _ in range(2)] == [1, 2]
    adapter.recover("c")
    assert adapter.lock("l", b"you")
    assert adapter.semaphore_acquire("s", "b", 1, 60)
    assert adapter.semaphore_release("s", "b")
    assert not adapter.semaphore_release("s", "b")


def test_a_black_hole_swallows_everything() -> None:
    storage = BlackHoleStorage("hole")
    storage.enqueue(b"a", 5)
    storage.put_data("k", b"1")

    assert storage.dequeue() is None
    assert storage.peek_data("k") is EmptyData
    assert storage.put_if_empty("k", b"1", ttl=5) is True
    assert storage.put_if_empty("k", b"1") is True
    assert storage.incr("c", 7) == 7
    assert storage.result_items() == {}
    hired(lossless(storage), "c")
    assert lossless(storage).claim("c", 3) == []
