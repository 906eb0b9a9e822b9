"""What becomes of a unique task that finds its place taken; and of its place, under a consumer."""

import threading
from typing import Any

import pytest

from huey.api import Huey, Result, ResultGroup, TaskException, chord, group
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import PATIENCE, News, gather, run_all, run_next, running
from tests.behaviour.test_unique import index, places


@pytest.fixture
def indexed(huey: Huey) -> Any:
    return huey.task(unique=True)(index)


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
        indexed: Any = huey.task(unique=True)(index)

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


class TestKeysThatFailLater:
    def test_a_task_runs_even_if_its_place_cannot_be_named_any_more(
        self, huey: Huey, caplog: pytest.LogCaptureFixture
    ) -> None:
        works = [True]

        def key(number: int, part: str = "all") -> int:
            return number if works else 1 // 0

        indexed = huey.task(unique=key)(index)
        result = indexed(1)
        works.clear()

        assert run_next(huey) == "1 all"
        assert result.get() == "1 all"
        assert "cannot be named" in caplog.text

    def test_a_task_that_is_enqueued_again_finds_its_own_place(
        self, huey: Huey, indexed: Any
    ) -> None:
        task = indexed.s(1)

        assert [huey.enqueue(task).id, huey.enqueue(task).id] == [task.id] * 2
        assert len(huey) == 2


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
