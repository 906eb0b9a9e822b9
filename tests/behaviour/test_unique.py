"""Unique tasks: no second one in the queue while one like it has not come to its end."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from huey.api import (
    CancelExecution,
    Huey,
    MemoryHuey,
    Result,
    ResultGroup,
    RetryTask,
    TaskException,
    chord,
    group,
)
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import (
    PATIENCE,
    News,
    dequeued,
    gather,
    make_due,
    run_all,
    run_next,
    running,
)


def index(number: int, part: str = "all") -> str:
    if number < 0:
        raise ValueError("negative")
    return f"{number} {part}"


def places(huey: Huey) -> list[str]:
    """The places that are taken."""
    return [key for key in huey.all_results() if key.startswith("unique:")]


@pytest.fixture
def indexed(huey: Huey) -> Any:
    return huey.task(unique=True)(index)


class TestWhatCountsAsTheSame:
    def test_a_second_call_gives_the_handle_of_the_first(self, huey: Huey, indexed: Any) -> None:
        first, second = indexed(1), indexed(1)

        assert len(huey) == 1
        assert second.id == first.id
        assert second.revoke_id == first.revoke_id
        run_next(huey)
        assert second.get(preserve=True) == first.get() == "1 all"

    def test_other_arguments_are_another_task(self, huey: Huey, indexed: Any) -> None:
        results = [indexed(1), indexed(2), indexed(1, "some")]

        assert len({result.id for result in results}) == len(huey) == 3

    def test_it_does_not_matter_how_an_argument_was_passed(self, huey: Huey, indexed: Any) -> None:
        indexed(1)
        indexed(number=1)
        indexed(1, "all")
        indexed(part="all", number=1)
        indexed.schedule((1,), {"part": "all"}, delay=60)
        huey.enqueue(indexed.s(1, priority=5, retries=3))

        assert len(huey) == 1

    def test_other_functions_have_places_of_their_own(self, huey: Huey, indexed: Any) -> None:
        other = huey.task(name="other", unique=True)(index)

        assert indexed(1).id != other(1).id
        assert len(huey) == 2

    def test_only_the_arguments_that_were_named_count(self, huey: Huey) -> None:
        indexed = huey.task(unique=["number"])(index)

        first, same, other = indexed(1), indexed(1, "some"), indexed(2, "some")

        assert same.id == first.id != other.id

    def test_a_function_can_make_the_key(self, huey: Huey) -> None:
        indexed = huey.task(unique=lambda number, part="all": number % 10)(index)

        assert indexed(1).id == indexed(11, "some").id != indexed(2).id

    def test_a_function_of_any_keywords_can_name_some(self, huey: Huey) -> None:
        @huey.task(unique=["user"])
        def notify(**about: str) -> None: ...

        first = notify(user="a", text="x")

        assert notify(user="a", text="y").id == first.id
        assert notify(user="b", text="x").id != first.id
        assert notify().id != first.id

    def test_plain_data_of_all_kinds_is_compared_by_value(self, huey: Huey) -> None:
        @huey.task(unique=True)
        def take(*values: Any, **more: Any) -> None: ...

        first = take({"a": 1, "b": {2, 3}}, (1, None), when=datetime(2030, 1, 1), x=1, y=b"2")
        second = take({"b": {3, 2}, "a": 1}, [1, None], y=b"2", x=1, when=datetime(2030, 1, 1))

        assert second.id == first.id
        assert take(1).id != take("1").id

    def test_what_has_no_stable_text_is_refused_at_the_call(self, huey: Huey) -> None:
        news = News(huey)
        indexed = huey.task(unique=True)(index)

        with pytest.raises(TypeError, match="plain data"):
            indexed(object())  # type: ignore[arg-type]  # that is the mistake

        assert len(huey) == 0
        assert news.names == ["enqueued", "enqueue_failed"]

    def test_keywords_that_tracing_adds_do_not_count(self, huey: Huey, indexed: Any) -> None:
        first = indexed.s(1)
        first.kwargs["sentry_headers"] = {"trace": "a"}
        second = indexed.s(1)
        second.kwargs["sentry_headers"] = {"trace": "b"}

        assert huey.enqueue(first).id == huey.enqueue(second).id

    def test_the_task_itself_does_not_count(self, huey: Huey) -> None:
        @huey.task(unique=True, context=True)
        def look(number: int, task: Any = None) -> int:
            return number

        assert look(1).id == look(1).id
        assert run_next(huey) == 1
        assert places(huey) == []


class TestHowLong:
    def test_a_place_is_free_after_success(self, huey: Huey, indexed: Any) -> None:
        first = indexed(1)
        assert len(places(huey)) == 1
        run_next(huey)

        assert places(huey) == []
        assert indexed(1).id != first.id

    def test_a_place_is_kept_while_the_task_runs(self, huey: Huey) -> None:
        ids: list[str] = []

        @huey.task(unique=True, context=True)
        def again(task: Any = None) -> None:
            ids.append(huey.enqueue(again.s()).id)

        first = huey.enqueue(again.s())
        run_next(huey)

        assert ids == [first.id]
        assert len(huey) == 0

    def test_until_started_a_running_task_does_not_count(self, huey: Huey) -> None:
        ids: list[str] = []

        @huey.task(unique=True, unique_until="started")
        def again() -> None:
            if not ids:
                ids.append(huey.enqueue(again.s()).id)

        first = huey.enqueue(again.s())
        run_next(huey)

        assert ids != [first.id]
        assert len(huey) == 1
        assert len(places(huey)) == 1
        run_next(huey)
        assert places(huey) == []

    def test_pre_hooks_come_after_the_start(self, huey: Huey) -> None:
        held: list[int] = []
        huey.pre_execute("look")(lambda task: held.append(len(places(huey))))
        huey.task(unique=True, unique_until="started")(index)(1)

        run_next(huey)

        assert held == [0]

    @pytest.mark.parametrize("until", ["done", "started"])
    def test_a_retry_is_never_refused(self, huey: Huey, until: str) -> None:
        indexed = huey.task(unique=True, unique_until=until, retries=2, unique_for=60)(index)
        first = indexed(-1)
        run_next(huey)

        second = indexed(-1)
        assert (second.id == first.id) is (until == "done")
        assert first.id in {task.id for task in huey.pending()}

        run_all(huey)
        assert places(huey) == []

    def test_a_retry_on_the_schedule_keeps_the_place(self, huey: Huey) -> None:
        indexed = huey.task(unique=True, retries=1, retry_delay=30)(index)
        first = indexed(-1)
        run_next(huey)

        assert indexed(-1).id == first.id
        [task] = make_due(huey, 31)
        huey.execute(dequeued(huey), task.eta)

        assert places(huey) == []

    def test_a_task_for_later_keeps_the_place(self, huey: Huey, indexed: Any) -> None:
        first = indexed.schedule((1,), delay=60)
        run_next(huey)
        assert indexed(1).id == first.id
        assert len(huey) == 0

        [task] = make_due(huey, 61)
        huey.execute(dequeued(huey), task.eta)

        assert places(huey) == []

    @pytest.mark.parametrize(
        "error", [ValueError("x"), CancelExecution(), SystemExit(), "revoked", "expired", "hook"]
    )
    def test_any_end_frees_the_place(self, huey: Huey, error: Any) -> None:
        @huey.task(unique=True)
        def end(number: int) -> None:
            if isinstance(error, BaseException):
                raise error

        result = end.options(expires=-1 if error == "expired" else None)(1)
        if error == "revoked":
            result.revoke()
        if error == "hook":
            huey.pre_execute("refuse")(refuse)
        run_next(huey)

        assert places(huey) == []
        assert end(1).id != result.id

    def test_a_task_that_asks_for_another_try_keeps_it(self, huey: Huey) -> None:
        answers: list[Any] = [RetryTask(), 3]

        @huey.task(unique=True)
        def patient() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        first = patient()
        run_next(huey)
        assert patient().id == first.id
        run_all(huey)

        assert places(huey) == []

    def test_a_time_bounds_it_in_any_case(self, huey: Huey) -> None:
        indexed = huey.task(unique=True, unique_for=0.02)(index)
        first = indexed(1)
        huey.storage.wait_result("nothing", timeout=0.06)

        second = indexed(1)

        assert second.id != first.id
        assert len(huey) == 2
        # The first one must not free the place of the second.
        run_next(huey)
        assert len(places(huey)) == 1 or second.is_ready()

    def test_arguments_that_the_task_changes_free_the_place_all_the_same(self, huey: Huey) -> None:
        @huey.task(unique=True)
        def grow(items: list[int]) -> None:
            items.append(1)

        grow([0])
        run_next(huey)

        assert places(huey) == []

    def test_flush_frees_all_places(self, huey: Huey, indexed: Any) -> None:
        first = indexed(1)
        huey.flush()

        assert indexed(1).id != first.id


def refuse(task: Any) -> None:
    raise CancelExecution


class TestConflicts:
    def test_drop_gives_none(self, huey: Huey) -> None:
        news = News(huey)
        indexed = huey.task(unique=True, on_conflict="drop")(index)

        first, second = indexed(1), indexed(1)

        assert isinstance(first, Result)
        assert second is None
        assert len(huey) == 1
        assert news.names == ["enqueued", "enqueued", "duplicate"]
        [*_, (_, _, (other,))] = news.sent
        assert other == first.id

    def test_replace_lets_the_latest_run(self, huey: Huey) -> None:
        ran: list[str] = []

        @huey.task(unique=["number"], on_conflict="replace")
        def work(number: int, text: str) -> str:
            ran.append(text)
            return text

        first, second, third = work(1, "a"), work(1, "b"), work(1, "c")
        assert len(huey) == 3
        assert (first.is_revoked(), second.is_revoked(), third.is_revoked()) == (True, True, False)
        run_all(huey)

        assert ran == ["c"]
        assert third.get() == "c"
        assert huey.result_count() == 0

    def test_replacing_does_not_touch_other_places(self, huey: Huey) -> None:
        work = huey.task(unique=True, on_conflict="replace")(index)
        other = work(2)

        work(1)
        work(1)
        run_all(huey)

        assert other.get() == "2 all"

    def test_a_pipeline_stands_in_its_place_by_its_head(self, huey: Huey, indexed: Any) -> None:
        other = huey.task(name="other")(gather)
        first = huey.enqueue(indexed.s(1).then(other))

        second = huey.enqueue(indexed.s(1).then(other))

        assert isinstance(second, ResultGroup)
        assert next(iter(second)).id == next(iter(first)).id
        assert len(second) == 2
        assert run_all(huey) == 2
        assert first.get() == ["1 all", "1 all"]

    def test_a_stage_that_finds_its_place_taken_is_dropped_like_a_revoked_one(
        self, huey: Huey, indexed: Any
    ) -> None:
        number = huey.task(name="number")(int)
        standing = indexed(1)
        results = huey.enqueue(number.s(1).then(indexed).then(number))
        task = next(task for task in huey.pending() if task.name == "number")
        huey.execute(task)

        assert [task.name for task in huey.pending()].count("index") == 1
        assert results.get() == [1, None, None]
        assert standing.id in {task.id for task in huey.pending()}

    def test_a_group_is_accepted_as_far_as_it_can(self, huey: Huey, indexed: Any) -> None:
        standing = indexed(1)

        results = huey.enqueue(group([indexed.s(1), indexed.s(2), indexed.s(2)]))

        ids = [result.id for result in results]
        assert len(huey) == 2
        assert ids[0] == standing.id
        assert ids[1] == ids[2]
        run_all(huey)
        assert [result.get(preserve=True) for result in results] == ["1 all", "2 all", "2 all"]

    def test_what_is_dropped_has_no_handle_in_a_batch(self, huey: Huey) -> None:
        news = News(huey)
        indexed = huey.task(unique=True, on_conflict="drop")(index)

        results = indexed.map([1, 2, 1, 1])

        assert results is not None
        assert len(results) == len(huey) == 2
        assert news.names.count("duplicate") == 2

    def test_a_chord_takes_no_member_that_could_be_refused(self, huey: Huey, indexed: Any) -> None:
        gathered = huey.task()(gather)

        with pytest.raises(ValueError, match="unique"):
            huey.enqueue(chord([indexed.s(1)], gathered))
        with pytest.raises(ValueError, match="unique"):
            huey.enqueue(chord([gathered.s([]).then(indexed)], gathered))

        assert (len(huey), places(huey)) == (0, [])

    def test_rescheduling_takes_the_place_over(self, huey: Huey, indexed: Any) -> None:
        old = indexed.schedule((1,), delay=60)

        new = old.reschedule()

        assert new.id != old.id
        assert indexed(1).id == new.id
        run_all(huey)
        assert new.get() == "1 all"
        assert places(huey) == []

    def test_without_results_a_conflict_gives_none_too(self, make_huey: MakeHuey) -> None:
        huey = make_huey(results=False)
        indexed = huey.task(unique=True)(index)

        assert (indexed(1), indexed(1)) == (None, None)
        assert len(huey) == 1

    def test_many_callers_at_once_enqueue_one(self, huey: Huey, indexed: Any) -> None:
        ids: list[str] = []
        start = threading.Barrier(8)

        def call() -> None:
            start.wait()
            ids.append(indexed(1).id)

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(ids)) == len(huey) == 1


class TestWithAConsumer:
    def test_a_place_is_free_when_the_result_is_there(self, huey: Huey, indexed: Any) -> None:
        with running(huey, workers=2):
            for _ in range(5):
                result = indexed(1)
                assert result.get(blocking=True, timeout=PATIENCE) == "1 all"
                assert places(huey) == []

    def test_a_final_failure_frees_it(self, huey: Huey) -> None:
        indexed = huey.task(unique=True, retries=1)(index)

        with running(huey):
            result = indexed(-1)
            with pytest.raises(TaskException):
                result.get(blocking=True, timeout=PATIENCE)
            while result.get_raw_result().metadata["retries"]:
                result.reset()
                result.get_raw_result(blocking=True, timeout=PATIENCE)
            assert places(huey) == []

    def test_a_task_that_is_given_back_keeps_it(self, huey: Huey) -> None:
        entered, leave = threading.Event(), threading.Event()

        @huey.task(unique=True)
        def stuck() -> int:
            entered.set()
            leave.wait(PATIENCE)
            return 1

        first = stuck()
        with running(huey, shutdown_timeout=0.05):
            assert entered.wait(PATIENCE)
        leave.set()

        assert stuck().id == first.id
        assert len(huey) == 1

    def test_a_task_whose_workers_died_too_often_frees_it(self, huey: Huey, indexed: Any) -> None:
        result = indexed(1)
        storage = huey._lossless
        for number in range(3):
            storage.sign_on(f"dead {number}", {})
            assert storage.claim(f"dead {number}", 1)
            storage.recover(f"dead {number}", cause="signal 9")

        with running(huey), pytest.raises(TaskException, match="WorkerLost"):
            result.get(blocking=True, timeout=PATIENCE)

        assert places(huey) == []
        assert storage.dead_count() == 1


class TestImmediate:
    @pytest.fixture
    def huey(self, make_huey: MakeHuey) -> Huey:
        return make_huey(immediate=True)

    def test_tasks_one_after_the_other_do_not_meet(self, huey: Huey, indexed: Any) -> None:
        first, second = indexed(1), indexed(1)

        assert first.id != second.id
        assert (first.get(), second.get()) == ("1 all", "1 all")
        assert places(huey) == []

    def test_a_task_that_waits_on_the_schedule_counts(self, huey: Huey, indexed: Any) -> None:
        first = indexed.schedule((1,), delay=60)

        assert indexed(1).id == first.id
        assert huey.scheduled_count() == 1

    def test_a_task_that_calls_itself_meets_itself(self, huey: Huey) -> None:
        depth: list[Any] = []

        @huey.task(unique=True, on_conflict="drop")
        def again() -> int:
            depth.append(1)
            return 0 if again() is None else 1

        assert again().get() == 0
        assert depth == [1]

    def test_replacing_revokes_what_waits(self, huey: Huey) -> None:
        work = huey.task(unique=True, on_conflict="replace")(index)
        first = work.schedule((1,), delay=60)

        second = work(1)

        assert second.get() == "1 all"
        assert first.is_revoked() is True


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("settings", "error"),
        [
            ({"unique": "number"}, TypeError),
            ({"unique": 3}, TypeError),
            ({"unique": []}, ValueError),
            ({"unique": ["missing"]}, ValueError),
            ({"unique": True, "unique_until": "later"}, ValueError),
            ({"unique": True, "unique_for": 0}, ValueError),
            ({"unique": True, "unique_for": "1h"}, TypeError),
            ({"unique": True, "unique_for": timedelta(hours=1)}, TypeError),
            ({"unique": True, "on_conflict": "ignore"}, ValueError),
            ({"unique_until": "started"}, ValueError),
            ({"unique": False, "on_conflict": "drop"}, ValueError),
        ],
    )
    def test_they_are_refused_where_they_are_given(
        self, settings: dict[str, Any], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            MemoryHuey().task(**settings)(index)

    def test_false_is_as_good_as_nothing(self) -> None:
        huey = MemoryHuey()
        indexed = huey.task(unique=False)(index)

        assert indexed(1).id != indexed(1).id

    def test_one_decorator_can_be_used_twice(self) -> None:
        huey = MemoryHuey()
        decorator = huey.task(unique=True)
        one, other = decorator(index), decorator(gather)

        assert one(1).id == one(1).id
        assert other([1]).id == other([1]).id
