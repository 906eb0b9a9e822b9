"""Storages of third parties have the classic methods only: row 7 of what the outside leans on.

Whole applications run on one, in all ways; what is lost is only what Huey 3.5.4 would lose.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from huey.api import BaseStorage, EmptyData, Error, Huey, TaskException, chord, crontab, group
from tests.behaviour.driving import (
    PATIENCE,
    News,
    gather,
    make_due,
    run_all,
    run_next,
    running,
)


class ShelfStorage(BaseStorage):
    """Written against Huey 3.5.4, with its signatures to the letter; knows no priorities."""

    priority = False

    def __init__(self, name: str = "huey", label: str = "", **storage_kwargs: Any) -> None:
        super().__init__(name, **storage_kwargs)
        self.label = label
        self._queue: list[bytes] = []
        self._schedule: list[tuple[datetime, bytes]] = []
        self._results: dict[Any, bytes] = {}
        self._counters: dict[Any, int] = {}

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        if priority is not None:
            raise NotImplementedError("Task priorities are not supported by this storage.")
        self._queue.append(data)

    def dequeue(self) -> bytes | None:
        return self._queue.pop(0) if self._queue else None

    def queue_size(self) -> int:
        return len(self._queue)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        return self._queue[:limit] if limit else list(self._queue)

    def flush_queue(self) -> None:
        self._queue = []

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        self._schedule.append((ts, data))

    def read_schedule(self, ts: datetime) -> list[bytes]:
        due = sorted(entry for entry in self._schedule if entry[0] <= ts)
        self._schedule = [entry for entry in self._schedule if entry[0] > ts]
        return [data for _, data in due]

    def schedule_size(self) -> int:
        return len(self._schedule)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return [data for _, data in sorted(self._schedule)][: limit or None]

    def flush_schedule(self) -> None:
        self._schedule = []

    def put_data(self, key: Any, value: bytes, is_result: bool = False) -> None:
        self._results[key] = value

    def peek_data(self, key: Any) -> Any:
        return self._results.get(key, EmptyData)

    def pop_data(self, key: Any) -> Any:
        return self._results.pop(key, EmptyData)

    def has_data_for_key(self, key: Any) -> bool:
        return key in self._results

    def result_store_size(self) -> int:
        return len(self._results)

    def result_items(self) -> dict[str, bytes]:
        return dict(self._results)

    def flush_results(self) -> None:
        self._results = {}

    def incr(self, key: Any, amount: int = 1) -> int:
        self._counters[key] = self._counters.get(key, 0) + amount
        return self._counters[key]

    def delete_counter(self, key: Any) -> None:
        self._counters.pop(key, None)

    def flush_counters(self) -> None:
        self._counters = {}


class BlockingShelf(ShelfStorage):
    """Waits inside of dequeue, a little."""

    blocking = True

    def dequeue(self) -> bytes | None:
        data = super().dequeue()
        if data is None:
            self.wait_result("nothing", timeout=0.01)
        return data


def add(*numbers: Any) -> Any:
    if None in numbers:
        raise ValueError("nothing to add")
    return sum(numbers)


@pytest.fixture(params=[ShelfStorage, BlockingShelf])
def huey(request: pytest.FixtureRequest) -> Huey:
    return Huey("app", storage_class=request.param, label="mine")


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


class TestByHand:
    def test_calling_and_executing(self, huey: Huey, sums: Any) -> None:
        result = sums(1, 2)
        assert run_next(huey) == 3

        assert result.get() == 3
        assert result.get(blocking=True, timeout=1) == 3
        assert huey.result_count() == 0

    def test_errors_and_retries(self, huey: Huey) -> None:
        news = News(huey)
        result = huey.task(retries=1, retry_delay=5)(add)(None)
        run_next(huey)
        assert huey.scheduled_count() == 1
        [task] = make_due(huey, 6)
        run_next(huey, task.eta)

        with pytest.raises(TaskException, match="nothing to add"):
            result.get()
        assert news.names.count("error") == 2

    def test_workflows(self, huey: Huey, sums: Any) -> None:
        piped = huey.enqueue(sums.s(1).then(sums, 2))
        grouped = huey.enqueue(group([sums.s(1), sums.s(2)]))
        chorded = huey.enqueue(chord([sums.s(1), sums.s(None)], huey.task()(gather)))
        run_all(huey)

        assert (piped.get(), grouped.get()) == ([1, 3], [1, 2])
        value, error = chorded.get()
        assert value == 1
        assert isinstance(error, Error)

    def test_revoking_expiring_scheduling(self, huey: Huey, sums: Any) -> None:
        revoked, expired = sums(1), huey.enqueue(sums.s(2, expires=-1))
        revoked.revoke()
        scheduled = sums.schedule((3,), delay=60)
        run_all(huey)

        assert (revoked.get(), expired.get(), scheduled.get()) == (None, None, None)
        assert [task.args for task in huey.scheduled()] == [(3,)]
        assert huey.result_count() == 0

    def test_guards(self, huey: Huey) -> None:
        with huey.lock_task("mine") as lock:
            assert lock.is_locked()
            assert huey.is_locked("mine")
        assert not lock.is_locked()
        limit = huey.rate_limit("mail", limit=2, per=3600)
        limit.acquire()
        assert limit.current_usage() == 1
        assert huey.flush_locks() == set()

    def test_a_time_to_live_is_refused_where_it_cannot_be_kept(self, huey: Huey) -> None:
        with pytest.raises(NotImplementedError, match="ttl"):
            huey.lock_task("mine", ttl=5).acquire()
        with pytest.raises(NotImplementedError, match="ttl"):
            huey.put_if_empty("key", 1, ttl=5)

        assert huey.result_count() == 0

    def test_a_priority_is_refused_by_the_storage_itself(self, huey: Huey, sums: Any) -> None:
        with pytest.raises(NotImplementedError, match="priorities"):
            sums.options(priority=3)(1)

        assert len(huey) == 0

    def test_unique_tasks(self, huey: Huey) -> None:
        sums = huey.task(unique=True, name="unique")(add)
        first, second = sums(1), sums(1)

        assert first.id == second.id
        assert len(huey) == 1
        run_next(huey)
        assert sums(1).id != first.id

    def test_bulks(self, huey: Huey, sums: Any) -> None:
        results = sums.map(range(20))
        run_all(huey)

        assert results.get() == list(range(20))

    def test_immediate_mode(self, huey: Huey, sums: Any) -> None:
        huey.immediate = True
        assert sums(1).get() == 1
        huey.immediate = False
        assert isinstance(huey.storage, ShelfStorage)
        assert huey.storage.label == "mine"

    def test_options_arrive(self, huey: Huey) -> None:
        assert isinstance(huey.storage, ShelfStorage)
        assert (huey.storage.name, huey.storage.label) == ("app", "mine")


class TestUnderAConsumer:
    def test_it_says_what_cannot_be_promised(
        self, huey: Huey, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        with running(huey):
            pass

        assert "only the classic storage methods" in caplog.text

    def test_everything_runs(self, huey: Huey, sums: Any) -> None:
        gathered = huey.task()(gather)
        with running(huey, workers=2):
            results = [sums(number) for number in range(20)]
            chorded = huey.enqueue(chord([sums.s(n) for n in range(5)], gathered))
            piped = huey.enqueue(sums.s(1).then(sums, 2))
            later = sums.schedule((7,), delay=0.2)

            assert [r.get(blocking=True, timeout=PATIENCE) for r in results] == list(range(20))
            assert chorded.get(blocking=True, timeout=PATIENCE) == list(range(5))
            assert piped.get(blocking=True, timeout=PATIENCE) == [1, 3]
            assert later.get(blocking=True, timeout=PATIENCE) == 7
        assert len(huey) == 0

    def test_errors_and_retries(self, huey: Huey) -> None:
        attempts: list[int] = []

        @huey.task(retries=2)
        def third_time() -> int:
            attempts.append(1)
            if len(attempts) < 3:
                raise ValueError("not yet")
            return 3

        with running(huey):
            result = third_time()
            while result.get_raw_result(blocking=True, timeout=PATIENCE) != 3:
                result.reset()

        assert len(attempts) == 3

    def test_periodic_tasks(self, huey: Huey) -> None:
        ran: list[int] = []

        @huey.periodic_task(timedelta(milliseconds=50))
        def often() -> None:
            ran.append(1)
            huey.put_result("ran", 1)

        huey.periodic_task(crontab(month=1, day=1))(add)
        with running(huey):
            huey.result("ran", blocking=True, timeout=PATIENCE)

        assert ran

    def test_what_was_not_started_is_queued_again(self, huey: Huey, sums: Any) -> None:
        import threading

        entered, leave = threading.Event(), threading.Event()

        @huey.task()
        def slow() -> int:
            entered.set()
            leave.wait(PATIENCE)
            return 1

        results = [slow() for _ in range(4)]
        with running(huey):
            assert entered.wait(PATIENCE)
            threading.Timer(0.05, leave.set).start()

        assert results[0].get() == 1
        assert len(huey) == 3
