"""The queue: putting tasks on it, looking at it, taking them off."""

import threading
from datetime import datetime
from typing import Any

import pytest

from huey.api import Huey, HueyException, MemoryHuey, Result, ResultGroup, Task, chord, group
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import News, dequeued, gather, later, run_all, run_next


def add(a: int, b: int = 0) -> int:
    return a + b


def test_calling_a_task_enqueues_it(huey: Huey) -> None:
    sums = huey.task()(add)

    result = sums(1, b=2)

    assert (len(huey), huey.pending_count(), huey.result_count()) == (1, 1, 0)
    assert isinstance(result, Result)
    task = dequeued(huey)
    assert (task.id, task.data) == (result.id, ((1,), {"b": 2}))
    assert huey.execute(task) == 3
    assert result.get() == 3


def test_an_empty_huey_is_still_true(huey: Huey) -> None:
    assert len(huey) == 0
    assert bool(huey) is True
    assert huey.dequeue() is None


def test_a_task_for_later_is_in_the_queue_until_it_was_seen(huey: Huey) -> None:
    sums = huey.task()(add)

    sums.schedule((1, 2), delay=60)
    assert (len(huey), huey.scheduled_count()) == (1, 0)
    assert run_next(huey) is None

    assert (len(huey), huey.scheduled_count()) == (0, 1)


def test_whether_a_task_is_ready_depends_on_its_time(huey: Huey) -> None:
    sums = huey.task()(add)
    task = sums.s(1, delay=60)

    assert huey.ready_to_run(sums.s(1)) is True
    assert huey.ready_to_run(task) is False
    assert huey.ready_to_run(task, task.eta) is True


def test_tasks_leave_by_priority_and_then_in_order(huey: Huey) -> None:
    sums = huey.task()(add)
    for number, priority in enumerate((None, 1, 0, 2, None, 1)):
        sums(number, priority=priority)  # type: ignore[call-arg]  # an option of the call

    order = [task.data[0][0] for task in huey.pending()]

    assert order == [3, 1, 5, 0, 2, 4]
    assert [dequeued(huey).data[0][0] for _ in range(6)] == order


def test_looking_at_the_queue_leaves_it_alone(huey: Huey) -> None:
    sums = huey.task()(add)
    for number in range(3):
        sums(number)

    assert [task.data[0][0] for task in huey.pending()] == [0, 1, 2]
    assert [task.data[0][0] for task in huey.pending(limit=2)] == [0, 1]
    assert len(huey) == 3


def test_what_is_no_known_task_is_skipped_when_looking(
    huey: Huey, caplog: pytest.LogCaptureFixture
) -> None:
    sums, other = huey.task()(add), huey.task(name="other")(add)
    other(1)
    sums(2)
    huey.add_schedule(other.s(3, eta=datetime(2030, 1, 1)))
    huey.add_schedule(sums.s(4, eta=datetime(2030, 1, 2)))
    other.unregister()

    assert [task.args for task in huey.pending()] == [(2,)]
    assert [task.args for task in huey.scheduled()] == [(4,)]
    assert len(caplog.records) == 2


def test_taking_an_unknown_task_off_by_hand_raises(huey: Huey) -> None:
    sums = huey.task()(add)
    sums(1)
    sums.unregister()

    with pytest.raises(HueyException, match="not found in TaskRegistry"):
        huey.dequeue()


def test_flush_forgets_everything(huey: Huey) -> None:
    sums = huey.task()(add)
    sums(1)
    huey.add_schedule(sums.s(1, delay=60))
    huey.put("key", 1)
    huey.storage.incr("counter")

    huey.flush()

    assert (len(huey), huey.scheduled_count(), huey.result_count()) == (0, 0, 0)
    assert huey.storage.incr("counter", 0) == 0


class TestBulk:
    def test_map_calls_once_per_item_and_spreads_tuples(self, huey: Huey) -> None:
        sums, echo = huey.task()(add), huey.task(name="echo")(gather)

        group = sums.map([(1, 2), (3,), 4])
        lists = echo.map([[1, 2]])
        run_all(huey)

        assert group is not None
        assert lists is not None
        assert group.get() == [3, 3, 4]
        assert lists.get() == [[1, 2]]

    def test_enqueue_many_gives_the_last_handle_of_a_pipeline(self, huey: Huey) -> None:
        sums = huey.task()(add)

        results = huey.enqueue_many([sums.s(1), sums.s(2).then(sums, 3)])
        run_all(huey)

        assert results is not None
        assert results.get() == [1, 5]

    def test_more_than_one_round_trip_keeps_the_order(self, huey: Huey) -> None:
        sums = huey.task()(add)

        results = huey.enqueue_many(sums.s(number, id=str(number)) for number in range(1200))

        assert results is not None
        assert [result.id for result in results] == [str(number) for number in range(1200)]
        assert [task.id for task in huey.pending(3)] == ["0", "1", "2"]
        assert len(huey) == 1200

    @pytest.mark.parametrize("immediate", [False, True])
    def test_what_is_no_task_is_refused_before_anything_is_enqueued(
        self, make_huey: MakeHuey, immediate: bool
    ) -> None:
        huey = make_huey(immediate=immediate)
        sums = huey.task()(add)
        news = News(huey)

        for wrong in (sums, group([sums.s(1)]), None):
            with pytest.raises(TypeError, match="enqueue_many"):
                huey.enqueue_many([sums.s(1), wrong])

        assert (len(huey), news.names) == (0, [])


class TestNothingIsHalfEnqueued:
    @pytest.mark.parametrize("wrong", [None, add, "add", 1, [1]])
    def test_enqueue_takes_tasks_groups_and_chords(self, wrong: object) -> None:
        with pytest.raises(TypeError, match=r"\.s\("):
            MemoryHuey().enqueue(wrong)

    def test_a_wrapper_is_not_a_call(self, huey: Huey) -> None:
        with pytest.raises(TypeError, match=r"\.s\("):
            huey.enqueue(huey.task()(add))

    def test_arguments_that_cannot_travel_are_refused_at_the_call(self, huey: Huey) -> None:
        sums = huey.task()(add)

        with pytest.raises(TypeError) as caught:
            sums(threading.Lock())  # type: ignore[arg-type]  # that is the mistake

        assert "add" in "".join(getattr(caught.value, "__notes__", []))
        assert len(huey) == 0

    def test_a_group_is_enqueued_whole_or_not_at_all(self, huey: Huey) -> None:
        sums = huey.task()(add)

        with pytest.raises(TypeError):
            huey.enqueue(group([sums.s(1), sums.s(threading.Lock())]))
        with pytest.raises(TypeError):
            huey.enqueue(group([sums.s(1), None]))

        assert len(huey) == 0

    def test_a_chord_is_enqueued_whole_or_not_at_all(self, huey: Huey, news: News) -> None:
        sums, gathered = huey.task()(add), huey.task()(gather)

        with pytest.raises(TypeError):
            huey.enqueue(chord([sums.s(1), sums.s(threading.Lock())], gathered))
        news.take()
        with pytest.raises(ValueError, match="group"):
            huey.enqueue(chord([sums.s(1), group([sums.s(2)])], gathered))
        with pytest.raises(ValueError, match="members"):
            huey.enqueue(chord([sums.s(1), sums], gathered))

        assert (len(huey), news.names) == (0, [])

    def test_a_pipeline_with_an_unknown_stage_is_refused(self, huey: Huey) -> None:
        sums, other = huey.task()(add), MemoryHuey().task()(gather)

        with pytest.raises(HueyException, match="not registered"):
            huey.enqueue(sums.s(1).then(sums, 2).then(other))
        with pytest.raises(HueyException, match="not registered"):
            huey.enqueue(sums.s(1).error(other))
        with pytest.raises(HueyException, match="not registered"):
            huey.enqueue(chord([sums.s(1)], other))
        with pytest.raises(HueyException, match="not registered"):
            huey.enqueue(Task())

        assert len(huey) == 0

    def test_a_pipeline_in_a_circle_is_refused_when_it_is_built(self, huey: Huey) -> None:
        sums = huey.task()(add)
        first, second = sums.s(1), sums.s(2)
        first.then(second)

        for wrong in (first, second):
            with pytest.raises(ValueError, match="already"):
                first.then(wrong)
            with pytest.raises(ValueError, match="already"):
                second.then(wrong)
        with pytest.raises(ValueError, match="already"):
            first.error(first)

    def test_a_circle_by_way_of_an_error_handler_is_refused_when_enqueued(
        self, huey: Huey, news: News
    ) -> None:
        sums = huey.task()(add)
        first, handler = sums.s(1), sums.s(2)
        first.error(handler)
        handler.then(first)

        with pytest.raises(ValueError, match="leads back"):
            huey.enqueue(first)

        assert (len(huey), news.names) == (0, [])

    def test_only_tasks_can_follow_a_task(self, huey: Huey) -> None:
        sums = huey.task()(add)
        task = sums.s(1)

        for wrong in (add, None, "add"):
            with pytest.raises(TypeError, match="task"):
                task.then(wrong)
            with pytest.raises(TypeError, match="task"):
                task.error(wrong)
            with pytest.raises(TypeError, match="task"):
                chord([task], wrong)
            with pytest.raises(TypeError, match="task"):
                group([task]).then(wrong)
        task.on_complete = add  # type: ignore[assignment]  # that is the mistake
        with pytest.raises(TypeError, match="follow"):
            huey.enqueue(task)
        assert len(huey) == 0


def test_enqueueing_gives_a_handle_per_stage_of_a_pipeline(huey: Huey) -> None:
    sums = huey.task()(add)

    results = huey.enqueue(sums.s(1).then(sums, 2).then(sums, 3))

    assert isinstance(results, ResultGroup)
    assert len(results) == 3


def test_execute_takes_the_instant_that_counts_as_now(huey: Huey) -> None:
    sums = huey.task()(add)
    task = sums.s(1, delay=60)

    assert huey.execute(task, later(huey, 61)) == 1
    assert huey.execute(task) is None
    assert huey.scheduled_count() == 1


def test_a_subclass_may_replace_every_step(make_huey: MakeHuey) -> None:
    steps: list[str] = []

    class Mixin:
        def enqueue(self, item: Any) -> Any:
            steps.append("enqueue")
            return super().enqueue(item)  # type: ignore[misc]  # a mixin of Huey

        def execute(self, task: Task, timestamp: Any = None) -> Any:
            steps.append("execute")
            return super().execute(task, timestamp)  # type: ignore[misc]  # a mixin of Huey

        def _execute(self, task: Task, timestamp: Any = None) -> Any:
            steps.append("_execute")
            return super()._execute(task, timestamp)  # type: ignore[misc]  # a mixin of Huey

    huey = make_huey(mixin=Mixin, immediate=True)
    sums, gathered = huey.task()(add), huey.task()(gather)

    huey.enqueue(chord([sums.s(1), sums.s(2)], gathered))

    # The chord, its two members, its callback.
    assert steps.count("enqueue") == 4
    assert steps.count("execute") == steps.count("_execute") == 3
