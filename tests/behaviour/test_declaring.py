"""Turning functions into tasks: decorators, wrappers, names."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from huey.api import Huey, HueyException, MemoryHuey, Task, TaskWrapper, crontab
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import dequeued, run_next


def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


def test_settings_become_attributes_of_the_task_class() -> None:
    settings: dict[str, Any] = {"retries": 3, "retry_delay": 5, "retry_backoff": 2, "priority": 7}

    wrapper = MemoryHuey().task(**settings, expires=60, timeout=9, colour="red")(add)

    cls: Any = wrapper.task_class
    found = (cls.default_retries, cls.default_retry_delay, cls.default_retry_backoff)
    assert found == (3, 5, 2)
    assert (cls.default_priority, cls.default_expires, cls.default_timeout) == (7, 60, 9)
    assert cls.colour == "red"
    assert (wrapper.retries, wrapper.retry_delay) == (3, 5)


def test_a_setting_that_is_given_twice_is_an_error() -> None:
    with pytest.raises(TypeError):
        MemoryHuey().task(default_timeout=3)(add)


def test_a_wrapper_keeps_the_function_and_its_text() -> None:
    wrapper = MemoryHuey().task()(add)

    assert wrapper.func is add
    assert wrapper.__doc__ == wrapper.task_class.__doc__ == "Add two numbers."
    assert (wrapper.name, wrapper.context, wrapper.settings["default_retries"]) == (None, False, 0)
    assert wrapper.call_local(1, 2) == 3


def test_the_task_class_is_named_like_the_function() -> None:
    cls = MemoryHuey().task()(add).task_class

    assert (cls.__module__, cls.__name__) == (__name__, "add")
    assert issubclass(cls, Task)


def test_a_name_replaces_that_of_the_function() -> None:
    huey = MemoryHuey()

    wrapper = huey.task(name="sum_up")(add)

    assert huey._registry.task_to_string(wrapper.task_class) == f"{__name__}.sum_up"
    assert (wrapper.name, wrapper.s(1).name) == ("sum_up", "sum_up")


def test_two_tasks_of_one_name_are_refused() -> None:
    huey = MemoryHuey()
    huey.task()(add)

    with pytest.raises(ValueError, match="registered already"):
        huey.task()(add)
    huey.task(name="other")(add)
    with pytest.raises(ValueError, match="other"):
        huey.task(name="other")(_nothing)


def test_a_partial_needs_a_name() -> None:
    huey = MemoryHuey(immediate=True)
    add_one = functools.partial(add, 1)

    with pytest.raises(AttributeError):
        huey.task()(add_one)
    wrapper: TaskWrapper[..., int] = huey.task(name="add_one")(add_one)

    assert huey._registry.task_to_string(wrapper.task_class) == "functools.add_one"
    assert wrapper(2).get() == 3


def test_a_wrapper_can_be_a_task_of_another_huey_too(make_huey: MakeHuey) -> None:
    one, two = make_huey("one"), make_huey("two")
    first = one.task()(add)

    second = two.task()(first)
    result = second(1, 2)

    assert (len(one), len(two)) == (0, 1)
    assert second.func is add
    assert run_next(two) == 3
    assert result.get() == 3


def test_a_task_can_be_a_periodic_task_too(huey: Huey) -> None:
    plain = huey.task()(_nothing)

    periodic = huey.periodic_task(crontab(), name="by_the_clock")(plain)

    assert periodic.func is _nothing
    assert [type(task).__name__ for task in huey.read_periodic(None)] == ["by_the_clock"]


def test_one_function_can_be_several_periodic_tasks(huey: Huey) -> None:
    for minute in (3, 1, 2):
        huey.periodic_task(crontab(minute=minute), name=f"at_{minute}")(_nothing)

    names = [task.name for task in huey._registry.periodic_tasks]

    assert names == ["at_3", "at_1", "at_2"]


def test_an_unregistered_task_is_unknown_to_both_sides(huey: Huey) -> None:
    wrapper = huey.task()(add)
    message = huey._registry.create_message(wrapper.s(1, 2))

    assert wrapper.unregister() is True
    assert wrapper.unregister() is False
    with pytest.raises(HueyException):
        huey._registry.create_message(wrapper.s(1, 2))
    with pytest.raises(HueyException, match=f"{__name__}.add not found in TaskRegistry"):
        huey._registry.create_task(message)


class TestContext:
    def test_the_task_is_passed_as_a_keyword(self, huey: Huey) -> None:
        @huey.task(context=True)
        def who(greeting: str, task: Task) -> str:
            return f"{greeting} {task.id}"

        result = who.options(id="me")("hello")  # type: ignore[call-arg]  # the worker adds task
        run_next(huey)

        assert result.get() == "hello me"

    def test_it_overrides_a_keyword_of_the_caller(self, huey: Huey) -> None:
        @huey.task(context=True)
        def who(task: Any) -> str:
            return str(task.id)

        result = who.schedule(kwargs={"task": "mine"}, delay=-1)
        run_next(huey)

        assert result.get() == result.id

    def test_it_does_not_stay_among_the_arguments(self, huey: Huey) -> None:
        @huey.task(context=True)
        def who(task: Any) -> None:
            pass

        task = who.s()
        huey.execute(task)

        assert task.kwargs == {}
        assert huey.deserialize_task(huey.serialize_task(task)) == task

    def test_without_context_a_keyword_called_task_is_like_any_other(self, huey: Huey) -> None:
        @huey.task()
        def named(task: str = "") -> str:
            return task

        result = named(task="mine")

        queued = dequeued(huey)
        assert queued.kwargs == {"task": "mine"}
        huey.execute(queued)
        assert result.get() == "mine"


class TestContextTask:
    @staticmethod
    def counting() -> tuple[list[str], Any]:
        calls: list[str] = []

        class Resource:
            def __enter__(self) -> str:
                calls.append("in")
                return "resource"

            def __exit__(self, *error: object) -> None:
                calls.append("out")

        return calls, Resource()

    def test_the_function_runs_inside_of_the_context(self, huey: Huey) -> None:
        calls, resource = self.counting()

        @huey.context_task(resource, retries=2)
        def work(value: int) -> int:
            calls.append("work")
            return value

        result = work(3)
        run_next(huey)

        assert calls == ["in", "work", "out"]
        assert result.get() == 3
        assert (work.retries, work.task_class.__name__) == (2, "work")

    def test_what_entering_gives_can_be_the_first_argument(self, huey: Huey) -> None:
        _, resource = self.counting()

        @huey.context_task(resource, as_argument=True)
        def work(resource: str, value: int) -> tuple[str, int]:
            return resource, value

        result = huey.enqueue(work.s(3))
        run_next(huey)

        assert result.get() == ("resource", 3)

    def test_the_context_ends_when_the_function_fails(self, huey: Huey) -> None:
        ends: list[str] = []

        @contextlib.contextmanager
        def resource() -> Iterator[None]:
            try:
                yield
            finally:
                ends.append("out")

        class Reusable:
            def __enter__(self) -> None:
                self.inner = resource()
                self.inner.__enter__()

            def __exit__(self, *error: Any) -> None:
                self.inner.__exit__(*error)

        @huey.context_task(Reusable())
        def work() -> None:
            raise ValueError("broken")

        work()
        run_next(huey)

        assert ends == ["out"]


class TestForgottenParentheses:
    @pytest.mark.parametrize("decorator", ["task", "pre_execute", "on_startup", "signal"])
    def test_they_are_asked_for(self, decorator: str) -> None:
        bare: Callable[..., Any] = getattr(MemoryHuey(), decorator)

        with pytest.raises(TypeError, match="parentheses"):
            bare(_nothing)


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("setting", "error"),
        [
            ({"retries": "3"}, TypeError),
            ({"retries": 1.5}, TypeError),
            ({"retries": -1}, ValueError),
            ({"retry_delay": "soon"}, TypeError),
            ({"retry_delay": -1}, ValueError),
            ({"retry_backoff": -2}, ValueError),
            ({"retry_jitter": 1.5}, ValueError),
            ({"retry_max_delay": -1}, ValueError),
            ({"retry_on": ValueError("x")}, TypeError),
            ({"priority": "high"}, TypeError),
            ({"expires": "tomorrow"}, TypeError),
            ({"timeout": -1}, ValueError),
            ({"delivery": "exactly_once"}, ValueError),
        ],
    )
    def test_they_are_refused_where_they_are_given(
        self, setting: dict[str, Any], error: type[Exception]
    ) -> None:
        huey = MemoryHuey()

        with pytest.raises(error, match=next(iter(setting))):
            huey.task(**setting)(_nothing)
        with pytest.raises(error, match=next(iter(setting))):
            huey.periodic_task(crontab(), **setting)(_nothing)
        assert huey._registry._registry == {}

    def test_a_periodic_task_needs_a_rule(self) -> None:
        with pytest.raises((TypeError, ValueError)):
            MemoryHuey().periodic_task(None)(_nothing)

    def test_missed_ticks_are_dealt_with_in_one_of_three_ways(self) -> None:
        with pytest.raises(ValueError, match="catch_up"):
            MemoryHuey().periodic_task(crontab(), catch_up="some")(_nothing)


def _nothing() -> None:
    """A task that does nothing."""
