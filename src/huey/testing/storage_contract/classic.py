"""The classic contract: queue, schedule, key/value data, counters."""

# ruff: noqa: D102 - the name of a test is its documentation

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import pytest

from huey.constants import EmptyData
from huey.testing.storage_contract.harness import PATIENCE, Harness, MakeStorage, race

NOON = datetime(2031, 5, 6, 12, 0, 0)
SECOND = timedelta(seconds=1)


class ClassicContract(Harness):
    """One test per rule of ``storage/base.py``."""

    # ── the queue ──────────────────────────────────────────────────────────────────────────────

    def test_messages_leave_the_queue_in_the_order_of_arrival(self, storage: Any) -> None:
        for data in (b"a", b"b", b"c"):
            storage.enqueue(data)

        assert [storage.dequeue() for _ in range(3)] == [b"a", b"b", b"c"]

    def test_an_empty_queue_gives_none(self, storage: Any) -> None:
        assert storage.dequeue() is None
        assert storage.queue_size() == 0
        assert storage.enqueued_items() == []

    def test_a_message_without_bytes_and_one_with_all_bytes_arrive_unchanged(
        self, storage: Any
    ) -> None:
        everything = bytes(range(256)) * 5

        storage.enqueue(everything)

        assert storage.dequeue() == everything

    def test_higher_priorities_go_first_and_none_counts_as_zero(self, storage: Any) -> None:
        if not self.supports_priority:
            with pytest.raises(NotImplementedError):
                storage.enqueue(b"x", 1)
            return
        for data, priority in ((b"a", None), (b"b", 1), (b"c", 0), (b"d", 10), (b"e", 1)):
            storage.enqueue(data, priority)

        assert storage.enqueued_items() == [b"d", b"b", b"e", b"a", b"c"]
        assert [storage.dequeue() for _ in range(5)] == [b"d", b"b", b"e", b"a", b"c"]

    def test_priorities_none_and_zero_are_accepted_everywhere(self, storage: Any) -> None:
        storage.enqueue(b"a", 0)
        storage.enqueue(b"b", None)

        assert storage.enqueued_items() == [b"a", b"b"]

    def test_the_queue_can_be_listed_without_changing_it(self, storage: Any) -> None:
        for data in (b"a", b"b", b"c"):
            storage.enqueue(data)

        assert storage.enqueued_items(2) == [b"a", b"b"]
        assert storage.enqueued_items() == [b"a", b"b", b"c"]
        assert storage.queue_size() == 3

    def test_a_limit_of_zero_means_what_it_means_in_this_storage(self, storage: Any) -> None:
        storage.enqueue(b"a")

        assert storage.enqueued_items(0) == ([b"a"] if self.zero_means_no_limit else [])

    def test_flushing_the_queue_leaves_the_rest(self, storage: Any) -> None:
        storage.enqueue(b"a")
        storage.add_to_schedule(b"b", NOON)
        storage.put_data("c", b"c")
        storage.incr("d")

        storage.flush_queue()

        assert storage.queue_size() == 0
        assert storage.schedule_size() == 1
        assert storage.peek_data("c") == b"c"
        assert storage.incr("d", 0) == 1

    def test_each_message_is_dequeued_once_however_many_threads_ask(self, storage: Any) -> None:
        wanted = [b"%03d" % number for number in range(80)]
        for data in wanted:
            storage.enqueue(data)

        def drain(_: int) -> list[bytes]:
            seen = []
            while (data := storage.dequeue()) is not None:
                seen.append(data)
            return seen

        assert sorted(data for seen in race(4, drain) for data in seen) == wanted

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def test_reading_the_schedule_removes_what_is_due_soonest_first(self, storage: Any) -> None:
        for data, offset in ((b"c", 3), (b"a", 1), (b"d", 4), (b"b", 2)):
            storage.add_to_schedule(data, NOON + offset * SECOND)

        assert storage.read_schedule(NOON) == []
        assert storage.read_schedule(NOON + 3 * SECOND) == [b"a", b"b", b"c"]
        assert storage.read_schedule(NOON + 3 * SECOND) == []
        assert storage.schedule_size() == 1

    def test_the_schedule_can_be_listed_without_changing_it(self, storage: Any) -> None:
        for data, offset in ((b"c", 3), (b"a", 1), (b"b", 2)):
            storage.add_to_schedule(data, NOON + offset * SECOND)

        assert storage.scheduled_items(2) == [b"a", b"b"]
        assert storage.scheduled_items() == [b"a", b"b", b"c"]
        assert storage.schedule_size() == 3

    def test_fractions_of_a_second_count_in_the_schedule(self, storage: Any) -> None:
        storage.add_to_schedule(b"a", NOON + 0.5 * SECOND)

        assert storage.read_schedule(NOON + 0.4 * SECOND) == []
        assert storage.read_schedule(NOON + 0.6 * SECOND) == [b"a"]

    def test_flushing_the_schedule_leaves_the_queue(self, storage: Any) -> None:
        storage.enqueue(b"a")
        storage.add_to_schedule(b"b", NOON)

        storage.flush_schedule()

        assert storage.schedule_size() == 0
        assert storage.queue_size() == 1

    def test_many_due_messages_are_read_in_order(self, storage: Any) -> None:
        for number in range(1200):
            storage.add_to_schedule(b"%04d" % number, NOON + number * SECOND)

        assert storage.read_schedule(NOON + 5000 * SECOND) == [b"%04d" % n for n in range(1200)]

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def test_a_value_replaces_an_older_one(self, storage: Any) -> None:
        storage.put_data("k", b"1")
        storage.put_data("k", b"2", is_result=True)

        assert storage.peek_data("k") == b"2"
        assert storage.has_data_for_key("k")

    def test_nothing_stored_is_empty_data_but_empty_bytes_are_a_value(self, storage: Any) -> None:
        assert storage.peek_data("k") is EmptyData
        assert storage.pop_data("k") is EmptyData
        assert not storage.has_data_for_key("k")

        storage.put_data("k", b"")

        assert storage.peek_data("k") == b""
        assert storage.has_data_for_key("k")

    def test_popping_reads_and_removes(self, storage: Any) -> None:
        storage.put_data("k", b"1", is_result=True)

        assert storage.pop_data("k") == b"1"
        assert storage.peek_data("k") == (EmptyData if self.reads_results_once else b"1")

    def test_deleting_tells_whether_there_was_a_value(self, storage: Any) -> None:
        storage.put_data("k", b"1")

        assert storage.delete_data("k")
        assert not storage.delete_data("k")
        assert storage.peek_data("k") is EmptyData

    def test_several_values_are_read_at_once_and_missing_ones_are_left_out(
        self, storage: Any
    ) -> None:
        storage.put_data("a", b"1")
        storage.put_data(b"b", b"")

        assert storage.peek_many(["a", b"b", "c"]) == {"a": b"1", b"b": b""}
        assert storage.peek_many([]) == {}

    def test_keys_may_be_text_or_bytes_of_any_kind(self, storage: Any) -> None:
        for key in ("kéy ☃", b"bytes", "a/b:c.d", "x" * 500):
            storage.put_data(key, b"1")
            assert storage.peek_data(key) == b"1"
            assert storage.delete_data(key)

    def test_a_value_is_put_only_where_none_is(self, storage: Any) -> None:
        assert storage.put_if_empty("k", b"1")
        assert not storage.put_if_empty("k", b"2")
        assert storage.peek_data("k") == b"1"

    def test_one_thread_wins_where_several_put_into_the_same_place(self, storage: Any) -> None:
        def put(index: int) -> list[bool]:
            return [storage.put_if_empty(f"k{key}", b"%d" % index) for key in range(10)]

        assert [sum(wins) for wins in zip(*race(6, put), strict=True)] == [1] * 10

    def test_a_value_with_a_ttl_vanishes_and_frees_its_place(self, storage: Any) -> None:
        if not self.expires_data:
            with pytest.raises(NotImplementedError):
                storage.put_if_empty("k", b"1", ttl=60)
            assert storage.peek_data("k") is EmptyData
            return
        assert storage.put_if_empty("long", b"1", ttl=600)
        assert storage.put_if_empty("k", b"1", ttl=0.05)
        waiting = range(int(PATIENCE * 20))

        assert any(
            not storage.wait_result("nothing", 0.05) and self._free(storage) for _ in waiting
        )
        assert not storage.put_if_empty("long", b"2", ttl=600)

    def _free(self, storage: Any) -> bool:
        return bool(storage.put_if_empty("k", b"2"))

    def test_a_value_put_over_one_with_a_ttl_stays(self, storage: Any) -> None:
        if not self.expires_data:
            return
        storage.put_if_empty("k", b"1", ttl=0.05)

        storage.put_data("k", b"2")

        assert not storage.wait_result("nothing", timeout=0.2)
        assert storage.peek_data("k") == b"2"

    def test_the_data_can_be_counted_listed_and_flushed(self, storage: Any) -> None:
        storage.put_data("a", b"1")
        storage.put_data(b"b", b"2", is_result=True)

        assert storage.result_store_size() == 2
        assert storage.result_items() == {"a": b"1", "b": b"2"}

        storage.flush_results()

        assert storage.result_store_size() == 0
        assert storage.result_items() == {}

    def test_waiting_for_a_value_ends_with_the_timeout(self, storage: Any) -> None:
        assert storage.wait_result("k", timeout=0.05) is False
        assert storage.wait_result("k", timeout=0) is False

    def test_waiting_for_a_value_that_is_there_ends_at_once(self, storage: Any) -> None:
        storage.put_data("k", b"", is_result=True)

        assert storage.wait_result("k", timeout=PATIENCE) is True

    def test_all_who_wait_for_a_value_learn_of_it(
        self, storage: Any, other: Any, aside: Callable[..., Future[Any]]
    ) -> None:
        waiting = [aside(storage.wait_result, "k", PATIENCE) for _ in range(2)]

        other.put_data("k", b"1", is_result=True)

        assert [future.result(PATIENCE) for future in waiting] == [True, True]

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def test_a_counter_starts_at_zero_and_takes_any_amount(self, storage: Any) -> None:
        assert storage.incr("c", 0) == 0
        assert storage.incr("c") == 1
        assert storage.incr("c", 5) == 6
        assert storage.incr("c", -10) == -4
        assert storage.incr("c", 0) == -4

    def test_a_deleted_counter_starts_again(self, storage: Any) -> None:
        storage.incr("c", 3)

        storage.delete_counter("c")
        storage.delete_counter("never there")

        assert storage.incr("c") == 1

    def test_counters_and_data_do_not_see_each_other(self, storage: Any) -> None:
        storage.incr("k", 3)

        assert not storage.has_data_for_key("k")
        storage.put_data("k", b"1")
        storage.flush_results()
        assert storage.incr("k", 0) == 3
        storage.flush_counters()
        assert storage.incr("k", 0) == 0

    def test_no_increment_is_lost_between_threads(self, storage: Any) -> None:
        def count(_: int) -> list[int]:
            return [storage.incr("c") for _ in range(25)]

        assert sorted(value for seen in race(4, count) for value in seen) == list(range(1, 101))

    # ── all of it ──────────────────────────────────────────────────────────────────────────────

    def test_flushing_all_leaves_nothing(self, storage: Any) -> None:
        storage.enqueue(b"a")
        storage.add_to_schedule(b"b", NOON)
        storage.put_data("c", b"c")
        storage.incr("d")

        storage.flush_all()

        assert storage.queue_size() == storage.schedule_size() == storage.result_store_size() == 0
        assert storage.incr("d", 0) == 0

    def test_queues_with_different_names_are_apart(self, make_storage: MakeStorage) -> None:
        if not self.isolates_names:
            return
        left, right = make_storage("left"), make_storage("right")
        for storage, data in ((left, b"l"), (right, b"r")):
            storage.enqueue(data)
            storage.add_to_schedule(data, NOON)
            storage.put_data("k", data)
            storage.incr("c")

        left.flush_all()

        assert right.enqueued_items() == [b"r"]
        assert right.scheduled_items() == [b"r"]
        assert right.result_items() == {"k": b"r"}
        assert right.incr("c") == 2
        assert left.queue_size() == left.schedule_size() == left.result_store_size() == 0

    def test_a_closed_storage_opens_again_when_it_is_used(self, storage: Any) -> None:
        storage.enqueue(b"a")

        storage.close()

        if self.shares_data:
            assert storage.enqueued_items() == [b"a"]
        storage.enqueue(b"b")
        assert storage.queue_size() >= 1

    def test_another_client_sees_the_same_data(self, storage: Any, other: Any) -> None:
        storage.enqueue(b"a")
        storage.put_data("k", b"1")

        assert other.dequeue() == b"a"
        assert other.peek_data("k") == b"1"

    def test_the_name_is_kept(self, make_storage: MakeStorage) -> None:
        assert make_storage("n").name == "n"
