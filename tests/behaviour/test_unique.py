"""Unique tasks: no second one in the queue while one like it has not come to its end."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from huey.api import (
    CancelExecution,
    Huey,
    MemoryHuey,
    RetryTask,
)
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import (
    News,
    dequeued,
    gather,
    make_due,
    run_all,
    run_next,
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

        while places(huey):
            huey.storage.wait_result("nothing", timeout=0.02)

        assert indexed(1).id != first.id
        assert len(huey) == 2

    def test_a_place_that_was_taken_over_is_not_freed_by_the_first(
        self, huey: Huey, indexed: Any
    ) -> None:
        indexed(1)
        [place] = places(huey)
        huey.delete(place)  # as if its time were over
        second = indexed(1)
        run_next(huey)

        assert indexed(1).id == second.id
        run_next(huey)
        assert places(huey) == []

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
