"""Telling tasks not to run: for good, once, until an instant; one task or a whole function."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from huey.api import SKIPPED, Huey, Result, Task, chord, crontab
from tests.behaviour.driving import News, dequeued, gather, run_all, run_next, running

NOON = datetime(2030, 1, 1, 12, 0, 0)
UNTIL = NOON.replace(tzinfo=UTC)
SECOND = timedelta(seconds=1)


def add(a: int = 0, b: int = 0) -> int:
    return a + b


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


class TestOneTask:
    @pytest.mark.parametrize("way", ["task", "result", "id", "handle"])
    def test_a_revoked_task_is_skipped(self, huey: Huey, sums: Any, way: str) -> None:
        result = sums(1, 2)
        match way:
            case "task":
                huey.revoke(result.task)
            case "result":
                huey.revoke(result)
            case "id":
                huey.revoke_by_id(result.id)
            case "handle":
                result.revoke(revoke_once=False)

        assert run_next(huey) is None
        assert result.get() is None

    def test_it_stays_revoked_until_it_is_restored(self, huey: Huey, sums: Any) -> None:
        task = sums.s(1, 2)
        huey.revoke(task)

        assert huey.execute(task) is None
        assert huey.execute(task) is None
        assert huey.restore(task)
        assert huey.execute(task) == 3
        assert huey.result_count() == 1

    def test_restoring_tells_whether_there_was_something(self, huey: Huey, sums: Any) -> None:
        task = sums.s(1)
        for revoke, restore in (
            (lambda: huey.revoke(task), lambda: huey.restore(task)),
            (lambda: huey.revoke_by_id(task.id), lambda: huey.restore_by_id(task.id)),
            (lambda: huey.revoke_all(sums), lambda: huey.restore_all(sums)),
            (lambda: sums.revoke(), lambda: sums.restore()),
        ):
            revoke()
            assert restore()
            assert not restore()

    def test_a_handle_revokes_once_by_default(self, huey: Huey, sums: Any) -> None:
        result = sums(1, 2)
        task = dequeued(huey)
        result.revoke()
        assert result.is_revoked() is True

        assert huey.execute(task) is None
        assert result.is_revoked() is False
        assert huey.execute(task) == 3

    def test_for_good_is_not_once(self, huey: Huey, sums: Any) -> None:
        task = sums.s(1, 2)
        huey.revoke(task)

        for _ in range(3):
            assert huey.execute(task) is None

    def test_a_later_revocation_replaces_the_earlier_one(self, huey: Huey, sums: Any) -> None:
        task = sums.s(1, 2)
        huey.revoke(task)
        huey.revoke(task, revoke_once=True)

        assert huey.execute(task) is None
        assert huey.execute(task) == 3

    def test_a_handle_can_take_it_back(self, huey: Huey, sums: Any) -> None:
        result = sums(1, 2)
        result.revoke()

        assert result.restore()
        assert not result.restore()
        assert run_next(huey) == 3

    def test_revoking_while_it_runs_leaves_nothing_behind(self, huey: Huey) -> None:
        @huey.task(context=True)
        def revoke_me(task: Any) -> int:
            huey.revoke(task)
            return 1

        result = huey.enqueue(revoke_me.s())
        assert run_next(huey) == 1

        assert result.get() == 1
        assert huey.result_count() == 0

    def test_only_what_can_be_revoked_is_taken(self, huey: Huey, sums: Any) -> None:
        with pytest.raises(TypeError, match="revoke_by_id"):
            huey.revoke("an id")
        with pytest.raises(TypeError, match="restore_by_id"):
            huey.restore("an id")
        with pytest.raises(TypeError, match="task"):
            huey.revoke_all(add)
        with pytest.raises(TypeError, match="task"):
            huey.restore_all("add")
        with pytest.raises(ValueError, match="datetime"):
            huey.revoke(sums.s(), revoke_until=60)  # type: ignore[arg-type]  # the mistake
        assert huey.result_count() == 0


class TestUntil:
    def test_at_the_instant_it_is_over(self, huey: Huey, sums: Any) -> None:
        task = sums.s(1, 2)
        huey.revoke(task, revoke_until=UNTIL)

        assert huey.is_revoked(task, NOON - SECOND) is True
        assert huey.is_revoked(task, NOON) is False
        assert huey.execute(task, NOON - SECOND) is None
        assert huey.execute(task, NOON) == 3

    def test_the_flag_goes_with_the_execution_that_finds_it_over(
        self, huey: Huey, sums: Any
    ) -> None:
        sums.revoke(revoke_until=UNTIL)
        assert huey.execute(sums.s(), NOON + SECOND) == 0

        assert huey.result_count() == 1  # the value
        assert huey.execute(sums.s(), NOON - SECOND) == 0

    def test_looking_at_it_takes_nothing_away(self, huey: Huey, sums: Any) -> None:
        sums.revoke(revoke_until=UNTIL)

        for _ in range(2):
            assert sums.is_revoked(NOON + SECOND) is False
            assert sums.is_revoked(NOON - SECOND) is True
        assert sums.is_revoked(NOON + SECOND, peek=False) is False
        assert sums.is_revoked(NOON - SECOND) is False


class TestAWholeFunction:
    def test_all_of_its_tasks_are_skipped(self, huey: Huey, sums: Any) -> None:
        other = huey.task(name="other")(add)
        sums.revoke()
        tasks = [sums.s(1), sums.s(2), other.s(3)]

        assert [huey.execute(task) for task in tasks] == [None, None, 3]
        assert sums.restore()
        assert huey.execute(tasks[0]) == 1

    def test_the_class_will_do_as_well_as_the_function(self, huey: Huey, sums: Any) -> None:
        huey.revoke_all(sums.task_class)

        assert huey.is_revoked(sums) is huey.is_revoked(sums.task_class) is True
        assert huey.restore_all(sums)

    def test_once_is_one_execution_of_all(self, huey: Huey, sums: Any) -> None:
        sums.revoke(revoke_once=True)
        tasks = [sums.s(1), sums.s(2), sums.s(3)]

        assert [huey.execute(task) for task in tasks] == [None, 2, 3]

    def test_asking_is_idempotent(self, huey: Huey, sums: Any) -> None:
        sums.revoke(revoke_once=True)

        assert sums.is_revoked() is sums.is_revoked() is True

    def test_a_task_and_its_handle_see_it_but_an_id_does_not(self, huey: Huey, sums: Any) -> None:
        result = sums(1)
        sums.revoke()

        assert result.is_revoked() is True
        assert huey.is_revoked(result) is True
        assert huey.is_revoked(result.task) is True
        assert huey.is_revoked(result.id) is False
        huey.revoke_by_id(result.id)
        assert huey.is_revoked(result.id) is True


class TestPeriodicTasks:
    @pytest.fixture
    def nightly(self, huey: Huey) -> Any:
        @huey.periodic_task(crontab(hour=1))
        def nightly() -> int:
            return 1

        return nightly

    def test_all_ways_work_for_them_too(self, huey: Huey, nightly: Any) -> None:
        def run(when: datetime = NOON) -> Any:
            return huey.execute(nightly.task_class(), when)

        nightly.revoke()
        assert (run(), run()) == (None, None)
        assert nightly.restore()
        assert run() == 1
        nightly.revoke(revoke_once=True)
        assert (run(), run()) == (None, 1)
        nightly.revoke(revoke_until=UNTIL)
        assert (run(NOON - SECOND), run(NOON), run(NOON - SECOND)) == (None, 1, 1)

    def test_calling_one_that_is_revoked_gives_nothing(self, huey: Huey, nightly: Any) -> None:
        nightly.revoke()
        result = nightly()

        assert run_next(huey) is None
        assert result.get() is None

    def test_the_flag_of_one_task_outlives_its_execution(self, huey: Huey) -> None:
        @huey.periodic_task(crontab(), context=True)
        def revoke_me(task: Any) -> None:
            huey.revoke(task)

        task = revoke_me.task_class()
        huey.execute(task)

        assert huey.is_revoked(task) is True


class TestWhatFollows:
    def test_a_dropped_stage_ends_its_pipeline(self, huey: Huey, sums: Any, news: News) -> None:
        results = huey.enqueue(sums.s(1).then(sums, 2).then(sums, 3))
        handles = list(results)
        handles[1].revoke()

        assert run_next(huey) == 1
        assert run_next(huey) is None

        assert (len(huey), huey.result_count()) == (0, 1)
        assert results.get() == [1, None, None]

    def test_nothing_is_stored_and_nobody_is_called(self, huey: Huey, sums: Any) -> None:
        called: list[Any] = []
        huey.pre_execute("before")(lambda *args: called.append(args))
        huey.post_execute("after")(lambda *args: called.append(args))
        task = sums.s(1).error(sums)

        result = huey.enqueue(task)
        result.revoke()
        run_next(huey)

        assert (len(huey), huey.result_count(), called) == (0, 0, [])

    def test_a_chord_goes_on_without_a_revoked_member(self, huey: Huey, sums: Any) -> None:
        members = [sums.s(1), sums.s(2).then(sums, 3)]
        huey.revoke(members[1])

        result = huey.enqueue(chord(members, huey.task()(gather)))
        run_all(huey)

        assert result.get() == [1, SKIPPED]

    def test_a_scheduled_task_is_skipped_when_its_time_comes(self, huey: Huey, sums: Any) -> None:
        result = sums.schedule((1, 2), delay=30)
        run_next(huey)
        result.revoke()
        [task] = huey.read_schedule(result.task.eta)

        assert huey.execute(task, result.task.eta) is None
        assert huey.result_count() == 0


def test_a_consumer_skips_what_is_revoked(huey: Huey, sums: Any, news: News) -> None:
    once = sums(1)
    once.revoke()
    other = huey.task(name="other")(add)
    revoked = other(2)
    other.revoke()
    good = sums(1, 2)

    with running(huey):
        assert good.get(blocking=True, timeout=20) == 3

    assert news.of(once.id) == news.of(revoked.id) == ["enqueued", "revoked"]
    assert huey.result_count() == 1  # the flag of the function


def test_a_handle_of_an_unknown_id_can_be_asked(huey: Huey) -> None:
    result: Result[Any] = Result(huey, Task(id="unknown"))

    assert result.is_revoked() is False
    result.revoke()
    assert result.is_revoked() is True
