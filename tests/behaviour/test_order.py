"""In which order the things happen that follow from one attempt."""

from typing import Any

import pytest

from huey.api import Huey, Task
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import run_next, running


def work(number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return number


class Diary:
    """Notes hooks and signals of one app, and what is stored at that moment."""

    def __init__(self, huey: Huey) -> None:
        self.huey = huey
        self.entries: list[str] = []
        huey.signal()(lambda signal, task, *args: self.note(signal, task))
        huey.pre_execute("pre")(lambda task: self.note("pre hook", task))
        huey.post_execute("post")(lambda task, *args: self.note("post hook", task))

    def note(self, what: str, task: Task) -> None:
        stored = self.huey.get_raw(task.id, peek=True)
        there = "stored" if isinstance(stored, bytes) else "nothing stored"
        self.entries.append(f"{task.name} {what}: {there}")


@pytest.fixture
def diary(huey: Huey) -> Diary:
    return Diary(huey)


def test_after_success(huey: Huey, diary: Diary) -> None:
    first, second = huey.task(name="first")(work), huey.task(name="second")(work)
    huey.enqueue(first.s(1).then(second))
    run_next(huey)

    assert diary.entries == [
        "first enqueued: nothing stored",
        "first executing: nothing stored",
        "first pre hook: nothing stored",
        "first post hook: stored",
        "first complete: stored",
        "second enqueued: nothing stored",
    ]


def test_after_a_failure_that_will_be_tried_again(huey: Huey, diary: Diary) -> None:
    first, handler = huey.task(name="first")(work), huey.task(name="handler")(repr)
    huey.enqueue(first.s(-1, retries=1).error(handler))
    run_next(huey)

    assert diary.entries[3:] == [
        "first error: nothing stored",
        "first post hook: stored",
        "handler enqueued: nothing stored",
        "first retrying: stored",
        "first enqueued: nothing stored",
    ]
    assert [task.name for task in huey.pending()] == ["handler", "first"]


def test_under_a_consumer_it_is_the_same(huey: Huey, diary: Diary) -> None:
    first, second = huey.task(name="first")(work), huey.task(name="second")(work)

    with running(huey):
        results = huey.enqueue(first.s(1).then(second))
        results.get(blocking=True, timeout=20)

    assert diary.entries[3:6] == [
        "first post hook: stored",
        "first complete: stored",
        "second enqueued: nothing stored",
    ]


def test_a_task_is_in_flight_while_it_runs(huey: Huey) -> None:
    seen: list[Any] = []
    huey.pre_execute("pre")(lambda task: seen.append(set(huey._tasks_in_flight)))
    huey.post_execute("post")(lambda *args: seen.append(set(huey._tasks_in_flight)))

    @huey.task(context=True)
    def look(task: Any) -> None:
        seen.append(set(huey._tasks_in_flight))

    task = look.s()
    huey.execute(task)

    assert seen == [set(), {task}, set()]


def test_all_that_follows_is_written_at_once(make_huey: MakeHuey) -> None:
    huey = make_huey()
    first, second = huey.task(name="first")(work), huey.task(name="second")(work)
    seen: list[Any] = []

    @huey.signal("enqueued")
    def look(signal: str, task: Task) -> None:
        if task.name == "second":
            seen.append((len(huey), huey.result_count()))

    huey.enqueue(first.s(1).then(second))
    run_next(huey)

    # The successor is announced before anything of the first one is in the storage.
    assert seen == [(0, 0)]
    assert (len(huey), huey.result_count()) == (1, 1)
