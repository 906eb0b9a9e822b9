"""Which name stands for which task."""

from typing import Any

import pytest

from huey.api import HueyException, PeriodicTask, Registry, Task


class One(Task):
    """A task class made by hand."""

    def execute(self) -> Any:
        return self.args


class Nightly(PeriodicTask):
    """A periodic one made by hand."""


NAME = f"{__name__}.One"


def test_a_class_is_known_by_module_and_name() -> None:
    registry = Registry()

    assert registry.task_to_string(One) == NAME
    assert registry.register(One) is True
    assert registry.string_to_task(NAME) is One
    assert registry._registry == {NAME: One}


def test_a_second_class_of_the_name_is_refused() -> None:
    registry = Registry()
    registry.register(One)

    with pytest.raises(ValueError, match="registered already"):
        registry.register(One)


def test_forgetting_happens_once_and_forgets_the_clock_too() -> None:
    registry = Registry()
    registry.register(Nightly)
    assert [type(task) for task in registry.periodic_tasks] == [Nightly]

    assert registry.unregister(Nightly) is True
    assert registry.unregister(Nightly) is False
    assert registry.periodic_tasks == []


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(HueyException, match=r"nobody\.home not found in TaskRegistry") as caught:
        Registry().string_to_task("nobody.home")

    assert "nobody.home" in str(caught.value)


def test_a_task_of_an_unknown_class_makes_no_message() -> None:
    with pytest.raises(HueyException, match="not registered"):
        Registry().create_message(One())


def test_all_that_hangs_on_a_task_travels_with_it() -> None:
    registry = Registry()
    registry.register(One)
    task = One((1,), on_complete=One((2,), on_error=One((3,))), on_error=One((4,)))

    message = registry.create_message(task)
    copy = registry.create_task(message)

    assert message.on_complete.on_error.args == (3,)
    assert copy == task
    assert copy.on_complete is not None
    assert copy.on_complete.on_error == task.on_complete.on_error  # type: ignore[union-attr]
    assert copy.on_error == task.on_error


def test_anything_that_has_a_clock_is_periodic() -> None:
    class ByTheClock(Task):
        def validate_datetime(self, timestamp: Any) -> bool:
            return True

    registry = Registry()
    registry.register(ByTheClock)

    assert [task.name for task in registry.periodic_tasks] == ["ByTheClock"]
