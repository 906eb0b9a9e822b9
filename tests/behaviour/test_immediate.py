"""Immediate mode: tasks run in the caller, at once."""

import asyncio
from typing import Any

import pytest

from huey.api import (
    BaseStorage,
    ConfigurationError,
    Huey,
    MemoryHuey,
    TaskException,
    chord,
    crontab,
    group,
)
from huey.storage.memory import MemoryStorage
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import News, gather


class BrokenError(Exception):
    """The storage was touched."""


class Broken(BaseStorage):
    """A storage that must not be touched."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise BrokenError

    enqueue = dequeue = queue_size = put_data = peek_data = peek_many = _refuse
    pop_data = add_to_schedule = read_schedule = incr = has_data_for_key = _refuse


def add(*numbers: Any) -> Any:
    if None in numbers:
        raise ValueError("nothing to add")
    return sum(numbers)


@pytest.fixture
def huey(make_huey: MakeHuey) -> Huey:
    return make_huey(immediate=True)


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


class TestRunningAtOnce:
    def test_the_result_is_there_when_the_call_returns(
        self, huey: Huey, sums: Any, news: News
    ) -> None:
        result = sums(1, 2)

        assert news.names == ["enqueued", "executing", "complete"]
        assert (result.get(), len(huey), huey.result_count()) == (3, 0, 0)
        assert sums(1).get(blocking=True, timeout=1) == 1

    def test_an_error_is_a_result_and_not_raised(self, huey: Huey, sums: Any) -> None:
        result = sums(None)

        with pytest.raises(TaskException, match="nothing to add"):
            result.get()

    def test_all_kinds_of_workflows_run(self, huey: Huey, sums: Any) -> None:
        handled: list[str] = []

        @huey.task()
        def handler(error: Exception) -> None:
            handled.append(repr(error))

        gathered = huey.task()(gather)

        assert huey.enqueue(sums.s(1).then(sums, 2)).get() == [1, 3]
        assert huey.enqueue(group([sums.s(1), sums.s(2)])).get() == [1, 2]
        assert huey.enqueue(chord([sums.s(1), sums.s(2)], gathered)).get() == [1, 2]
        assert sums.map([1, (2, 3)]).get() == [1, 5]
        huey.enqueue(sums.s(None).error(handler))
        assert handled == ["ValueError('nothing to add')"]

    def test_the_very_task_runs_and_nothing_is_pickled(self, huey: Huey) -> None:
        @huey.task(context=True)
        def grow(items: list[Any], task: Any) -> bool:
            items.append(task)
            return True

        items: list[Any] = []
        task = grow.s(items)
        result = huey.enqueue(task)

        assert items == [task]
        assert items[0] is task
        assert result.get() is True
        assert result.task is task

    def test_a_value_that_is_a_pickle_problem_only_in_arguments_is_none(self, huey: Huey) -> None:
        call = huey.task(name="call")(lambda function: function())

        assert call(lambda: 3).get() == 3

    def test_retries_without_a_delay_run_at_once(self, huey: Huey) -> None:
        seen: list[int] = []

        @huey.task(retries=2, context=True)
        def fail(task: Any) -> None:
            seen.append(task.retries)
            raise ValueError("broken")

        result = huey.enqueue(fail.s())

        assert seen == [2, 1, 0]
        assert result.task.retries == 0
        with pytest.raises(TaskException):
            result.get()

    def test_retries_with_a_delay_stay_on_the_schedule(self, huey: Huey) -> None:
        huey.task(retries=1, retry_delay=5)(add)(None)

        assert huey.scheduled_count() == 1

    def test_a_task_for_later_stays_on_the_schedule(self, huey: Huey, sums: Any) -> None:
        result = sums.schedule((1,), delay=60)

        assert (len(huey), huey.scheduled_count(), result.get()) == (0, 1, None)

    def test_periodic_tasks_run_when_they_are_called(self, huey: Huey) -> None:
        ran: list[int] = []
        nightly = huey.periodic_task(crontab(), name="nightly")(lambda: ran.append(1))

        assert huey.scheduled_count() == 0
        nightly()

        assert ran == [1]

    def test_hooks_locks_and_revocations_work(self, huey: Huey, sums: Any) -> None:
        hooks: list[str] = []
        huey.pre_execute("before")(lambda task: hooks.append("before"))
        huey.post_execute("after")(lambda *args: hooks.append("after"))
        guarded = huey.task(name="guarded")(huey.lock_task("mine")(add))

        assert guarded(1).get() == 1
        with huey.lock_task("mine"), pytest.raises(TaskException, match="TaskLocked"):
            guarded(1).get()
        sums.revoke()
        assert sums(1).get() is None
        assert hooks == ["before", "after"] * 2

    def test_a_task_may_call_tasks(self, huey: Huey, sums: Any) -> None:
        @huey.task()
        def outer() -> Any:
            return sums(1, 2).get()

        assert outer().get() == 3

    def test_a_keyboard_interrupt_reaches_the_person_at_the_keyboard(self, huey: Huey) -> None:
        @huey.task()
        def interrupted() -> None:
            raise KeyboardInterrupt

        @huey.task()
        def leave() -> None:
            raise SystemExit(3)

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with pytest.raises(TaskException, match="SystemExit"):
            leave().get()


class TestCoroutines:
    def test_a_coroutine_function_runs_to_its_end(self, huey: Huey) -> None:
        @huey.task()
        async def double(number: int) -> int:
            await asyncio.sleep(0)
            return number * 2

        assert double(2).get() == 4

    async def test_even_under_the_loop_of_the_caller(self, huey: Huey) -> None:
        @huey.task()
        async def double(number: int) -> int:
            await asyncio.sleep(0)
            return number * 2

        assert double(2).get() == 4


class TestSwitching:
    def test_the_real_storage_is_not_touched_while_it_is_on(self) -> None:
        huey = Huey("app", storage_class=Broken)
        sums = huey.task()(add)

        with pytest.raises(BrokenError):
            sums(1)
        huey.immediate = True
        assert sums(1).get() == 1
        assert huey.scheduled_count() == huey.pending_count() == 0
        huey.immediate = False
        with pytest.raises(BrokenError):
            sums(1)

    def test_memory_is_fresh_each_time_and_the_real_storage_is_rebuilt(
        self, make_huey: MakeHuey
    ) -> None:
        huey = make_huey()
        real = huey.storage
        huey.put("key", 1)

        huey.immediate = True
        memory = huey.storage
        assert isinstance(memory, MemoryStorage)
        assert memory is not real
        assert huey.get("key") is None
        huey.immediate = True
        assert huey.storage is memory
        huey.immediate = False
        assert type(huey.storage) is type(real)
        huey.immediate = True
        assert huey.storage is not memory

    def test_the_real_storage_can_be_kept(self) -> None:
        huey = Huey("app", storage_class=Broken, immediate_use_memory=False)
        sums = huey.task()(add)
        storage = huey.storage

        huey.immediate = True
        assert huey.storage is storage
        with pytest.raises(BrokenError):
            sums(1)

    def test_it_can_be_kept_by_an_afterthought(self, make_huey: MakeHuey) -> None:
        huey = make_huey()
        sums = huey.task()(add)
        huey.immediate_use_memory = False
        storage = huey.storage

        huey.immediate = True
        result = sums(1)

        assert huey.storage is storage
        assert result.get() == 1
        huey.immediate = False
        assert huey.storage is storage

    def test_a_replaced_storage_is_honoured(self) -> None:
        class Own(MemoryHuey):
            def get_storage(self, **kwargs: Any) -> BaseStorage:
                return Broken("own")

        huey = Own("app")
        assert isinstance(huey.storage, Broken)
        huey.immediate = True
        assert isinstance(huey.storage, MemoryStorage)
        huey.immediate = False
        assert isinstance(huey.storage, Broken)

    def test_a_consumer_can_be_built_and_not_started(
        self, huey: Huey, caplog: pytest.LogCaptureFixture
    ) -> None:
        consumer = huey.create_consumer()

        assert "immediate" in caplog.text
        with pytest.raises(ConfigurationError, match="immediate"):
            consumer.start()
