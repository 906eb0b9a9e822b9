"""What is planned when: calls at their due time, functions by a rule. It never looks at a clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, Protocol

from huey.tasks.cron import Schedule, to_schedule
from huey.tasks.cronrules import cron_settings

logger = logging.getLogger("huey.mini")

#: Seconds that the clock may be put back without any tick being planned anew.
_SLACK = 60.0


class Slot(Protocol):
    """Where a call leaves what came of it."""

    def set(self, value: Any) -> None:
        """Keep what the function returned."""

    def fail(self, error: BaseException) -> None:
        """Keep what the function raised."""


@dataclass(slots=True, eq=False)
class Call:
    """One call of a task function."""

    name: str
    func: Callable[..., Any]
    args: Any
    kwargs: dict[str, Any]
    result: Slot


@dataclass(frozen=True, slots=True)
class MinuteRule:
    """A function of the application that is asked once in each minute, with the local time.

    Unlike a `Schedule` it is never asked about the future: it may look at something else than the
    time that it is given.
    """

    predicate: Callable[[datetime], bool]

    def next_after(self, instant: float) -> float | None:
        """Return the begin of the next minute."""
        return (instant // 60 + 1) * 60

    def last_between(self, low: float, high: float) -> float | None:
        """Ask about the minute of ``high``, if it has begun after ``low``."""
        minute = high // 60 * 60
        if minute <= low or not self.predicate(datetime.fromtimestamp(high)):
            return None
        return minute


def to_rule(rule: Any) -> Schedule | MinuteRule:
    """Turn what an application gives to a periodic task into a rule, in the local zone.

    Raises:
        TypeError, ValueError: it is no rule.
    """
    is_predicate = callable(rule) and not isinstance(rule, Schedule | type)
    if is_predicate and cron_settings(rule) is None:
        return MinuteRule(rule)
    return to_schedule(rule, utc=False)


@dataclass(slots=True, eq=False)
class Periodic:
    """A function that runs by the clock."""

    rule: Schedule | MinuteRule
    name: str
    func: Callable[..., Any]
    #: Epoch seconds before which nothing is planned.
    next_look: float


class Agenda:
    """Calls by their due times, and periodic functions. All instants are epoch seconds.

    Args:
        now: up to here, ticks of periodic functions are over.
    """

    def __init__(self, now: float) -> None:
        #: A heap; the number keeps calls of one instant in order.
        self.calls: list[tuple[float, int, Call]] = []
        self.periodic: list[Periodic] = []
        self.numbers = count()
        self._checked = now
        self._lock = threading.Lock()

    # ── calls ──────────────────────────────────────────────────────────────────────────────────

    def add_call(self, due: float, call: Call) -> bool:
        """Plan a call; tell whether it is now the first one."""
        with self._lock:
            heappush(self.calls, (due, next(self.numbers), call))
            return self.calls[0][2] is call

    def due_calls(self, now: float) -> list[Call]:
        """Take off the calls whose time has come."""
        due = []
        with self._lock:
            while self.calls and self.calls[0][0] <= now:
                due.append(heappop(self.calls)[2])
        return due

    # ── periodic functions ─────────────────────────────────────────────────────────────────────

    def add_periodic(
        self, rule: Schedule | MinuteRule, name: str, func: Callable[..., Any], now: float
    ) -> None:
        """Plan a function by a rule, from now on."""
        self.periodic.append(Periodic(rule, name, func, _or_never(rule.next_after(now))))

    def begin(self, now: float) -> None:
        """Forget the ticks that passed while nobody looked, but for those of this very minute."""
        minute_began = now // 60 * 60
        self.checked = max(self._checked, minute_began - 1e-6)

    @property
    def checked(self) -> float:
        """Up to when ticks are over."""
        return self._checked

    @checked.setter
    def checked(self, instant: float) -> None:
        self._checked = instant
        for entry in self.periodic:
            entry.next_look = _next_look(entry, instant)

    def due_ticks(self, now: float) -> list[Periodic]:
        """Give the functions of which a tick has passed since the last time, each once."""
        low = self._checked
        if now < low - _SLACK:
            self.checked = now
        if now <= low:
            return []
        due = [
            entry for entry in self.periodic if entry.next_look <= now and _ticks(entry, low, now)
        ]
        self._checked = now
        return due

    def pause(self, now: float) -> float:
        """Tell for how many seconds nothing is planned."""
        with self._lock:
            first_call = self.calls[0][0] if self.calls else inf
        return max(0.0, min([first_call, *(entry.next_look for entry in self.periodic)]) - now)


def _ticks(entry: Periodic, low: float, now: float) -> bool:
    """Ask the rule, which may be a function of the application and may fail."""
    try:
        return entry.rule.last_between(low, now) is not None
    except Exception:
        logger.exception("The rule of periodic task %s failed: no run.", entry.name)
        return False
    finally:
        entry.next_look = _next_look(entry, now)


def _next_look(entry: Periodic, now: float) -> float:
    try:
        return _or_never(entry.rule.next_after(now))
    except Exception:
        logger.exception("The rule of periodic task %s failed: next look in a minute.", entry.name)
        return now + 60


def _or_never(instant: float | None) -> float:
    return inf if instant is None else instant
