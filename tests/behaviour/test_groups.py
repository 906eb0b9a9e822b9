"""Tasks side by side."""

from typing import Any

import pytest

from huey.api import Huey, ResultGroup, TaskException, chord, group
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import News, run_all, run_next


def add(*numbers: Any) -> int:
    if None in numbers:
        raise ValueError("nothing to add")
    return sum(numbers)


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


def test_a_group_gives_one_handle_per_member(huey: Huey, sums: Any) -> None:
    results = huey.enqueue(group([sums.s(1), sums.s(2), sums.s(3)]))
    assert isinstance(results, ResultGroup)
    assert len(huey) == 3
    run_all(huey)

    assert results.get() == [1, 2, 3]


def test_a_generator_will_do(huey: Huey, sums: Any) -> None:
    results = huey.enqueue(group(sums.s(number) for number in range(3)))
    run_all(huey)

    assert results.get() == [0, 1, 2]


def test_members_run_by_priority_and_report_in_order(huey: Huey, sums: Any) -> None:
    results = huey.enqueue(group([sums.s(1), sums.s(2, priority=5), sums.s(3, priority=1)]))

    assert [run_next(huey), run_next(huey), run_next(huey)] == [2, 3, 1]
    assert results.get() == [1, 2, 3]


def test_a_failed_member_raises_when_the_group_is_read(huey: Huey, sums: Any) -> None:
    results = huey.enqueue(group([sums.s(1), sums.s(None)]))
    run_all(huey)

    with pytest.raises(TaskException, match="nothing to add"):
        results.get()


def test_members_can_be_pipelines_groups_and_chords(huey: Huey, sums: Any) -> None:
    @huey.task()
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    members = [
        sums.s(1).then(sums, 2),
        group([sums.s(3), sums.s(4)]),
        chord([sums.s(5), sums.s(6)], total),
    ]

    results = huey.enqueue(group(members))
    run_all(huey)

    assert results.get() == [[1, 3], [3, 4], 11]


def test_an_empty_group_gives_nothing(huey: Huey) -> None:
    results = huey.enqueue(group([]))

    assert (results.get(), len(results), len(huey)) == ([], 0, 0)


def test_without_results_a_group_gives_none(make_huey: MakeHuey) -> None:
    huey = make_huey(results=False)
    sums = huey.task()(add)

    assert huey.enqueue(group([sums.s(1), sums.s(2)])) is None
    assert len(huey) == 2


class TestErrors:
    def test_a_handler_is_attached_to_every_member(self, huey: Huey, sums: Any) -> None:
        handled: list[str] = []

        @huey.task()
        def handler(stage: str, error: Exception) -> None:
            handled.append(f"{stage}: {error}")

        members = group([sums.s(None), sums.s(1), sums.s(None)])
        assert members.error(handler, "member") is members
        huey.enqueue(members)
        run_all(huey)

        assert handled == ["member: nothing to add"] * 2

    def test_one_task_as_the_handler_is_shared(self, huey: Huey, sums: Any) -> None:
        handler = huey.task(name="handler")(repr)
        task = handler.s(id="shared")

        members = group([sums.s(1), sums.s(2)]).error(task)

        assert [member.on_error for member in members.tasks] == [task, task]

    def test_it_takes_a_generator_too(self, huey: Huey, sums: Any) -> None:
        members = group(sums.s(number) for number in (1, 2)).error(sums)

        results = huey.enqueue(members)
        run_all(huey)

        assert results.get() == [1, 2]


class TestThen:
    def test_it_makes_a_chord(self, huey: Huey, sums: Any) -> None:
        members = [sums.s(1), sums.s(2)]

        made = group(members).then(sums)

        assert isinstance(made, chord)
        assert made.tasks is members

    def test_own_arguments_come_before_the_results(self, huey: Huey, sums: Any) -> None:
        @huey.task()
        def show(prefix: str, numbers: list[int], suffix: str = "") -> str:
            return f"{prefix}{numbers}{suffix}"

        result = huey.enqueue(group([sums.s(1), sums.s(2)]).then(show.s(), "p", suffix="s"))
        run_all(huey)

        assert result.get() == "p[1, 2]s"

    def test_error_and_then_can_be_chained(self, huey: Huey, sums: Any) -> None:
        handled: list[str] = []

        @huey.task()
        def handler(error: Exception) -> None:
            handled.append(str(error))

        @huey.task()
        def kinds(values: list[Any]) -> list[str]:
            return [type(value).__name__ for value in values]

        result = huey.enqueue(group([sums.s(1), sums.s(None)]).error(handler).then(kinds))
        run_all(huey)

        assert result.get() == ["int", "Error"]
        assert handled == ["nothing to add"]


def test_members_are_announced_one_by_one(huey: Huey, sums: Any, news: News) -> None:
    huey.enqueue(group([sums.s(1), sums.s(2)]))

    assert news.names == ["enqueued"] * 2
