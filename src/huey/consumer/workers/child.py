"""What a forked worker, or the forked scheduler, does."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from huey.consumer.engine import Engine
from huey.consumer.heartbeat import Heartbeat
from huey.consumer.reach import Reach
from huey.consumer.workers.thread import run_worker
from huey.execution.outcome import Interrupted

if TYPE_CHECKING:
    from huey.consumer.workers.crew import Orders

logger = logging.getLogger("huey.consumer")

#: Seconds that a task may still take when the parent is gone.
_ORPHANED = 0.5


def run_tasks(control: int, own_id: str, orders: Orders) -> None:
    """Run tasks until the parent says so, or is gone."""
    huey = orders.huey
    reach = Reach()
    engine = Engine(huey, huey._lossless, 1, orders.worker_type, reach, own_id)
    _listen_to_signals(lambda: bool(huey._tasks_in_flight))
    engine.sign_on()
    engine.start()
    heartbeat = Heartbeat(engine, reach, watches=False)
    heartbeat.start()
    worker = engine.make_worker(orders.worker_class, orders.max_tasks)
    _Guardian(control, lambda: engine.drain(1), engine.interrupt).start()
    run_worker(worker, lambda: None)
    if worker.is_spent:
        engine.drain(0)
    engine.finish(_ORPHANED if os.getppid() == 1 else None)
    heartbeat.stop()


def run_scheduler(control: int, own_id: str, orders: Orders) -> None:
    """Run the scheduler until the parent says so, or is gone."""
    _listen_to_signals(lambda: False)
    scheduler = orders.make_scheduler(orders.huey._lossless, Reach())
    ended = threading.Event()
    scheduler.start()
    _Guardian(control, ended.set, lambda: None).start()
    ended.wait()
    scheduler.stop()


def _listen_to_signals(runs_a_task: Callable[[], bool]) -> None:
    def interrupt(signum: int, frame: Any) -> None:
        if runs_a_task():
            raise Interrupted

    # What reaches this process must not ring in the parent.
    signal.set_wakeup_fd(-1)
    # The parent decides: a Ctrl-C on the terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, interrupt)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


class _Guardian(threading.Thread):
    """Listens to the parent, and ends this process soon after the parent has died."""

    def __init__(
        self, control: int, drain: Callable[[], None], interrupt: Callable[[], None]
    ) -> None:
        super().__init__(name="Guardian", daemon=True)
        self._control = control
        self._drain = drain
        self._interrupt = interrupt

    def run(self) -> None:
        """Wait for the parent's word, then for its end."""
        if os.read(self._control, 1):
            self._drain()
            os.read(self._control, 1)
        else:
            self._drain()
        # The parent is gone. Whoever reads the queue next must find what is still held here.
        time.sleep(_ORPHANED)
        logger.warning("The parent process is gone, ending.")
        self._interrupt()
        os._exit(1)
