"""Tasks by the clock: what they are, when they run, and that each tick happens once."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from huey.api import Huey, PeriodicTask, crontab
from huey.consumer.ticks import Ticks
from huey.exceptions import StorageError
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, News, dequeued, run_all, run_next, running

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class Clock:
    """Shows the time that a test wants."""

    def __init__(self) -> None:
        self.time = NOON.timestamp()

    def __call__(self) -> float:
        return self.time


def nothing() -> None:
    """Do nothing."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ticks(huey: Huey, clock: Clock) -> Ticks:
    """What the scheduler of a consumer does about periodic tasks, at a pretended time."""
    return Ticks(huey, huey._lossless, clock)


class TestWhatTheyAre:
    def test_a_periodic_task_is_one_of_its_kind(self, huey: Huey) -> None:
        nightly = huey.periodic_task(crontab(hour=1), retries=2, priority=3, name="nightly")(
            nothing
        )

        cls = nightly.task_class
        assert issubclass(cls, PeriodicTask)
        assert (cls.__name__, cls.default_retries, cls.default_priority) == ("nightly", 2, 3)
        assert nightly.call_local() is None

    def test_the_rule_is_asked_with_the_instant(self, huey: Huey) -> None:
        asked: list[datetime] = []

        def rule(timestamp: datetime) -> bool:
            asked.append(timestamp)
            return timestamp.minute == 5

        huey.periodic_task(rule)(nothing)
        when = datetime(2030, 1, 1, 12, 5)

        assert len(huey.read_periodic(when)) == 1
        assert huey.read_periodic(when + timedelta(minutes=1)) == []
        assert asked == [when, when + timedelta(minutes=1)]

    def test_reading_gives_fresh_tasks_in_the_order_of_registration(self, huey: Huey) -> None:
        for name in ("b", "a", "c"):
            huey.periodic_task(crontab(), name=name)(nothing)

        first, second = huey.read_periodic(None), huey.read_periodic(None)

        assert [task.name for task in first] == ["b", "a", "c"]
        assert not {task.id for task in first} & {task.id for task in second}

    def test_the_base_class_never_runs(self) -> None:
        assert PeriodicTask().validate_datetime(datetime.now()) is False

    def test_it_can_be_called_like_any_task_and_stores_nothing(
        self, huey: Huey, news: News
    ) -> None:
        @huey.periodic_task(crontab())
        def nightly() -> int:
            return 3

        result = nightly()

        assert run_next(huey) == 3
        assert (result.get(), huey.result_count()) == (None, 0)
        assert news.names == ["enqueued", "executing", "complete"]

    def test_an_error_is_not_stored_either(self, huey: Huey, news: News) -> None:
        @huey.periodic_task(crontab(), retries=1)
        def nightly() -> None:
            raise ValueError("broken")

        nightly()
        run_all(huey)

        assert huey.result_count() == 0
        assert news.names.count("error") == 2

    @pytest.mark.parametrize("rule", ["*/5 * * * *", 300, timedelta(minutes=5)])
    def test_other_rules_than_predicates_are_taken(self, huey: Huey, rule: Any) -> None:
        huey.periodic_task(rule)(nothing)

        assert len(huey.read_periodic(datetime(2030, 1, 1, 12, 5))) == 1
        assert huey.read_periodic(datetime(2030, 1, 1, 12, 6)) == []

    def test_a_rule_can_be_meant_in_another_zone(self, huey: Huey) -> None:
        huey.periodic_task("0 9 * * *", tz="America/New_York")(nothing)

        assert len(huey.read_periodic(datetime(2030, 1, 1, 14, 0))) == 1
        assert huey.read_periodic(datetime(2030, 1, 1, 9, 0)) == []


class TestTicks:
    def test_each_tick_enqueues_once(self, huey: Huey, ticks: Ticks, clock: Clock) -> None:
        huey.periodic_task(crontab())(nothing)
        ticks.run()

        for _ in range(3):
            clock.time += 60
            ticks.run()
            ticks.run()

        assert len(huey) == 3

    def test_however_many_consumers_there_are(self, huey: Huey, clock: Clock) -> None:
        huey.periodic_task(crontab())(nothing)
        many = [Ticks(huey, huey._lossless, clock) for _ in range(4)]
        for ticks in many:
            ticks.run()
        clock.time += 60

        for ticks in many:
            ticks.run()

        assert len(huey) == 1

    def test_a_restart_in_the_same_minute_repeats_nothing(self, huey: Huey, clock: Clock) -> None:
        huey.periodic_task(crontab())(nothing)
        first = Ticks(huey, huey._lossless, clock)
        first.run()
        clock.time += 61
        first.run()
        assert len(huey) == 1

        clock.time += 10
        Ticks(huey, huey._lossless, clock).run()

        assert len(huey) == 1

    def test_a_stall_of_minutes_is_made_up_for_once(
        self, huey: Huey, ticks: Ticks, clock: Clock
    ) -> None:
        huey.periodic_task(crontab())(nothing)
        ticks.run()

        clock.time += 300
        wait = ticks.run()

        assert len(huey) == 1
        assert 0 < wait <= 60

    @pytest.mark.parametrize(("catch_up", "count"), [("none", 0), ("last", 1), ("all", 5)])
    def test_ticks_without_any_consumer_are_made_up_for_as_asked(
        self, huey: Huey, clock: Clock, catch_up: str, count: int
    ) -> None:
        huey.periodic_task(crontab(), catch_up=catch_up)(nothing)
        before = Ticks(huey, huey._lossless, clock)
        before.run()
        clock.time += 60
        before.run()
        huey.storage.flush_queue()

        clock.time += 300
        Ticks(huey, huey._lossless, clock).run()

        assert len(huey) == count

    def test_a_task_that_was_never_seen_starts_with_its_next_tick(
        self, huey: Huey, ticks: Ticks
    ) -> None:
        huey.periodic_task(crontab())(nothing)

        wait = ticks.run()

        assert len(huey) == 0
        assert wait <= 60

    def test_what_cannot_be_enqueued_is_logged_and_stops_nobody(
        self, huey: Huey, ticks: Ticks, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(timestamp: datetime) -> bool:
            raise ZeroDivisionError

        huey.periodic_task(broken, name="broken")(nothing)
        huey.periodic_task(crontab(), name="good")(nothing)
        ticks.run()

        clock.time += 60
        ticks.run()

        assert [task.name for task in huey.pending()] == ["good"]
        assert "broken" in caplog.text

    def test_a_storage_that_failed_is_asked_again(
        self, huey: Huey, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        huey.periodic_task(crontab())(nothing)
        storage = huey._lossless
        ticks = Ticks(huey, storage, clock)
        ticks.run()
        clock.time += 60

        def fail(*args: Any) -> bool:
            raise StorageError("gone for a moment")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "tick", fail)
            with pytest.raises(StorageError):
                ticks.run()
        ticks.run()

        assert len(huey) == 1

    def test_a_revoked_one_is_enqueued_and_skipped(
        self, huey: Huey, ticks: Ticks, clock: Clock
    ) -> None:
        ran: list[int] = []
        nightly = huey.periodic_task(crontab(), name="nightly")(lambda: ran.append(1))
        nightly.revoke()
        ticks.run()
        clock.time += 60
        ticks.run()

        assert len(huey) == 1
        run_all(huey)
        assert ran == []

    def test_signals_and_expiry_work_as_for_any_task(
        self, huey: Huey, ticks: Ticks, clock: Clock, news: News
    ) -> None:
        huey.periodic_task(crontab(), expires=60, priority=5)(nothing)
        ticks.run()
        clock.time += 60
        ticks.run()

        task = dequeued(huey)
        assert news.names == ["enqueued"]
        assert task.expires_resolved is not None
        assert task.priority == 5


class TestOverlap:
    def test_a_tick_is_left_out_while_an_earlier_one_waits(
        self, huey: Huey, ticks: Ticks, clock: Clock
    ) -> None:
        huey.periodic_task(crontab(), overlap=False)(nothing)
        ticks.run()
        for _ in range(3):
            clock.time += 60
            ticks.run()
        assert len(huey) == 1

        run_all(huey)
        clock.time += 60
        ticks.run()

        assert len(huey) == 1

    def test_it_is_left_out_while_one_runs_too(
        self, huey: Huey, ticks: Ticks, clock: Clock
    ) -> None:
        sizes: list[int] = []

        @huey.periodic_task(crontab(), overlap=False)
        def long() -> None:
            clock.time += 60
            ticks.run()
            sizes.append(len(huey))

        ticks.run()
        clock.time += 60
        ticks.run()
        run_all(huey)

        assert sizes == [0]

    def test_without_it_they_pile_up(self, huey: Huey, ticks: Ticks, clock: Clock) -> None:
        huey.periodic_task(crontab())(nothing)
        ticks.run()
        for _ in range(3):
            clock.time += 60
            ticks.run()

        assert len(huey) == 3


class TestWithAConsumer:
    def test_it_runs_every_so_often(self, huey: Huey) -> None:
        enough = threading.Event()
        ran: list[int] = []

        @huey.periodic_task(0.05)
        def often() -> None:
            ran.append(1)
            if len(ran) == 3:
                enough.set()

        with running(huey):
            assert enough.wait(PATIENCE)

    def test_no_consumer_runs_it_without_periodic(self, huey: Huey) -> None:
        huey.periodic_task(0.01)(nothing)
        news = News(huey)

        @huey.task()
        def done() -> int:
            return 1

        with running(huey, periodic=False):
            result = done.schedule(delay=0.1)
            assert result.get(blocking=True, timeout=PATIENCE) == 1

        assert {task.name for _, task, _ in news.sent} == {"done"}

    def test_two_consumers_share_the_ticks(self, make_huey: MakeHuey) -> None:
        huey = make_huey()
        enough = threading.Event()
        planned: list[str] = []

        @huey.periodic_task(0.05, context=True)
        def often(task: Any) -> None:
            planned.append(task.id)
            if len(planned) == 6:
                enough.set()

        with running(huey), running(huey):
            assert enough.wait(PATIENCE)
            ticks = huey._lossless.last_ticks()

        assert len(set(planned)) == len(planned)
        assert list(ticks) == [f"{__name__}.often"]

    def test_predicates_of_any_kind_are_looked_at_each_minute(
        self, huey: Huey, ticks: Ticks, clock: Clock
    ) -> None:
        asked: list[datetime] = []
        rules: list[Callable[[datetime], bool]] = [
            lambda timestamp: not asked.append(timestamp),  # type: ignore[func-returns-value]
        ]
        huey.periodic_task(rules[0])(nothing)
        ticks.run()

        clock.time += 60
        ticks.run()

        assert (NOON + timedelta(minutes=1)).replace(tzinfo=None) in asked
        assert len(huey) == 1
