"""The process that runs tasks: start, watch, replace, stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from huey.consumer import policy
from huey.consumer.bell import Bell
from huey.consumer.reach import Reach
from huey.consumer.scheduler import Scheduler
from huey.consumer.shutdown import Stop, signal_actions
from huey.consumer.workers.base import Worker
from huey.consumer.workers.crew import Orders
from huey.consumer.workers.kinds import hire
from huey.exceptions import ConfigurationError

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.storage.delivery import LosslessStorage

logger = logging.getLogger("huey.consumer")


class ConsumerStopped(Exception):
    """The consumer was told to stop."""


class Consumer:
    """Runs the tasks of a queue until it is told to stop.

    Args:
        huey: the application.
        workers: how many tasks run at once.
        periodic: whether periodic tasks are enqueued from here.
        initial_delay: seconds of the first wait between looks at a storage that cannot wake us.
        backoff: growth of that wait.
        max_delay: its upper bound in seconds.
        scheduler_interval: seconds after which entries that others put on the schedule are noticed.
        worker_type: "thread", "process", "greenlet" or "asyncio".
        check_worker_health: replace workers that died.
        health_check_interval: kept for compatibility: a death is noticed at once.
        flush_locks: free all locks at the start.
        extra_locks: names of further locks to free, separated by commas.
        max_tasks: tasks after which a worker is replaced by a fresh one.
        shutdown_timeout: seconds that running tasks may take after a signal; by default as long as
            they need after the graceful signal, and 8 after the other one.
        graceful_signal: "INT" or "TERM": which of the two does not bound the time of tasks.

    Raises:
        ConfigurationError: a value that makes no sense, or a worker type that cannot work here.
    """

    worker_class: type[Worker] = Worker
    scheduler_class: type[Scheduler] = Scheduler

    #: The Unix signal that came, and what it asks for.
    _signum: int | None = None
    _restart = False
    _graceful = True
    #: The thread that is in ``run``, and for how many seconds another one asked it to wait for
    #: running tasks.
    _runner: threading.Thread | None = None
    _asked: tuple[float | None] | None = None

    def __init__(
        self,
        huey: Huey,
        workers: int = 1,
        periodic: bool = True,
        initial_delay: float = 0.1,
        backoff: float = 1.15,
        max_delay: float = 10.0,
        scheduler_interval: float = 1,
        worker_type: str = "thread",
        check_worker_health: bool = True,
        health_check_interval: float = 10,
        flush_locks: bool = False,
        extra_locks: str | None = None,
        max_tasks: int | None = None,
        shutdown_timeout: float | None = None,
        graceful_signal: str = "INT",
    ) -> None:
        if huey.immediate:
            logger.warning("The Huey is in immediate mode: this consumer cannot be started.")
        if max_tasks and not check_worker_health:
            raise ConfigurationError(
                "max_tasks needs worker health checks, which replace the recycled workers: "
                "leave out -C (check_worker_health=False)."
            )
        self.huey = huey
        self.workers = workers
        self.periodic = periodic
        self.default_delay = initial_delay
        self.backoff = backoff
        self.max_delay = max_delay
        self.scheduler_interval = _checked_interval(scheduler_interval)
        self.worker_type = worker_type
        self.max_tasks = max_tasks
        self.shutdown_timeout = shutdown_timeout
        self.graceful_signal = graceful_signal
        self._health_check = check_worker_health
        self._health_check_interval = float(health_check_interval)
        self._signal_actions = signal_actions(graceful_signal)
        self.stop_flag = threading.Event()
        self._stopped = threading.Event()
        self._bell = Bell()
        if flush_locks or extra_locks:
            self.flush_locks(*(extra_locks or "").split(","))
        self._reach = Reach()
        self.crew = hire(self._orders())
        huey._timeout_handler = self.crew.time_limit
        huey._run_coroutine = self.crew.run_coroutine

    def _orders(self) -> Orders:
        return Orders(
            huey=self.huey,
            storage=self.huey._lossless,
            workers=self.workers,
            worker_type=self.worker_type,
            max_tasks=self.max_tasks,
            worker_class=self.worker_class,
            make_scheduler=self._create_scheduler,
            reach=self._reach,
            ring=self._bell.ring,
        )

    def flush_locks(self, *names: str) -> None:
        """Free all locks that the application knows, and those named."""
        logger.debug("Flushing locks before starting up.")
        flushed = self.huey.flush_locks(*(name for name in names if name.strip()))
        if flushed:
            logger.warning("Found stale locks: %s", ", ".join(sorted(flushed)))

    def _create_scheduler(self, storage: LosslessStorage, reach: Reach) -> Scheduler:
        interval = self.scheduler_interval
        return self.scheduler_class(self.huey, storage, interval, self.periodic, reach)

    # ── start ──────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start all parts; returns at once.

        Raises:
            ConfigurationError: the Huey is in immediate mode.
            StorageError: the storage cannot be used.
        """
        if self.huey.immediate:
            raise ConfigurationError(
                "Consumer cannot be run with Huey instances where immediate is enabled: tasks "
                "run in their callers. Set immediate=False to use a consumer."
            )
        # First of all: a signal that comes while workers start must not hit the default handlers.
        self._set_signal_handlers()
        self._say_hello()
        self._sign_on()
        for warning in self.huey._lossless.check():
            logger.warning("%s", warning)
        self.crew.start()

    def _say_hello(self) -> None:
        logger.info(
            "Huey consumer started with %d %s, PID %d at %s",
            self.workers,
            self.worker_type,
            os.getpid(),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        logger.info("Scheduler runs every %s second(s).", self.scheduler_interval)
        logger.info("Periodic tasks are %s.", "enabled" if self.periodic else "disabled")
        commands = "".join(f"\n+ {name}" for name in self.huey._registry._registry)
        logger.info("The following commands are available:%s", commands)
        if not self.huey.storage.lossless:
            logger.warning(
                "%s has only the classic storage methods: a task whose worker dies is lost.",
                type(self.huey.storage).__name__,
            )

    def _sign_on(self) -> None:
        failures = 0
        while True:
            try:
                self.crew.sign_on()
            except ConfigurationError:
                raise
            except Exception as error:
                # The storage may still be on its way up: wait for it, unless we are to stop.
                failures += 1
                self._reach.failed("start", error)
                if self._bell.wait(policy.reconnect_delay(failures)) and self._signum is not None:
                    raise ConsumerStopped from error
            else:
                self._reach.worked("start")
                return

    # ── run ────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Start, and return when the consumer has stopped."""
        self._runner = threading.current_thread()
        try:
            self.start()
            while True:
                self.loop()
        except ConsumerStopped:
            pass
        finally:
            self._stopped.set()
        self.huey.notify_interrupted_tasks()
        if self._restart:
            logger.info("Consumer will restart.")
            self._exec()
        logger.info("Consumer exiting.")

    def loop(self, health_check_ts: float | None = None) -> float:
        """Wait until there is something to do, and do it.

        Raises:
            ConsumerStopped: the consumer has stopped.
        """
        if self.stop_flag.is_set():
            raise ConsumerStopped
        try:
            self._bell.wait(self._tend(), self.crew.sentinels())
        except KeyboardInterrupt:
            logger.info("Received SIGINT")
            self.stop(graceful=True)
        if self._signum is not None and not self.stop_flag.is_set():
            stop = Stop(self._signum, self._restart, self._graceful)
            # From here on, another signal is the second one.
            self._signum = None
            logger.info("Received %s", stop.name)
            self._stop_within(self._time_for_tasks(stop))
        elif self._asked is not None:
            self._stop_within(*self._asked)
        if self.stop_flag.is_set():
            raise ConsumerStopped
        return time.monotonic()

    def _tend(self) -> float | None:
        """Replace workers that died; returns the seconds until that wants to be looked at again."""
        return self.crew.tend() if self._health_check else None

    # ── stop ───────────────────────────────────────────────────────────────────────────────────

    def stop(self, graceful: bool = False) -> None:
        """Stop; running tasks are waited for if ``graceful``, else given back."""
        timeout = self.shutdown_timeout if graceful else 0.0
        if self._runner is None or self._runner is threading.current_thread():
            self._stop_within(timeout)
            return
        # Only one thread may wait for the workers: the one that is in run().
        self._asked = (timeout,)
        self._bell.ring()
        self._stopped.wait()

    def _time_for_tasks(self, stop: Stop) -> float | None:
        """Give the seconds that running tasks may still take; None: as long as they need."""
        if self.shutdown_timeout is not None:
            return self.shutdown_timeout
        return None if stop.graceful else policy.GRACE

    def _stop_within(self, timeout: float | None) -> None:
        if self.stop_flag.is_set():
            return
        self.stop_flag.set()
        if timeout == 0:
            logger.info("Shutting down")
        else:
            logger.info("Shutting down gracefully...")
        self.crew.drain()
        if self._wait_for_workers(timeout):
            logger.info("All workers have stopped.")
        else:
            self.crew.interrupt()
        self.crew.finish(policy.GRACE if timeout is None else max(timeout, 1.0))
        self._stopped.set()

    def _wait_for_workers(self, timeout: float | None) -> bool:
        """Wait until the workers have ended; False if time ran out, or a second signal came."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.crew.is_alive():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                if timeout:
                    logger.warning("Shutdown timeout of %s s is over, interrupting.", timeout)
                return False
            try:
                self._bell.wait(left, self.crew.sentinels())
            except KeyboardInterrupt:
                self._signum = signal.SIGINT
            if self._signum is not None:
                logger.info("Received a second signal, interrupting.")
                self._restart = False
                return False
        return True

    def _exec(self) -> None:
        """Replace this process by a fresh one of the same command; the pid stays."""
        # orig_argv, because `python -m` is not in argv.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

    # ── Unix signals ───────────────────────────────────────────────────────────────────────────

    def _set_signal_handlers(self) -> None:
        """Have Unix signals stop the consumer; embedders override this to do nothing."""
        if threading.current_thread() is not threading.main_thread():
            logger.debug("Signal handlers can only be set in the main thread, leaving them.")
            return
        # A signal between the last look for one and the wait would be noticed after the wait only,
        # so the interpreter itself rings the bell.
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for signum in self._signal_actions:
            signal.signal(signum, self._handle_signal)

    def _handle_signal(self, signum: int, frame: Any) -> None:
        # Only notes what came: the main loop acts, outside of the handler.
        self._signum = signum
        self._restart, self._graceful = self._signal_actions[signum]
        self._bell.ring()


def _checked_interval(interval: float) -> float:
    interval = max(min(interval, 60), 1)
    if 60 % interval != 0:
        raise ConfigurationError(
            "scheduler_interval is a number of seconds that divides a minute "
            f"(1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60), got {interval!r}."
        )
    return interval
