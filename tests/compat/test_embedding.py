"""Applications run a consumer inside of themselves: row 9 of what the outside leans on."""

import signal
import threading
from typing import Any

import pytest

from huey.api import Consumer as NamedInApi
from huey.api import Huey, MemoryHuey
from huey.consumer.consumer import Consumer
from tests.behaviour.driving import PATIENCE


class Embedded(Consumer):
    """As embedders write it: Python lets only the main thread register signal handlers."""

    def _set_signal_handlers(self) -> None:
        """Leave them to the application."""


def add(a: int, b: int = 0) -> int:
    return a + b


@pytest.fixture
def huey() -> Huey:
    return MemoryHuey("embedded")


def test_the_class_is_where_it_always_was() -> None:
    import huey.consumer

    assert NamedInApi is Consumer
    assert huey.consumer.Consumer is Consumer


def test_it_runs_in_a_thread_and_stops_when_it_is_told_to(huey: Huey) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    consumer = Embedded(huey, workers=2)
    thread = threading.Thread(target=consumer.run, daemon=True)
    thread.start()
    sums = huey.task()(add)

    results = [sums(number) for number in range(5)]
    values = [result.get(blocking=True, timeout=PATIENCE) for result in results]
    consumer.stop(graceful=True)
    thread.join(PATIENCE)

    assert values == [0, 1, 2, 3, 4]
    assert not thread.is_alive()
    assert {number: signal.getsignal(number) for number in before} == before


def test_it_can_be_started_without_a_thread_of_its_own(huey: Huey) -> None:
    consumer = Embedded(huey)
    consumer.start()
    result = huey.task()(add)(1, 2)

    assert result.get(blocking=True, timeout=PATIENCE) == 3
    consumer.stop()
    consumer.stop(graceful=True)


def test_one_after_the_other_can_serve_a_queue(huey: Huey) -> None:
    sums = huey.task()(add)
    for number in range(3):
        consumer = Embedded(huey)
        consumer.start()
        assert sums(number).get(blocking=True, timeout=PATIENCE) == number
        consumer.stop(graceful=True)


def test_create_consumer_may_give_ones_own(huey: Huey) -> None:
    class Own(MemoryHuey):
        def create_consumer(self, **options: Any) -> Consumer:
            return Embedded(self, **options)

    app = Own("own")
    consumer = app.create_consumer(workers=1)
    consumer.start()
    result = app.task()(add)(1, 2)

    assert result.get(blocking=True, timeout=PATIENCE) == 3
    consumer.stop(graceful=True)


def test_startup_hooks_run_in_its_workers(huey: Huey) -> None:
    names: list[str] = []
    huey.on_startup("note")(lambda: names.append(threading.current_thread().name))
    consumer = Embedded(huey, workers=2)
    consumer.start()
    consumer.stop(graceful=True)

    assert len(set(names)) == 2
