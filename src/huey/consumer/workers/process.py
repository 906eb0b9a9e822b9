"""Workers that are processes, each forked from a parent that runs no task and has no threads."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from huey.consumer import identity, policy
from huey.consumer.heartbeat import Watch
from huey.consumer.workers.child import run_scheduler, run_tasks
from huey.consumer.workers.crew import Orders
from huey.consumer.workers.limits import alarm
from huey.exceptions import ConfigurationError
from huey.execution.attempt import run_in_new_loop

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

logger = logging.getLogger("huey.consumer")

#: Seconds that a process which was told to stop at once has for it.
_LAST_MOMENTS = 1.0
#: A process that ends sooner than this many seconds after its start counts towards a crash loop.
_EARLY = 5.0
#: Early ends in a row that are replaced at once; the delay doubles with each one after them.
_PATIENCE = 5


class Child:
    """One forked process, and the pipe through which it is told to end."""

    def __init__(
        self,
        name: str,
        target: Callable[..., None],
        arguments: tuple[Any, ...],
        siblings: Sequence[Child],
    ) -> None:
        self.name = name
        self.id = identity.new_id()
        self.started = time.monotonic()
        read, self._control = os.pipe()
        # The parent's ends of all pipes: a pipe must close with the parent, not with a sibling.
        inherited = [self._control, *(child._control for child in siblings)]
        context = multiprocessing.get_context("fork")
        self.process: ForkProcess = context.Process(
            target=_in_child, args=(target, read, inherited, self.id, arguments), name=name
        )
        self.process.start()
        os.close(read)

    def drain(self) -> None:
        """Tell it to end when it has finished what it runs."""
        with contextlib.suppress(OSError):
            os.write(self._control, b"d")

    def signal(self, signum: int) -> None:
        """Send it a Unix signal, if it still lives."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, signum)

    def close(self) -> str | None:
        """Release what is left of it; returns what killed it, None if it ended by itself."""
        os.close(self._control)
        self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        if code == 0:
            return None
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class ProcessCrew:
    """The parent: it forks, beats for its children, and gives back what a dead one held."""

    def __init__(self, orders: Orders) -> None:
        if "fork" not in multiprocessing.get_all_start_methods():
            raise ConfigurationError(
                "Process workers need fork(), which this system does not have: use -k thread."
            )
        self.orders = orders
        self._children: dict[str, Child] = {}
        self._due: dict[str, float] = {}
        self._early: dict[str, int] = {}
        self._watch = Watch(orders.storage)
        self._next_beat = 0.0
        self._failures = 0

    # ── start ──────────────────────────────────────────────────────────────────────────────────

    def sign_on(self) -> None:
        """See whether the storage answers; the children sign on themselves."""
        self.orders.storage.consumers()
        # Nothing of the connection may be shared with the children.
        self.orders.storage.close()

    def start(self) -> None:
        """Fork the scheduler and the workers."""
        for name in ("Scheduler", *(f"Worker-{n}" for n in range(1, self.orders.workers + 1))):
            self._fork(name)

    def _fork(self, name: str) -> None:
        target = run_scheduler if name == "Scheduler" else run_tasks
        siblings = tuple(self._children.values())
        self._children[name] = Child(name, target, (self.orders,), siblings)
        self._due.pop(name, None)

    # ── while it runs ──────────────────────────────────────────────────────────────────────────

    def sentinels(self) -> Sequence[int]:
        """Give what becomes readable when a child dies."""
        return [child.process.sentinel for child in self._children.values()]

    def tend(self) -> float | None:
        """Give back what dead children held, replace them, and beat for the living."""
        for child in tuple(self._children.values()):
            if not child.process.is_alive():
                self._bury(child)
        now = time.monotonic()
        for name in [name for name, due in self._due.items() if due <= now]:
            self._fork(name)
        if now >= self._next_beat:
            self._beat()
        waits = [self._next_beat, *self._due.values()]
        return max(0.0, min(waits) - time.monotonic())

    def _bury(self, child: Child) -> None:
        del self._children[child.name]
        early = time.monotonic() - child.started < _EARLY
        cause = child.close()
        if cause is None:
            self._early[child.name] = 0
            self._due[child.name] = 0.0
            return
        count = self._early[child.name] = self._early.get(child.name, 0) + 1 if early else 0
        delay = 0.0 if count <= _PATIENCE else min(30.0, 0.5 * 2.0 ** (count - _PATIENCE))
        self._due[child.name] = time.monotonic() + delay
        logger.warning("%s died (%s), restarting.", child.name, cause)
        self._give_back(child.id, cause)

    def _give_back(self, consumer: str, cause: str) -> None:
        try:
            self.orders.storage.recover(consumer, None, cause)
        except Exception as error:
            # The watch of this or another consumer does it once the storage answers.
            self.orders.reach.failed("supervisor", error)

    def _beat(self) -> None:
        """Beat for the children, in case a task lets none of their threads run; watch the rest."""
        self._next_beat = time.monotonic() + policy.BEAT
        try:
            for child in self._children.values():
                if child.name != "Scheduler":
                    self.orders.storage.heartbeat(child.id)
            self._watch.look("")
        except Exception as error:
            self._watch.forget()
            self.orders.reach.failed("supervisor", error)
        else:
            self.orders.reach.worked("supervisor")

    # ── stop ───────────────────────────────────────────────────────────────────────────────────

    def drain(self) -> None:
        """Tell the children to end when they have finished what they run."""
        self._due.clear()
        for child in self._children.values():
            child.drain()

    def is_alive(self) -> bool:
        """Tell whether any child still runs; the others are let go."""
        for child in tuple(self._children.values()):
            if not child.process.is_alive():
                del self._children[child.name]
                cause = child.close()
                if cause is not None:
                    self._give_back(child.id, cause)
        return bool(self._children)

    def interrupt(self) -> None:
        """Stop the tasks that still run: by a signal, and by force if they do not listen."""
        for child in self._children.values():
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + _LAST_MOMENTS
        for child in tuple(self._children.values()):
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                # It was told to go, so what it holds is given back without a crash mark.
                self._release(child.id)
                child.signal(signal.SIGKILL)

    def _release(self, consumer: str) -> None:
        try:
            self.orders.storage.sign_off(consumer)
        except Exception as error:
            self.orders.reach.failed("supervisor", error)

    def finish(self, timeout: float) -> None:
        """Wait for the last children."""
        deadline = time.monotonic() + timeout
        for child in tuple(self._children.values()):
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                child.signal(signal.SIGKILL)
        self.is_alive()

    def time_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """End a task that runs for too long, by an alarm."""
        return alarm(seconds)

    def run_coroutine(self, coroutine: Any) -> Any:
        """Run a coroutine in a loop of its own."""
        return run_in_new_loop(coroutine)


def _in_child(
    target: Callable[..., None],
    read: int,
    inherited: Sequence[int],
    own_id: str,
    arguments: tuple[Any, ...],
) -> None:
    for descriptor in inherited:
        os.close(descriptor)
    target(read, own_id, *arguments)
