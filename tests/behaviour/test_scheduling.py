"""Tasks for later: how a time is given, when it has come, what the schedule gives back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from huey.api import Huey, utcnow
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, dequeued, later, make_due, run_next, running

SECOND = timedelta(seconds=1)


def add(a: int = 0, b: int = 0) -> int:
    return a + b


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


class TestGivingATime:
    @pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1)])
    def test_a_lone_argument_can_be_the_delay(self, huey: Huey, sums: Any, delay: Any) -> None:
        before = utcnow()
        sums.schedule(delay)

        task: Any = dequeued(huey)
        assert before <= task.eta - timedelta(seconds=60) <= utcnow()
        assert task.args == ()

    def test_a_lone_argument_can_be_the_instant(self, huey: Huey, sums: Any) -> None:
        sums.schedule(datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

        assert dequeued(huey).eta == datetime(2030, 1, 2, 3, 4, 5, 678901)

    @pytest.mark.parametrize("wrong", [None, "soon", (1, 2)])
    def test_without_a_time_it_is_refused(self, huey: Huey, sums: Any, wrong: Any) -> None:
        with pytest.raises(ValueError, match="needs a time"):
            sums.schedule(wrong)
        assert len(huey) == 0

    def test_keywords_must_be_a_dict(self, huey: Huey, sums: Any) -> None:
        with pytest.raises(ValueError, match="dict"):
            sums.schedule((1,), [("b", 2)], delay=1)
        assert len(huey) == 0

    @pytest.mark.parametrize("wrong", ["2030-01-01", 1_893_456_000])
    def test_an_eta_must_be_a_datetime(self, huey: Huey, sums: Any, wrong: Any) -> None:
        with pytest.raises(ValueError, match="datetime"):
            sums.schedule((1,), eta=wrong)
        with pytest.raises(ValueError, match="datetime"):
            sums(1, eta=wrong)
        assert len(huey) == 0

    def test_all_options_of_a_call_are_taken(self, huey: Huey, sums: Any) -> None:
        options = {"retries": 3, "retry_delay": 4, "retry_backoff": 2, "priority": 5}

        result = sums.schedule((1,), {"b": 2}, delay=-1, id="i", expires=60, timeout=9, **options)

        task = dequeued(huey)
        assert {name: getattr(task, name) for name in options} == options
        assert (task.data, task.id, task.expires, task.timeout) == (((1,), {"b": 2}), "i", 60, 9)
        assert result.id == "i"

    def test_arguments_that_are_no_tuple_travel_all_the_same(self, huey: Huey, sums: Any) -> None:
        sums.schedule(3, delay=60)

        run_next(huey)
        [task] = make_due(huey, 61)

        assert task.args == 3
        assert [pending.args for pending in huey.pending()] == [3]

    @pytest.mark.parametrize("delay", [0, timedelta(0), -1])
    def test_no_delay_and_a_negative_one_mean_now(self, huey: Huey, sums: Any, delay: Any) -> None:
        sums.schedule((1, 2), delay=delay)

        assert run_next(huey) == 3

    def test_an_instant_in_the_past_means_now(self, huey: Huey, sums: Any) -> None:
        sums.schedule((1, 2), eta=datetime(2020, 1, 1))

        assert run_next(huey) == 3

    def test_a_later_stage_counts_from_when_it_was_made(self, huey: Huey, sums: Any) -> None:
        before = utcnow()

        task = sums.s(1).then(sums, 3, delay=20)

        eta = task.on_complete.eta
        assert before <= eta - timedelta(seconds=20) <= utcnow()
        assert task.on_complete.data == ((3,), {})


class TestConventions:
    def test_utc_false_keeps_naive_instants_to_the_microsecond(self, make_huey: MakeHuey) -> None:
        huey = make_huey(utc=False)
        sums = huey.task()(add)
        eta = datetime(2030, 1, 2, 3, 4, 5, 678901)

        sums.schedule((1,), eta=eta)
        task = dequeued(huey)
        huey.execute(task)

        assert task.eta == eta
        [scheduled] = huey.scheduled()
        assert scheduled.eta == eta
        assert huey.read_schedule(eta - timedelta(microseconds=1)) == []
        assert huey.read_schedule(eta) == [task]

    def test_no_task_starts_before_its_microsecond(self, huey: Huey, sums: Any) -> None:
        eta = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        task = sums.s(1, eta=eta)

        assert huey.execute(task, task.eta - timedelta(microseconds=1)) is None
        assert huey.execute(task, task.eta) == 1


class TestTheSchedule:
    def test_what_is_due_is_read_once_soonest_first_and_to_the_instant(
        self, huey: Huey, sums: Any
    ) -> None:
        base = datetime(2030, 1, 1)
        for seconds in (30, 10, 20, 40):
            huey.add_schedule(sums.task_class((seconds,), eta=base + seconds * SECOND))

        due = huey.read_schedule(base + 30 * SECOND)

        assert [task.args for task in due] == [(10,), (20,), (30,)]
        assert huey.read_schedule(base + 30 * SECOND) == []
        assert huey.scheduled_count() == 1

    def test_looking_at_it_leaves_it_alone(self, huey: Huey, sums: Any) -> None:
        base = datetime(2030, 1, 1)
        for seconds in (30, 10, 20):
            huey.add_schedule(sums.task_class((seconds,), eta=base + seconds * SECOND))

        assert [task.args for task in huey.scheduled()] == [(10,), (20,), (30,)]
        assert [task.args for task in huey.scheduled(2)] == [(10,), (20,)]
        assert huey.scheduled_count() == 3

    def test_a_task_keeps_what_it_was_given(self, huey: Huey, sums: Any) -> None:
        given = {"priority": 5, "expires": 60, "retries": 3, "timeout": 9}
        sums.schedule((1,), delay=60, **given)
        run_next(huey)

        [task] = huey.read_schedule(later(huey, 61))

        assert {name: getattr(task, name) for name in given} == given

    def test_a_task_without_a_time_is_due_at_once(self, huey: Huey, sums: Any) -> None:
        huey.add_schedule(sums.s(1))

        assert [task.args for task in huey.read_schedule(datetime(1971, 1, 1))] == [(1,)]

    def test_what_is_no_known_task_is_skipped_when_reading(
        self, huey: Huey, sums: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = huey.task(name="other")(add)
        huey.add_schedule(other.s(1))
        huey.add_schedule(sums.s(2))
        other.unregister()

        assert [task.args for task in huey.read_schedule(later(huey, 1))] == [(2,)]
        [record] = [record for record in caplog.records if record.levelname == "ERROR"]
        assert "other" in record.getMessage()


class TestWithAConsumer:
    def test_a_task_runs_when_its_time_has_come_and_not_before(self, huey: Huey, sums: Any) -> None:
        started: list[datetime] = []

        @huey.task()
        def note() -> int:
            started.append(utcnow())
            return 1

        with running(huey):
            result = note.schedule(delay=0.2)
            assert result.get(blocking=True, timeout=PATIENCE) == 1

        assert result.task.eta is not None
        assert started[0] >= result.task.eta

    def test_the_soonest_wakes_the_scheduler(self, huey: Huey, sums: Any) -> None:
        with running(huey, scheduler_interval=60):
            far = sums.schedule((1,), delay=3600)
            near = sums.schedule((2,), delay=0.1)

            assert near.get(blocking=True, timeout=PATIENCE) == 2
            assert far.is_ready() is False

    def test_priority_counts_when_it_has_become_due(self, huey: Huey) -> None:
        order: list[int] = []
        note = huey.task()(order.append)
        for number, priority in ((1, 1), (2, 3), (3, 2)):
            huey.add_schedule(note.task_class((number,), priority=priority, eta=utcnow()))

        for task in huey.read_schedule(utcnow()):
            huey.enqueue(task)
        while len(huey):
            run_next(huey)

        assert order == [2, 3, 1]
