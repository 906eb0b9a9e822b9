"""Hooks: they may change the course of a task."""

import logging
from typing import Any

import pytest

from huey.api import SKIPPED, CancelExecution, Huey, MemoryHuey, Task, TaskException, chord
from tests.behaviour.driving import News, gather, run_all, run_next, running

Call = tuple[str, Any, str]


@pytest.fixture
def calls(huey: Huey) -> list[Any]:
    """What the hooks of `huey` were called with."""
    found: list[Any] = []

    @huey.pre_execute()
    def before(task: Task) -> None:
        found.append(("before", task.id))

    @huey.post_execute()
    def after(task: Task, value: Any, error: BaseException | None) -> None:
        found.append(("after", task.id, value, repr(error) if error else None))

    return found


def double(number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return number * 2


def test_hooks_surround_a_task(huey: Huey, calls: list[Any]) -> None:
    doubled = huey.task()(double)

    good, bad = doubled(2), doubled(-1)
    run_all(huey)

    assert calls == [
        ("before", good.id),
        ("after", good.id, 4, None),
        ("before", bad.id),
        ("after", bad.id, None, "ValueError('negative')"),
    ]


def test_a_decorated_hook_stays_a_function(huey: Huey) -> None:
    def hook(*args: Any) -> None:
        pass

    assert huey.pre_execute()(hook) is hook
    assert huey.post_execute("named")(hook) is hook
    assert huey._pre_execute == {"hook": hook}
    assert huey._post_execute == {"named": hook}


def test_hooks_run_in_the_order_of_registration_and_a_name_is_there_once(huey: Huey) -> None:
    order: list[str] = []
    for name, mark in (("b", "first"), ("a", "second"), ("b", "replaced")):
        huey.pre_execute(name)(lambda task, mark=mark: order.append(mark))
    huey.task()(double)(1)

    run_next(huey)

    assert order == ["replaced", "second"]


@pytest.mark.parametrize("kind", ["pre_execute", "post_execute", "on_startup", "on_shutdown"])
def test_a_hook_is_forgotten_once(kind: str) -> None:
    huey = MemoryHuey()

    def hook(*args: Any) -> None:
        raise AssertionError("forgotten hooks are not called")

    unregister = getattr(huey, f"unregister_{kind}")
    getattr(huey, kind)()(hook)
    getattr(huey, kind)("named")(hook)

    assert (unregister("named"), unregister("named")) == (True, False)
    assert (unregister(hook), unregister(hook)) == (True, False)


def test_cancelling_in_a_pre_hook_stops_everything_after_it(
    huey: Huey, calls: list[Any], news: News
) -> None:
    @huey.pre_execute()
    def refuse(task: Task) -> None:
        # Its own wish for a retry counts for nothing here.
        raise CancelExecution(retry=True)

    @huey.pre_execute()
    def never(task: Task) -> None:
        raise AssertionError("a later hook was called")

    doubled = huey.task(retries=3)(double)
    handled: list[Any] = []
    handler = huey.task(name="handler")(handled.append)

    result = huey.enqueue(doubled.s(2).error(handler.s()))
    value = run_next(huey)

    assert value is None
    assert calls == [("before", result.id)]
    assert news.names == ["enqueued", "executing", "canceled"]
    assert (len(huey), huey.scheduled_count(), huey.result_count()) == (0, 0, 0)
    assert (result.get(), handled) == (None, [])


def test_a_cancelled_member_reports_to_its_chord(huey: Huey) -> None:
    @huey.pre_execute()
    def refuse(task: Task) -> None:
        if task.args == (2,):
            raise CancelExecution

    doubled = huey.task()(double)
    gathered = huey.task()(gather)

    result = huey.enqueue(chord([doubled.s(n) for n in (1, 2, 3)], gathered))
    run_all(huey)

    assert result.get() == [2, SKIPPED, 6]


@pytest.mark.parametrize("kind", ["pre_execute", "post_execute"])
def test_a_failing_hook_stops_nothing(
    huey: Huey, kind: str, calls: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: Any) -> None:
        raise ValueError("the hook is broken")

    getattr(huey, kind)()(fails)
    later: list[str] = []
    getattr(huey, kind)("later")(lambda *args: later.append("called"))
    doubled = huey.task()(double)

    result = doubled(2)
    run_next(huey)

    assert result.get() == 4
    assert later == ["called"]
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "fails" in record.getMessage()


def test_a_post_hook_can_read_the_result_and_the_error(huey: Huey) -> None:
    doubled = huey.task()(double)
    seen: list[Any] = []

    @huey.post_execute()
    def look(task: Task, value: Any, error: BaseException | None) -> None:
        try:
            seen.append(huey.result(task.id, preserve=True))
        except TaskException as failure:
            seen.append(failure.metadata["error"])

    results = [doubled(2), doubled(-1)]
    run_all(huey)

    assert seen == [4, "ValueError('negative')"]
    assert results[0].get() == 4


def test_a_result_that_a_post_hook_takes_is_gone(huey: Huey) -> None:
    doubled = huey.task()(double)
    taken: list[Any] = []
    huey.post_execute("take")(lambda task, value, error: taken.append(huey.result(task.id)))

    result = doubled(2)
    run_next(huey)

    assert taken == [4]
    assert (result.get(), huey.result_count()) == (None, 0)


def test_post_hooks_come_before_the_retry(huey: Huey) -> None:
    order: list[Any] = []
    huey.post_execute("note")(lambda task, value, error: order.append(task.retries))
    huey.signal("retrying")(lambda signal, task: order.append(signal))
    huey.task(retries=1)(double)(-1)

    run_all(huey)

    assert order == [1, "retrying", 0]


def test_what_a_hook_changes_reaches_the_function(huey: Huey) -> None:
    @huey.pre_execute()
    def raise_stakes(task: Task) -> None:
        task.args = (100,)

    result = huey.task()(double)(1)
    run_next(huey)

    assert result.get() == 200


def test_startup_and_shutdown_hooks_run_once_per_worker(huey: Huey) -> None:
    order: list[str] = []
    huey.on_startup()(lambda: order.append("up"))
    huey.on_shutdown("down")(lambda: order.append("down"))

    with running(huey, workers=3):
        pass

    assert sorted(order) == ["down"] * 3 + ["up"] * 3


def test_failing_startup_and_shutdown_hooks_stop_nothing(huey: Huey) -> None:
    order: list[str] = []

    @huey.on_startup()
    def broken() -> None:
        raise ValueError("broken")

    huey.on_startup("up")(lambda: order.append("up"))
    huey.on_shutdown("broken")(broken)
    huey.on_shutdown("down")(lambda: order.append("down"))
    doubled = huey.task()(double)

    with running(huey):
        assert doubled(2).get(blocking=True, timeout=20) == 4

    assert order == ["up", "down"]


def test_hooks_need_their_parentheses() -> None:
    with pytest.raises(TypeError, match="parentheses"):
        MemoryHuey().post_execute(double)  # type: ignore[arg-type]  # that is the mistake
