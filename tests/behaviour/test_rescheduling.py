"""Enqueueing a task again in place of the old one."""

from typing import Any

import pytest

from huey.api import Huey, HueyException, Result, Task, utcnow
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import dequeued, run_next


def add(a: int = 0, b: int = 0) -> int:
    return a + b


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


def test_the_old_one_is_dropped_when_it_is_reached(huey: Huey, sums: Any) -> None:
    old = sums(1, 2)

    new = old.reschedule()

    assert new.id != old.id
    assert len(huey) == 2
    assert [run_next(huey), run_next(huey)] == [None, 3]
    assert (old.get(), new.get()) == (None, 3)
    assert huey.result_count() == 0


def test_it_keeps_what_the_call_was_given(huey: Huey, sums: Any) -> None:
    given = {"retries": 3, "retry_delay": 4, "retry_backoff": 2, "timeout": 5, "priority": 6}
    old = sums.options(**given)(1, b=2)

    new = old.reschedule()

    assert {name: getattr(new.task, name) for name in given} == given
    assert new.task.data == ((1,), {"b": 2})
    assert type(new.task) is sums.task_class


def test_the_priority_can_change_and_puts_it_first(huey: Huey, sums: Any) -> None:
    old = sums(1, priority=1)

    old.reschedule(priority=9)

    assert [task.priority for task in huey.pending()] == [9, 1]


def test_the_expiry_can_change(huey: Huey, sums: Any) -> None:
    new = sums(1, expires=60).reschedule(expires=3600)

    assert new.task.expires == 3600


def test_a_time_can_be_given(huey: Huey, sums: Any) -> None:
    old = sums.schedule((1, 2), delay=60)

    new = old.reschedule(delay=3600)

    assert (new.task.eta - utcnow()).total_seconds() > 3000
    with pytest.raises(ValueError, match="exactly one"):
        old.reschedule(eta=utcnow(), delay=1)


def test_what_cannot_be_meant_leaves_the_old_one_alone(huey: Huey, sums: Any) -> None:
    old = sums(1, 2)

    with pytest.raises(ValueError, match="exactly one"):
        old.reschedule(eta=utcnow(), delay=1)
    assert (old.is_revoked(), len(huey)) == (False, 1)

    nameless: Result[Any] = Result(huey, Task(id=old.id))
    with pytest.raises(HueyException):
        nameless.reschedule()
    assert (old.is_revoked(), len(huey)) == (False, 1)


def test_the_pipeline_is_kept_unless_it_is_not_wanted(huey: Huey, sums: Any) -> None:
    def pipeline() -> Any:
        return next(iter(huey.enqueue(sums.s(1).then(sums, 10).error(sums))))

    kept = pipeline().reschedule()
    cut = pipeline().reschedule(preserve_pipeline=False)
    for _ in range(4):
        run_next(huey)

    assert len(kept) == 2
    assert kept.get() == [1, None]
    assert (cut.task.on_complete, cut.task.on_error, cut.get()) == (None, None, 1)
    [following] = huey.pending()
    assert following.data == ((10, 1), {})


def test_it_keeps_its_place_in_a_chord(huey: Huey, sums: Any) -> None:
    old = sums.s(1)
    old.chord_config = object()
    result: Result[Any] = Result(huey, old)

    made: list[Task] = []
    huey.signal("enqueued")(lambda signal, task: made.append(task))
    with pytest.raises(AttributeError):
        result.reschedule()

    assert made[0].chord_config is old.chord_config


def test_immediate_mode_runs_it_at_once(make_huey: MakeHuey) -> None:
    huey = make_huey(immediate=True)
    sums = huey.task()(add)
    old = sums.schedule((1, 2), delay=60)

    new = old.reschedule()

    assert new.get() == 3
    assert (huey.result_count(), huey.scheduled_count()) == (1, 1)
    assert old.is_revoked() is True


def test_a_task_can_be_rescheduled_from_its_stored_form(huey: Huey, sums: Any) -> None:
    sums(1, 2)
    handle: Result[Any] = Result(huey, dequeued(huey))

    new = handle.reschedule()

    assert run_next(huey) == 3
    assert new.get() == 3
