"""The consumer from outside: built, started in this process, stopped."""

import logging
import signal
import threading
from typing import Any

import pytest

from huey.api import SKIPPED, ConfigurationError, Huey, chord
from huey.consumer.consumer import ConsumerStopped
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, News, QuietConsumer, gather, running


def work(value: Any = 1) -> Any:
    return value


class TestBuilding:
    def test_the_options_are_kept(self, huey: Huey) -> None:
        consumer = huey.create_consumer(
            workers=3,
            periodic=False,
            initial_delay=0.2,
            backoff=1.5,
            max_delay=5.0,
            scheduler_interval=10,
            shutdown_timeout=3.0,
            graceful_signal="TERM",
            max_tasks=100,
        )

        assert (consumer.workers, consumer.periodic, consumer.default_delay) == (3, False, 0.2)
        assert (consumer.backoff, consumer.max_delay, consumer.scheduler_interval) == (1.5, 5, 10)
        assert (consumer.shutdown_timeout, consumer.graceful_signal) == (3, "TERM")
        assert (consumer.worker_type, consumer.max_tasks) == ("thread", 100)

    @pytest.mark.parametrize("interval", [7, 45, 13])
    def test_an_interval_divides_a_minute(self, huey: Huey, interval: int) -> None:
        with pytest.raises(ConfigurationError, match="scheduler_interval"):
            huey.create_consumer(scheduler_interval=interval)

    def test_an_interval_is_between_a_second_and_a_minute(self, huey: Huey) -> None:
        assert huey.create_consumer(scheduler_interval=0.1).scheduler_interval == 1
        assert huey.create_consumer(scheduler_interval=90).scheduler_interval == 60

    def test_recycling_needs_health_checks(self, huey: Huey) -> None:
        with pytest.raises(ConfigurationError, match="max_tasks"):
            huey.create_consumer(max_tasks=10, check_worker_health=False)

    def test_an_unknown_kind_of_worker_is_refused(self, huey: Huey) -> None:
        with pytest.raises(ValueError, match="worker_type"):
            huey.create_consumer(worker_type="goblin")

    def test_which_signal_means_what(self, huey: Huey) -> None:
        by_default, other = huey.create_consumer(), huey.create_consumer(graceful_signal="TERM")

        hup = {signal.SIGHUP: (True, True)}
        assert by_default._signal_actions == {
            signal.SIGINT: (False, True),
            signal.SIGTERM: (False, False),
            **hup,
        }
        assert other._signal_actions == {
            signal.SIGINT: (False, False),
            signal.SIGTERM: (False, True),
            **hup,
        }

    def test_a_signal_is_only_noted(self, huey: Huey) -> None:
        consumer = huey.create_consumer()

        consumer._handle_signal(signal.SIGHUP, None)
        assert (consumer._signum, consumer._restart, consumer._graceful) == (
            signal.SIGHUP,
            True,
            True,
        )
        consumer._handle_signal(signal.SIGTERM, None)
        assert (consumer._restart, consumer._graceful) == (False, False)


class TestRunning:
    def test_it_starts_and_stops_at_once(self, huey: Huey) -> None:
        with running(huey, workers=2) as consumer:
            assert huey.task()(work)(3).get(blocking=True, timeout=PATIENCE) == 3

        assert consumer.stop_flag.is_set()
        consumer.stop(graceful=True)

    def test_what_is_queued_already_is_run(self, huey: Huey) -> None:
        worker = huey.task()(work)
        results = worker.map(range(50))

        with running(huey, workers=4):
            assert results is not None
            assert results.get(blocking=True, timeout=PATIENCE) == list(range(50))
        assert len(huey) == 0

    def test_tasks_run_side_by_side(self, huey: Huey) -> None:
        together = threading.Barrier(3)

        @huey.task()
        def meet() -> bool:
            together.wait(PATIENCE)
            return True

        with running(huey, workers=3):
            results = [meet() for _ in range(3)]
            assert [r.get(blocking=True, timeout=PATIENCE) for r in results] == [True] * 3

    def test_higher_priority_goes_first(self, huey: Huey) -> None:
        order: list[int] = []
        worker = huey.task()(order.append)
        for number, priority in ((1, 2), (2, 5), (3, 1)):
            worker.options(priority=priority)(number)
        huey.store_none = True
        last = worker(4)

        with running(huey):
            last.get(blocking=True, timeout=PATIENCE)

        assert order == [2, 1, 3, 4]

    def test_workers_are_recycled_and_nothing_is_lost(self, huey: Huey) -> None:
        started: list[int] = []
        huey.on_startup("count")(lambda: started.append(1))
        worker = huey.task()(work)
        results = [worker(number) for number in range(10)]

        consumer = QuietConsumer(huey, max_tasks=3)
        thread = threading.Thread(target=consumer.run, daemon=True)
        thread.start()
        values = [result.get(blocking=True, timeout=PATIENCE) for result in results]
        consumer._handle_signal(signal.SIGINT, None)
        thread.join(PATIENCE)

        assert values == list(range(10))
        assert len(started) >= 3

    @pytest.mark.timeout(10)
    def test_it_can_run_in_a_thread_of_an_application(self, huey: Huey) -> None:
        consumer = QuietConsumer(huey)
        thread = threading.Thread(target=consumer.run, daemon=True)
        thread.start()

        assert huey.task()(work)(3).get(blocking=True, timeout=PATIENCE) == 3
        consumer.stop(graceful=True)
        thread.join(PATIENCE)

        assert not thread.is_alive()

    @pytest.mark.timeout(10)
    def test_the_loop_ends_when_it_was_told_to(self, huey: Huey) -> None:
        consumer = QuietConsumer(huey)
        consumer.start()
        consumer._handle_signal(signal.SIGINT, None)

        with pytest.raises(ConsumerStopped):
            consumer.loop()
        with pytest.raises(ConsumerStopped):
            consumer.loop()

    def test_workflows_run_to_their_end(self, huey: Huey) -> None:
        worker, gathered = huey.task()(work), huey.task()(gather)
        members = [worker.s(1), worker.s(2, expires=-1), worker.s(3).then(worker)]

        with running(huey, workers=3):
            result = huey.enqueue(chord(members, gathered))
            assert result.get(blocking=True, timeout=PATIENCE) == [1, SKIPPED, 3]


class TestStopping:
    def test_a_graceful_stop_waits_for_running_tasks(self, huey: Huey) -> None:
        entered, leave = threading.Event(), threading.Event()

        @huey.task()
        def slow() -> int:
            entered.set()
            leave.wait(PATIENCE)
            return 1

        result = slow()
        with running(huey):
            assert entered.wait(PATIENCE)
            threading.Timer(0.05, leave.set).start()

        assert result.get() == 1

    def test_what_has_not_started_stays_queued(self, huey: Huey) -> None:
        entered, leave = threading.Event(), threading.Event()

        @huey.task()
        def slow() -> int:
            entered.set()
            leave.wait(PATIENCE)
            return 1

        results = [slow() for _ in range(5)]
        with running(huey):
            assert entered.wait(PATIENCE)
            threading.Timer(0.05, leave.set).start()

        assert results[0].get() == 1
        assert len(huey) == 4

    def test_a_stuck_task_is_told_and_given_back_after_the_timeout(
        self, huey: Huey, news: News, caplog: pytest.LogCaptureFixture
    ) -> None:
        entered, leave = threading.Event(), threading.Event()

        @huey.task()
        def stuck() -> None:
            entered.set()
            leave.wait(PATIENCE)

        result = stuck()
        caplog.set_level(logging.WARNING, logger="huey.consumer")
        try:
            with running(huey, shutdown_timeout=0.2):
                assert entered.wait(PATIENCE)
        finally:
            leave.set()

        first = next(r for r in caplog.records if r.name == "huey.consumer")
        assert "Shutdown timeout" in first.getMessage()
        assert news.of(result.id) == ["enqueued", "executing", "interrupted"]
        assert [task.id for task in huey.pending()] == [result.id]

    def test_a_handler_that_enqueues_it_again_makes_no_second_copy(
        self, huey: Huey, news: News
    ) -> None:
        entered, leave = threading.Event(), threading.Event()
        huey.signal("interrupted")(lambda signal, task: huey.enqueue(task))

        @huey.task()
        def stuck() -> None:
            entered.set()
            leave.wait(PATIENCE)

        result = stuck()
        try:
            with running(huey, shutdown_timeout=0.05):
                assert entered.wait(PATIENCE)
        finally:
            leave.set()

        assert [task.id for task in huey.pending()] == [result.id]

    def test_a_task_that_ends_after_it_was_given_back_writes_nothing(
        self, huey: Huey, news: News
    ) -> None:
        entered, leave, left = threading.Event(), threading.Event(), threading.Event()

        @huey.task()
        def stuck() -> int:
            entered.set()
            leave.wait(PATIENCE)
            return 1

        huey.post_execute("left")(lambda *args: left.set())
        result = stuck()
        with running(huey, shutdown_timeout=0.05):
            assert entered.wait(PATIENCE)
        leave.set()
        assert left.wait(PATIENCE)

        assert result.get() is None
        assert len(huey) == 1
        assert "error" not in news.of(result.id)


class TestTroubles:
    def test_bytes_that_are_no_task_become_a_dead_letter(self, huey: Huey) -> None:
        huey.storage.enqueue(b"no task at all")
        good = huey.task()(work)(3)

        with running(huey):
            assert good.get(blocking=True, timeout=PATIENCE) == 3

        [letter] = huey._lossless.dead_letters()
        assert (letter.data, letter.cause) == (b"no task at all", "undecodable")
        assert len(huey) == 0

    def test_an_unknown_task_is_kept_for_later(self, huey: Huey) -> None:
        other = huey.task(name="other")(work)
        other(1)
        other.unregister()
        good = huey.task()(work)(3)

        with running(huey):
            assert good.get(blocking=True, timeout=PATIENCE) == 3

        assert (len(huey), huey.storage.schedule_size()) == (0, 1)
        assert huey._lossless.dead_count() == 0

    def test_two_consumers_never_run_a_task_twice(self, make_huey: MakeHuey) -> None:
        huey = make_huey()
        ran: list[int] = []

        @huey.task()
        def note(number: int) -> int:
            ran.append(number)
            return number

        results = note.map(range(100))
        with running(huey, workers=2), running(huey, workers=2):
            assert results is not None
            results.get(blocking=True, timeout=PATIENCE)

        assert sorted(ran) == list(range(100))
