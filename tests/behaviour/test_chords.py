"""A task on the results of many: who reports what, and when the callback runs."""

import random
from typing import Any

import pytest

from huey.api import (
    SKIPPED,
    ChordResult,
    Error,
    Huey,
    MemoryHuey,
    RetryTask,
    TaskException,
    chord,
    group,
)
from huey.storage.memory import MemoryStorage
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import (
    PATIENCE,
    News,
    dequeued,
    gather,
    run_all,
    run_next,
    running,
)


def add(*numbers: Any) -> Any:
    if None in numbers:
        raise ValueError("nothing to add")
    return sum(numbers) if numbers else None


@pytest.fixture(params=[False, True], ids=["queued", "immediate"])
def huey(request: pytest.FixtureRequest, make_huey: MakeHuey) -> Huey:
    """Every chord works in both modes."""
    return make_huey(immediate=request.param)


@pytest.fixture
def queued(make_huey: MakeHuey) -> Huey:
    """For what is about the queue."""
    return make_huey()


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


@pytest.fixture
def gathered(huey: Huey) -> Any:
    return huey.task()(gather)


def test_the_callback_gets_all_results_in_the_order_of_the_members(
    huey: Huey, sums: Any, gathered: Any
) -> None:
    result = huey.enqueue(chord([sums.s(n) for n in range(5)], gathered))
    run_all(huey)

    assert isinstance(result, ChordResult)
    assert result.get() == result() == [0, 1, 2, 3, 4]
    assert result.results.get() == [0, 1, 2, 3, 4]
    assert result.pipeline_results is None
    assert result.callback.id == result.callback.task.id


def test_it_does_not_matter_who_finishes_first(queued: Huey) -> None:
    sums, gathered = queued.task()(add), queued.task()(gather)
    result = queued.enqueue(chord([sums.s(n) for n in range(6)], gathered))
    tasks = [dequeued(queued) for _ in range(6)]
    random.Random(4).shuffle(tasks)

    for task in tasks:
        assert len(queued) == 0
        queued.execute(task)
    run_next(queued)

    assert result.get() == list(range(6))


def test_it_leaves_nothing_behind_but_results(queued: Huey) -> None:
    sums, gathered = queued.task()(add), queued.task()(gather)
    result = queued.enqueue(chord([sums.s(n) for n in range(3)], gathered))
    run_all(queued)
    assert result.get() == [0, 1, 2]

    assert queued.result_count() == 3
    assert set(queued.all_results()) == {member.id for member in result.results}
    if isinstance(queued.storage, MemoryStorage):
        assert queued.storage._counters == {}


def test_an_empty_chord_calls_back_at_once(huey: Huey, gathered: Any) -> None:
    empty = chord([], gathered.s())

    results = [huey.enqueue(empty), huey.enqueue(empty)]
    run_all(huey)

    assert empty.callback.args == ()
    assert results[0].get() == []
    assert len(results[0].results) == 0


def test_a_chord_can_be_enqueued_twice(queued: Huey) -> None:
    sums, gathered = queued.task()(add), queued.task()(gather)
    twice = chord([sums.s(1), sums.s(2)], gathered)

    for _ in range(2):
        result = queued.enqueue(twice)
        run_all(queued)
        assert result.get() == [1, 2]
        for member in result.results:
            assert member.get() is not None


def test_a_generator_has_no_length(huey: Huey, sums: Any, gathered: Any) -> None:
    with pytest.raises(TypeError):
        huey.enqueue(chord((sums.s(n) for n in range(2)), gathered))


def test_a_member_that_is_there_twice_would_report_once(
    huey: Huey, sums: Any, gathered: Any
) -> None:
    member = sums.s(1)

    with pytest.raises(ValueError, match="twice"):
        huey.enqueue(chord([member, member], gathered))
    with pytest.raises(ValueError, match="twice"):
        huey.enqueue(chord([member, chord([member], gathered)], gathered))


def test_none_arrives_as_none(huey: Huey, sums: Any, gathered: Any) -> None:
    result = huey.enqueue(chord([sums.s(), sums.s(1)], gathered))
    run_all(huey)

    assert result.get() == [None, 1]
    assert result.results.get() == [None, 1]


def test_without_results_a_chord_works_and_leaves_nothing(make_huey: MakeHuey) -> None:
    huey = make_huey(results=False)
    found: list[Any] = []
    sums, callback = huey.task()(add), huey.task(name="callback")(found.append)

    result = huey.enqueue(chord([sums.s(1), sums.s(2)], callback))
    run_all(huey)

    assert isinstance(result, ChordResult)
    assert found == [[1, 2]]
    assert huey.result_count() == 0


def test_one_member_will_do(huey: Huey, sums: Any, gathered: Any) -> None:
    result = huey.enqueue(chord([sums.s(1)], gathered))
    run_all(huey)

    assert result.get() == [1]


class TestMembersThatDoNotSucceed:
    def test_a_failed_one_reports_its_error(self, huey: Huey, sums: Any, gathered: Any) -> None:
        result = huey.enqueue(chord([sums.s(1), sums.s(None)], gathered))
        run_all(huey)

        value, error = result.get()
        assert value == 1
        assert isinstance(error, Error)
        assert error.metadata["error"] == "ValueError('nothing to add')"
        assert result.results[0] == 1
        with pytest.raises(TaskException, match="nothing to add"):
            result.results[1]

    def test_one_that_succeeds_in_the_end_reports_only_that(self, queued: Huey) -> None:
        attempts: list[int] = []

        @queued.task(retries=2)
        def third_time() -> int:
            attempts.append(1)
            if len(attempts) < 3:
                raise ValueError("not yet")
            return 3

        sums, gathered = queued.task()(add), queued.task()(gather)
        result = queued.enqueue(chord([third_time.s(), sums.s(1)], gathered))
        run_all(queued)

        assert result.get() == [3, 1]

    def test_one_that_asks_for_another_try_reports_later(self, queued: Huey) -> None:
        answers: list[Any] = [RetryTask(delay=5), 3]

        @queued.task()
        def patient() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        sums, gathered = queued.task()(add), queued.task()(gather)
        result = queued.enqueue(chord([patient.s(), sums.s(1)], gathered))
        run_all(queued)
        assert (result.get(), queued.scheduled_count()) == (None, 1)

        [task] = queued.read_schedule(make_far(queued))
        queued.execute(task, task.eta)
        run_all(queued)
        assert result.get() == [3, 1]

    def test_error_handlers_and_retries_come_before_the_callback(self, queued: Huey) -> None:
        handler = queued.task(name="handler")(repr)
        sums, gathered = queued.task()(add), queued.task()(gather)
        queued.enqueue(chord([sums.s(None, retries=1).error(handler)], gathered))

        run_next(queued)
        assert [task.name for task in queued.pending()] == ["handler", "add"]
        run_next(queued)
        run_next(queued)
        assert [task.name for task in queued.pending()] == ["handler", "gather"]

    def test_a_skipped_one_is_the_very_constant(self, huey: Huey, sums: Any, gathered: Any) -> None:
        members = [sums.s(1), sums.s(2), sums.s(3, expires=-1)]
        huey.revoke(members[1])

        result = huey.enqueue(chord(members, gathered))
        run_all(huey)

        values = result.get()
        assert values[0] == 1
        assert values[1] is values[2] is SKIPPED

    def test_a_pipeline_reports_for_its_last_stage(
        self, huey: Huey, sums: Any, gathered: Any
    ) -> None:
        members = [
            sums.s(1).then(sums, 2),
            sums.s(None).then(sums, 3),
            sums.s(4).then(sums, None).then(sums, 5),
            sums.s(6).then(sums, 7, expires=-1).then(sums, 8),
        ]

        result = huey.enqueue(chord(members, gathered))
        run_all(huey)

        values = result.get()
        assert values[0] == 3
        assert [type(value) for value in values[1:3]] == [Error, Error]
        assert values[3] is SKIPPED
        assert result.results[0] == 3

    def test_a_revoked_head_skips_the_whole_member(
        self, huey: Huey, sums: Any, gathered: Any
    ) -> None:
        head = sums.s(1).then(sums, 2)
        huey.revoke(head)

        result = huey.enqueue(chord([head, sums.s(3)], gathered))
        run_all(huey)

        assert result.get() == [SKIPPED, 3]


def make_far(huey: Huey) -> Any:
    """An instant after all that these tests schedule."""
    [task] = huey.scheduled()
    return task.eta


class TestWhatFollows:
    def test_the_callback_can_have_a_pipeline(self, huey: Huey, sums: Any) -> None:
        @huey.task()
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        made = chord([sums.s(1), sums.s(2)], total)
        assert made.then(sums, 10) is made
        result = huey.enqueue(made)
        if not huey.immediate:
            for _ in range(3):
                run_next(huey)
            assert result.pipeline_results.get(preserve=True) == [3, None]
            run_next(huey)

        assert result.pipeline_results.get() == [3, 13]
        assert result.pipeline_results[0] == 3

    def test_the_result_is_that_of_the_callback(self, queued: Huey) -> None:
        sums, gathered = queued.task()(add), queued.task()(gather)
        result = queued.enqueue(chord([sums.s(1)], gathered).then(queued.task(name="show")(str)))
        run_all(queued)

        assert result.get() == [1]
        result.reset()
        assert result.get() is None

    def test_a_handler_is_for_the_callback_only(self, huey: Huey, sums: Any) -> None:
        handled: list[str] = []

        @huey.task()
        def handler(error: Exception) -> None:
            handled.append(str(error))

        @huey.task()
        def fails(values: list[Any]) -> None:
            raise ValueError("the callback")

        made = chord([sums.s(1), sums.s(None)], fails)
        assert made.error(handler) is made
        result = huey.enqueue(made)
        run_all(huey)

        assert handled == ["the callback"]
        with pytest.raises(TaskException, match="the callback"):
            result.get()

    def test_the_own_arguments_of_the_callback_come_first(self, huey: Huey, sums: Any) -> None:
        @huey.task()
        def show(prefix: str, numbers: list[int]) -> str:
            return f"{prefix}{numbers}"

        result = huey.enqueue(chord([sums.s(1)], show.s("got ")))
        run_all(huey)

        assert result.get() == "got [1]"


class TestNesting:
    def test_three_levels(self, huey: Huey, sums: Any) -> None:
        @huey.task()
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        inner = chord([sums.s(1), sums.s(2)], total)
        middle = chord([inner, sums.s(3)], total)

        result = huey.enqueue(chord([middle, sums.s(4)], total))
        run_all(huey)

        assert result.get() == 10

    def test_an_inner_pipeline_reports_its_last_stage(
        self, huey: Huey, sums: Any, gathered: Any
    ) -> None:
        @huey.task()
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        inner = chord([sums.s(1), sums.s(2)], total).then(sums, 10)

        result = huey.enqueue(chord([inner, sums.s(4)], gathered))
        run_all(huey)

        assert result.get() == [13, 4]
        assert result.results.get() == [13, 4]

    def test_an_empty_inner_chord_reports_too(self, huey: Huey, sums: Any, gathered: Any) -> None:
        result = huey.enqueue(chord([chord([], gathered), sums.s(1)], gathered))
        run_all(huey)

        assert result.get() == [[], 1]

    def test_a_group_inside_is_refused_with_nothing_enqueued(
        self, huey: Huey, sums: Any, gathered: Any
    ) -> None:
        news = News(huey)
        deep = chord([sums.s(1), chord([sums.s(2), group([sums.s(3)])], gathered)], gathered)

        with pytest.raises(ValueError, match="group"):
            huey.enqueue(deep)

        assert (len(huey), news.names) == (0, [])

    def test_each_leaf_is_announced_and_no_callback_before_its_time(self, queued: Huey) -> None:
        news = News(queued)
        sums, gathered = queued.task()(add), queued.task()(gather)
        inner = chord([sums.s(1), sums.s(2)], gathered)

        queued.enqueue(chord([inner, sums.s(3).then(sums, 4), sums.s(5)], gathered))

        assert news.names == ["enqueued"] * 4


def test_members_and_callback_can_be_scheduled(queued: Huey) -> None:
    sums, gathered = queued.task()(add), queued.task()(gather)
    result = queued.enqueue(chord([sums.s(1, delay=30), sums.s(2)], gathered.s(delay=60)))
    run_all(queued)
    assert queued.scheduled_count() == 1

    [member] = queued.read_schedule(make_far(queued))
    queued.execute(member, member.eta)
    assert run_next(queued) is None
    [callback] = queued.read_schedule(make_far(queued))
    assert queued.execute(callback, callback.eta) == [1, 2]
    assert result.get() == [1, 2]


def test_a_member_that_runs_twice_counts_once(queued: Huey) -> None:
    sums, gathered = queued.task()(add), queued.task()(gather)
    result = queued.enqueue(chord([sums.s(1), sums.s(2)], gathered))
    first = dequeued(queued)

    queued.execute(first)
    queued.execute(first)
    assert len(queued) == 1
    run_all(queued)

    assert result.get() == [1, 2]


def test_a_consumer_completes_many_chords_at_once(make_huey: MakeHuey) -> None:
    huey = make_huey()
    sums, gathered = huey.task()(add), huey.task()(gather)

    with running(huey, workers=4):
        results = [huey.enqueue(chord([sums.s(n) for n in range(9)], gathered)) for _ in range(9)]
        for result in results:
            assert result.get(blocking=True, timeout=PATIENCE) == list(range(9))


def test_a_task_may_fan_out_itself(make_huey: MakeHuey) -> None:
    huey = make_huey()
    sums, gathered = huey.task()(add), huey.task()(gather)

    @huey.task()
    def fan_out(count: int) -> str:
        made = huey.enqueue(chord([sums.s(n) for n in range(count)], gathered))
        return str(made.callback.id)

    with running(huey, workers=2):
        callback = fan_out(3).get(blocking=True, timeout=PATIENCE)
        assert huey.result(str(callback), blocking=True, timeout=PATIENCE) == [0, 1, 2]


def test_counters_of_memory_are_the_ones_others_look_at() -> None:
    huey = MemoryHuey()
    sums, gathered = huey.task()(add), huey.task()(gather)
    huey.enqueue(chord([sums.s(1), sums.s(2)], gathered))
    run_next(huey)

    [counter] = huey.storage._counters  # type: ignore[attr-defined]  # of the memory storage
    assert counter.startswith("chord:")
