"""Too late to start: when an expiry counts from, and what becomes of the task."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from huey.api import SKIPPED, Huey, chord, utcnow
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import (
    News,
    dequeued,
    gather,
    later,
    make_due,
    run_all,
    run_next,
    running,
)

SECOND = timedelta(seconds=1)


def add(a: int = 0, b: int = 0) -> int:
    return a + b


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


class TestResolving:
    @pytest.mark.parametrize("expires", [60, timedelta(minutes=1)])
    def test_a_relative_expiry_counts_from_the_enqueueing(
        self, huey: Huey, sums: Any, expires: Any
    ) -> None:
        made = sums.s(expires=expires)
        assert made.expires_resolved is None
        before = utcnow()
        huey.enqueue(made)

        task: Any = dequeued(huey)
        assert task.expires == expires
        assert before <= task.expires_resolved - timedelta(seconds=60) <= utcnow()

    def test_it_is_resolved_before_receivers_are_told(self, huey: Huey, sums: Any) -> None:
        seen: list[Any] = []
        huey.signal("enqueued")(lambda signal, task: seen.append(task.expires_resolved))

        sums(expires=60)

        assert seen == [dequeued(huey).expires_resolved]
        assert seen != [None]

    def test_an_instant_is_taken_as_it_is(self, huey: Huey, sums: Any) -> None:
        sums(expires=datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

        assert dequeued(huey).expires_resolved == datetime(2030, 1, 2, 3, 4, 5, 678901)

    def test_an_instant_survives_exactly_without_utc(self, make_huey: MakeHuey) -> None:
        huey = make_huey(utc=False)
        expires = datetime(2030, 1, 2, 3, 4, 5, 678901)

        huey.task()(add).schedule((1,), delay=-1, expires=expires)

        assert dequeued(huey).expires_resolved == expires

    def test_the_default_of_the_function_can_be_overridden(self, huey: Huey) -> None:
        sums = huey.task(expires=60)(add)
        sums()
        sums(expires=120)  # type: ignore[call-arg]  # an option of the call
        sums.schedule(delay=-1, expires=datetime(2030, 1, 1, tzinfo=UTC))

        waits = [task.expires_resolved for task in huey.pending()]
        ends = [wait for wait in waits if wait is not None]
        assert timedelta(seconds=50) < ends[1] - ends[0] < timedelta(seconds=70)
        assert ends[2] == datetime(2030, 1, 1)

    def test_a_relative_expiry_is_resolved_once(self, huey: Huey) -> None:
        @huey.task(expires=60, retries=2)
        def fail() -> None:
            raise ValueError("broken")

        fail()
        first = huey.pending()[0].expires_resolved
        run_next(huey)
        assert huey.pending()[0].expires_resolved == first

        fail.schedule(delay=10)
        task = huey.pending()[1]
        huey.execute(task)
        [scheduled] = make_due(huey, 11)
        assert scheduled.expires_resolved == task.expires_resolved

    def test_a_rescheduled_task_counts_anew(self, huey: Huey, sums: Any) -> None:
        result = sums(expires=60)
        again = result.reschedule(expires=600)

        assert again.task.expires == 600
        assert again.task.expires_resolved > result.task.expires_resolved


class TestTheBoundary:
    def test_at_the_very_instant_it_still_runs(self, huey: Huey, sums: Any) -> None:
        sums(1, 2, expires=60)
        task = dequeued(huey)
        end = task.expires_resolved
        assert end is not None

        assert huey.execute(task, end + SECOND) is None
        assert huey.execute(task, end) == 3

    @pytest.mark.parametrize("expires", [0, 0.0, timedelta(0), -5])
    def test_zero_and_less_are_over_already(
        self, huey: Huey, sums: Any, news: News, expires: Any
    ) -> None:
        result = sums(1, 2, expires=expires)
        run_next(huey)

        assert news.names == ["enqueued", "expired"]
        assert result.get() is None

    def test_the_default_of_zero_is_over_already_too(self, huey: Huey) -> None:
        huey.task(expires=0)(add)()

        assert run_next(huey) is None


class TestBeingDropped:
    def test_nothing_is_stored_and_nobody_is_called(self, huey: Huey, sums: Any) -> None:
        called: list[Any] = []
        huey.post_execute("note")(lambda *args: called.append(args))
        on_error, after = huey.task(name="on_error")(gather), huey.task(name="after")(gather)
        task = sums.s(expires=-1).then(after).error(on_error)

        huey.enqueue(task)
        run_next(huey)

        assert (len(huey), huey.result_count(), called) == (0, 0, [])

    def test_a_task_that_waited_too_long_on_the_schedule(self, huey: Huey, sums: Any) -> None:
        sums.schedule((1, 2), delay=30, expires=10)
        run_next(huey)
        make_due(huey, 31)

        assert run_next(huey, later(huey, 31)) is None

    def test_its_chord_goes_on_without_it(self, huey: Huey, sums: Any) -> None:
        result = huey.enqueue(chord([sums.s(1), sums.s(2, expires=-1)], huey.task()(gather)))
        run_all(huey)

        values = result.get()
        assert values == [1, SKIPPED]
        assert values[1] is SKIPPED

    def test_a_consumer_drops_it_too(self, huey: Huey, sums: Any, news: News) -> None:
        late = sums(expires=-1)
        good = sums(1, 2)

        with running(huey):
            assert good.get(blocking=True, timeout=20) == 3

        assert news.of(late.id) == ["enqueued", "expired"]
