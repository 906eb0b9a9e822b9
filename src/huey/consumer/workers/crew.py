"""What the consumer asks of the workers of any kind, and those that live in its own process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from huey.consumer.engine import Engine
from huey.consumer.heartbeat import Heartbeat
from huey.execution.attempt import run_in_new_loop

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.consumer.reach import Reach
    from huey.consumer.scheduler import Scheduler
    from huey.consumer.workers.base import Worker
    from huey.storage.delivery import LosslessStorage

logger = logging.getLogger("huey.consumer")


@dataclass(frozen=True, slots=True)
class Orders:
    """What a crew is made of."""

    huey: Huey
    storage: LosslessStorage
    workers: int
    worker_type: str
    max_tasks: int | None
    worker_class: type[Worker]
    make_scheduler: Callable[[LosslessStorage, Reach], Scheduler]
    reach: Reach
    #: Wakes the consumer; may be called from any thread.
    ring: Callable[[], None]


class Crew(Protocol):
    """The workers, and all that serves them."""

    def sign_on(self) -> None:
        """Make them known to the storage."""

    def start(self) -> None:
        """Start them; returns at once."""

    def tend(self) -> float | None:
        """Replace those that have ended; returns the seconds until it wants to be called again."""

    def sentinels(self) -> Sequence[int]:
        """Give descriptors that become readable when there is something to tend."""

    def drain(self) -> None:
        """Have them claim nothing more, and end when they have finished what they run."""

    def is_alive(self) -> bool:
        """Tell whether any of them still runs."""

    def interrupt(self) -> None:
        """Stop what still runs, and give it back."""

    def finish(self, timeout: float) -> None:
        """Write what is left, within so many seconds, and sign off."""

    def time_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """Give the context in which a task with a timeout runs."""

    def run_coroutine(self, coroutine: Any) -> Any:
        """Run a coroutine to its end, from code that is none."""


class InProcessCrew:
    """Workers that share the consumer's process: one engine, scheduler and heartbeat for all."""

    #: What can be seen of a worker: a thread, a greenlet.
    worker_threads: list[tuple[Worker, Any]]

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.engine = Engine(
            orders.huey, orders.storage, orders.workers, orders.worker_type, orders.reach
        )
        self.scheduler = orders.make_scheduler(orders.storage, orders.reach)
        self.engine.settler.on_scheduled = self.scheduler.expect
        self.heartbeat = Heartbeat(self.engine, orders.reach)
        self.worker_threads = [self.hire(number) for number in range(1, self.count() + 1)]

    def count(self) -> int:
        """Give the number of workers to make."""
        return self.orders.workers

    def hire(self, number: int) -> tuple[Worker, Any]:
        """Make one worker, without starting it."""
        worker = self.engine.make_worker(self.orders.worker_class, self.orders.max_tasks)
        return worker, self.make_process(worker, f"Worker-{number}")

    def make_process(self, worker: Worker, name: str) -> Any:
        """Make the thread, or what stands for one, in which a worker runs."""
        raise NotImplementedError

    def sign_on(self) -> None:
        """Make this process known to the storage."""
        self.engine.sign_on()

    def start(self) -> None:
        """Start all parts."""
        self.engine.start()
        self.scheduler.start()
        self.heartbeat.start()
        for _, process in self.worker_threads:
            process.start()

    def tend(self) -> float | None:
        """Replace workers that have ended."""
        for index, (worker, _) in enumerate(self.worker_threads):
            if worker.has_ended:
                if not worker.is_spent:
                    logger.warning("Worker %d died, restarting.", index + 1)
                self.worker_threads[index] = fresh = self.hire(index + 1)
                fresh[1].start()
        return None

    def sentinels(self) -> Sequence[int]:
        """Workers ring when they end; there is nothing else to look at."""
        return ()

    def drain(self) -> None:
        """Have the workers end when they have finished what they run."""
        self.scheduler.stop()
        self.engine.drain(len(self.worker_threads))

    def is_alive(self) -> bool:
        """Tell whether any worker still runs."""
        return not all(worker.has_ended for worker, _ in self.worker_threads)

    def interrupt(self) -> None:
        """Give back what still runs."""
        self.engine.interrupt()

    def finish(self, timeout: float) -> None:
        """Write what is left and sign off."""
        self.engine.finish(timeout)
        self.heartbeat.stop()

    def run_coroutine(self, coroutine: Any) -> Any:
        """Run a coroutine in a loop of its own."""
        return run_in_new_loop(coroutine)

    def wait_for_workers(self, seconds: float) -> None:
        """Wait a moment for workers that were told to stop."""
        deadline = time.monotonic() + seconds
        for _, process in self.worker_threads:
            process.join(max(0.0, deadline - time.monotonic()))
