"""A storage that will not write an outcome: the task fails visibly, and nobody else suffers."""

from collections.abc import Sequence
from typing import Any

import pytest

from huey.api import Error, Huey, TaskException, chord
from huey.storage.delivery import Settled, Settlement
from huey.storage.memory import MemoryStorage
from tests.behaviour.driving import PATIENCE, gather, running

LARGE = "x" * 3000


class Picky(MemoryStorage):
    """Takes no value and no message above 2000 bytes in a settlement, as some databases do."""

    #: Refuses any outcome of a task with this in its arguments.
    hates: bytes | None = None

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        for settlement in settlements:
            sizes = [len(value) for _, value in settlement.results]
            sizes += [len(message.data) for message in settlement.outgoing]
            if settlement.chord is not None:
                sizes.append(len(settlement.chord.value))
            hated = self.hates is not None and settlement.claim is not None
            if max(sizes, default=0) > 2000 or (
                hated and settlement.dead is None and self.hates in settlement.claim.data  # type: ignore[union-attr]
            ):
                raise ValueError("the packet is too large")
        return super().settle(settlements)


@pytest.fixture
def huey() -> Huey:
    class Short(Huey):
        def build_error_result(self, task: Any, exception: BaseException) -> dict[str, Any]:
            return {**super().build_error_result(task, exception), "traceback": "left out"}

    return Short("app", storage_class=Picky)


def work(value: Any = None, *more: Any) -> Any:
    if value == "fail":
        raise ValueError("failed")
    return value


@pytest.fixture
def worker(huey: Huey) -> Any:
    return huey.task()(work)


def error_of(result: Any) -> str:
    with pytest.raises(TaskException) as caught:
        result.get(blocking=True, timeout=PATIENCE)
    return str(caught.value)


def make_large(huey: Huey) -> Any:
    @huey.task()
    def large(*args: Any) -> str:
        return LARGE

    return large


def test_a_result_that_is_too_large_is_an_error_of_its_task_alone(huey: Huey, worker: Any) -> None:
    results = [worker(1), make_large(huey)(), worker(2)]

    with running(huey, workers=3):
        assert results[0].get(blocking=True, timeout=PATIENCE) == 1
        assert results[2].get(blocking=True, timeout=PATIENCE) == 2
        assert "too large" in error_of(results[1])
    assert len(huey) == 0


def test_the_stages_after_it_fail_with_it(huey: Huey, worker: Any) -> None:
    results = list(huey.enqueue(make_large(huey).s(retries=3).then(worker).then(worker)))

    with running(huey):
        assert ["too large" in error_of(result) for result in results] == [True] * 3


def test_its_chord_goes_on(huey: Huey, worker: Any) -> None:
    large = make_large(huey)

    with running(huey):
        result = huey.enqueue(chord([worker.s(1), large.s()], huey.task()(gather)))
        values = result.get(blocking=True, timeout=PATIENCE)

    assert values[0] == 1
    assert isinstance(values[1], Error)


def test_an_outcome_that_is_refused_in_any_form_ends_as_a_dead_letter(
    huey: Huey, worker: Any
) -> None:
    assert isinstance(huey.storage, Picky)
    huey.storage.hates = b"hated"
    worker("hated")
    good = worker("good")

    with running(huey):
        assert good.get(blocking=True, timeout=PATIENCE) == "good"
    # The consumer has ended, so nothing is being written any more.
    [letter] = huey._lossless.dead_letters()

    assert b"hated" in letter.data
    assert "too large" in letter.detail
    assert len(huey) == 0


def test_a_retry_is_not_lost_with_the_error_before_it(huey: Huey) -> None:
    attempts: list[int] = []

    @huey.task(retries=1)
    def second_time() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError(LARGE)
        return 2

    with running(huey):
        result = second_time()
        while result.get_raw_result(blocking=True, timeout=PATIENCE) != 2:
            result.reset()
