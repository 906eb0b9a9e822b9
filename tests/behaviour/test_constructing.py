"""Building a Huey: its options, its attributes, and what a subclass may replace."""

import functools
from typing import Any

import pytest

from huey.api import (
    BaseStorage,
    ConfigurationError,
    Huey,
    MemoryHuey,
    Result,
    Task,
    TaskWrapper,
)
from huey.constants import EmptyData
from huey.serializer import Serializer, SignedSerializer
from huey.storage.memory import MemoryStorage
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import run_next


class Untouchable(BaseStorage):
    """Fails whatever it is asked."""

    def __init__(self, name: str = "huey", **kwargs: Any) -> None:
        raise AssertionError("The real storage must not be built.")


class Exact(MemoryStorage):
    """Takes exactly the keywords that it names, as storages of others do."""

    def __init__(self, name: str = "huey", host: str = "", port: int = 0, db: int = 0) -> None:
        super().__init__(name)
        self.place = (host, port, db)


def test_the_name_is_kept_as_it_was_given() -> None:
    assert MemoryHuey("my app-1").name == "my app-1"
    assert MemoryHuey().name == "huey"


def test_the_storage_has_the_name_of_the_app(make_huey: MakeHuey) -> None:
    assert make_huey("plain").storage.name == "plain"


def test_the_defaults_are_those_of_huey(make_huey: MakeHuey) -> None:
    huey = make_huey()

    defaults = (huey.results, huey.store_none, huey.utc, huey.immediate, huey.immediate_use_memory)
    assert defaults == (True, False, True, False, True)
    assert huey.store_intermediate_errors is True
    assert type(huey.serializer) is Serializer


def test_without_results_calling_a_task_gives_none_and_nothing_is_stored(
    make_huey: MakeHuey,
) -> None:
    huey = make_huey(results=False)

    @huey.task()
    def add(a: int, b: int) -> int:
        return a + b

    @huey.task()
    def fail() -> None:
        raise ValueError("broken")

    pipeline = add.s(1, 2).then(add, 3)
    handles: list[object] = [add(1, 2), huey.enqueue(pipeline), add.map([(1, 2)]), fail()]
    handles += [add.schedule((1, 2), delay=-1)]
    while len(huey):
        run_next(huey)

    assert handles == [None] * 5
    assert huey.result_count() == 0


def test_none_is_stored_only_if_asked_for_even_later(make_huey: MakeHuey) -> None:
    huey = make_huey()

    @huey.task()
    def nothing() -> None:
        pass

    first = nothing()
    run_next(huey)
    assert (huey.result_count(), first._get()) == (0, EmptyData)

    huey.store_none = True
    second = nothing()
    run_next(huey)

    assert huey.result_count() == 1
    assert second._get() is None


def test_a_serializer_wins_over_the_compression_options() -> None:
    own = SignedSerializer("secret")

    huey = MemoryHuey(serializer=own, compression=True, use_zlib=True)

    assert huey.serializer is own
    assert own.comp is False


def test_compression_is_handed_to_the_serializer() -> None:
    huey = MemoryHuey(compression=True, use_zlib=True)

    assert (huey.serializer.comp, huey.serializer.use_zlib) == (True, True)


def test_a_serializer_can_be_swapped_at_run_time(make_huey: MakeHuey) -> None:
    huey = make_huey()

    @huey.task()
    def add(a: int, b: int) -> int:
        return a + b

    huey.serializer = SignedSerializer("secret")
    task = add.s(1, 2)
    huey.enqueue(task)

    assert huey.dequeue() == task


def test_immediate_mode_builds_no_real_storage() -> None:
    huey = Huey("app", immediate=True, storage_class=Untouchable)

    assert isinstance(huey.storage, MemoryStorage)
    with pytest.raises(AssertionError):
        Huey("app", immediate=True, immediate_use_memory=False, storage_class=Untouchable)


def test_storage_class_overrides_that_of_the_class() -> None:
    huey = MemoryHuey("app", storage_class=Exact)

    assert type(huey.storage) is Exact
    assert huey.storage_class is Exact


def test_storage_options_arrive_as_keywords_after_the_name() -> None:
    build = functools.partial(Huey, storage_class=Exact, port=123)

    huey = build("app", host="somewhere")

    assert isinstance(huey.storage, Exact)
    assert huey.storage.place == ("somewhere", 123, 0)
    assert huey.storage_kwargs == {"port": 123, "host": "somewhere"}


def test_memory_swallows_options_that_it_does_not_know() -> None:
    assert MemoryHuey("app", initial_delay=0.1, backoff=2).pending_count() == 0


def test_without_any_storage_class_redis_is_used_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="Redis"):
        huey = Huey("app", host="localhost", port=1)

    assert type(huey.storage).__name__ == "RedisStorage"


def test_an_unknown_delivery_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at_least_once"):
        MemoryHuey(delivery="exactly_once")


def test_the_attributes_that_others_reach_for_are_there(make_huey: MakeHuey) -> None:
    huey = make_huey()

    assert (huey._locks, huey._tasks_in_flight) == (set(), set())
    for hooks in (huey._pre_execute, huey._post_execute, huey._startup, huey._shutdown):
        assert hooks == {}
    assert huey._timeout_handler is None
    assert huey._immediate is False
    assert huey._registry.periodic_tasks == []
    assert "any" in huey._signal.receivers


class TestWhatASubclassMayReplace:
    def test_the_class_of_wrappers(self, make_huey: MakeHuey) -> None:
        class Loud(TaskWrapper[..., Any]):
            pass

        class Mixin:
            def get_task_wrapper_class(self) -> type[TaskWrapper[..., Any]]:
                return Loud

        huey = make_huey(mixin=Mixin)

        assert type(huey.task()(_nothing)) is Loud
        assert huey.task_wrapper_class is Loud

    def test_the_storage_and_that_of_immediate_mode(self) -> None:
        built: list[tuple[str, dict[str, Any]]] = []

        class Own(MemoryHuey):
            def get_storage(self, **kwargs: Any) -> BaseStorage:
                built.append(("real", kwargs))
                return MemoryStorage("real")

            def get_immediate_storage(self) -> BaseStorage:
                built.append(("immediate", {}))
                return MemoryStorage("immediate")

        huey = Own("app", option=1)
        assert huey.storage.name == "real"
        huey.immediate = True
        assert huey.storage.name == "immediate"
        huey.immediate = False
        assert huey.storage.name == "real"

        assert built == [("real", {"option": 1}), ("immediate", {}), ("real", {"option": 1})]

    def test_the_handles_of_results(self, make_huey: MakeHuey) -> None:
        class Handle(Result[Any]):
            pass

        class Mixin:
            def _result_handle(self, task: Task) -> Result[Any]:
                return Handle(self, task)  # type: ignore[arg-type]  # a mixin of Huey

        huey = make_huey(mixin=Mixin)
        add = huey.task()(_nothing)

        assert type(add()) is Handle
        piped: Any = huey.enqueue(add.s().then(add))
        assert [type(handle) for handle in piped] == [Handle, Handle]

    def test_the_consumer(self, make_huey: MakeHuey) -> None:
        consumer = make_huey().create_consumer(workers=3)

        assert consumer.workers == 3


def _nothing() -> None:
    """A task that does nothing."""
