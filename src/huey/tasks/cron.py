"""When a periodic task runs: cron strings with seconds and zones, intervals, predicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from math import floor, isfinite
from typing import Any, Protocol, runtime_checkable

from huey.tasks.cronrules import CronRule, CrontabRule, cron_settings
from huey.tasks.wallclock import Clock, WallRule, last_until, next_after

__all__ = [
    "CronSchedule",
    "CrontabSchedule",
    "IntervalSchedule",
    "PredicateSchedule",
    "Schedule",
    "to_schedule",
]

Predicate = Callable[[datetime], bool]

_SHORTEST_INTERVAL = timedelta(milliseconds=1)


@runtime_checkable
class Schedule(Protocol):
    """The instants at which a periodic task is planned. All instants are UTC epoch seconds."""

    def next_after(self, instant: float) -> float | None:
        """Return when to look again: nothing is planned between the two instants.

        The answer is later than ``instant``, and mostly planned itself. A schedule that cannot see
        ahead may answer an instant at which nothing is planned; `last_between` tells.
        None means that nothing is planned any more.
        """

    def last_between(self, low: float, high: float) -> float | None:
        """Return the latest planned instant in ``low < t <= high``, or None if there is none."""

    def all_between(self, low: float, high: float, limit: int) -> list[float]:
        """Return the planned instants in ``low < t <= high``, in order, the first ``limit``."""


@dataclass(frozen=True, slots=True)
class _WallSchedule:
    """What cron strings and crontabs have in common."""

    _rule: WallRule = field(init=False, repr=False, compare=False)
    _clock: Clock = field(init=False, repr=False, compare=False)

    def next_after(self, instant: float) -> float | None:
        """Return the first planned instant after the given one, or None if there is none."""
        return _float(next_after(self._rule, self._clock, instant))

    def last_between(self, low: float, high: float) -> float | None:
        """Return the latest planned instant in ``low < t <= high``, or None if there is none."""
        last = _float(last_until(self._rule, self._clock, high))
        return last if last is not None and last > low else None

    def all_between(self, low: float, high: float, limit: int) -> list[float]:
        """Return the planned instants in ``low < t <= high``, in order, the first ``limit``."""
        return _walk(self, low, high, limit)


@dataclass(frozen=True, slots=True)
class CronSchedule(_WallSchedule):
    """A cron string.

    Where the clock of the zone is moved, an entry with a fixed minute and hour runs once when the
    hour is repeated, and right after the jump when it is skipped. One whose minute or hour starts
    with ``*`` follows real time.

    Args:
        expression: five fields, from minute to weekday; six with *seconds first*; or one of the
            aliases ``@hourly @daily @midnight @weekly @monthly @yearly @annually``. As in cron, a
            day that satisfies either of day and weekday will do if both are restricted; names,
            ``L``, ``LW``, ``5L`` and ``MON#2`` are known.
        tz: name of a zone, ``local`` for that of the process, or a tzinfo; None is UTC.

    Raises:
        ValueError: if the expression is malformed or names no date that exists, or the zone is not
            known.
        TypeError: if the expression is not text.
    """

    expression: str
    tz: str | tzinfo | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_clock", Clock.of(self.tz))
        object.__setattr__(self, "_rule", CronRule.parse(self.expression))


@dataclass(frozen=True, slots=True)
class CrontabSchedule(_WallSchedule):
    """A predicate that came from ``crontab()``; its five lists are read instead of asking it.

    It follows real time if it names every hour or every minute, and is treated like a cron string
    with fixed minute and hour otherwise.

    Args:
        predicate: what ``crontab()`` returned.
        tz: name of a zone, ``local`` for that of the process, or a tzinfo; None is UTC.

    Raises:
        ValueError: if the predicate came from somewhere else, or the zone is not known.
    """

    predicate: Predicate
    tz: str | tzinfo | None = None

    def __post_init__(self) -> None:
        settings = cron_settings(self.predicate)
        if settings is None:
            raise ValueError(
                f"Expected a predicate made by crontab(), got {self.predicate!r}: use "
                "PredicateSchedule for other functions."
            )
        object.__setattr__(self, "_clock", Clock.of(self.tz))
        object.__setattr__(self, "_rule", CrontabRule(*settings))


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """Every so often, counted from 1970 on, so that all consumers plan the same instants.

    Args:
        every: the interval, a millisecond or more.

    Raises:
        ValueError: if it is shorter.
    """

    every: timedelta

    def __post_init__(self) -> None:
        if self.every < _SHORTEST_INTERVAL:
            raise ValueError(
                f"An interval must be {_SHORTEST_INTERVAL} or longer, got {self.every}."
            )

    def next_after(self, instant: float) -> float | None:
        """Return the first planned instant after the given one."""
        number = self._number(instant)
        while self._planned(number) <= instant:
            number += 1
        return self._planned(number)

    def last_between(self, low: float, high: float) -> float | None:
        """Return the latest planned instant in ``low < t <= high``, or None if there is none."""
        number = self._number(high) + 1
        while self._planned(number) > high:
            number -= 1
        last = self._planned(number)
        return last if last > low else None

    def all_between(self, low: float, high: float, limit: int) -> list[float]:
        """Return the planned instants in ``low < t <= high``, in order, the first ``limit``."""
        return _walk(self, low, high, limit)

    def _number(self, instant: float) -> int:
        """Return the number of the interval an instant is in, give or take a float's rounding."""
        return timedelta(seconds=instant) // self.every

    def _planned(self, number: int) -> float:
        return (number * self.every).total_seconds()


@dataclass(frozen=True, slots=True)
class PredicateSchedule:
    """Whole minutes at which a function says yes. It follows real time when a clock is moved.

    A function may look at more than the time that it is given (a switch, a table), and may be
    slow. So it is never asked about the future, once about each minute while it is watched, and
    not about minutes more than `LOOK_BACK` ago. What it raises reaches the caller.

    Args:
        predicate: called with a naive datetime, a whole minute.
        utc: whether that is in UTC, or in the local zone of the process.
        tz: a zone instead of these two: a name or a tzinfo.

    Raises:
        ValueError: if the zone is not known.
        TypeError: if the predicate cannot be called.
    """

    #: A week, in minutes.
    LOOK_BACK = 7 * 1440

    predicate: Predicate
    utc: bool = True
    tz: str | tzinfo | None = None
    _clock: Clock = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not callable(self.predicate):
            raise TypeError(
                f"A predicate must be a function of a datetime, got {self.predicate!r}."
            )
        object.__setattr__(self, "_clock", Clock.of(_zone(self.tz, self.utc)))

    def next_after(self, instant: float) -> float | None:
        """Return the next whole minute, planned or not: ask `last_between` when it has come."""
        return 60.0 * (floor(instant / 60) + 1)

    def last_between(self, low: float, high: float) -> float | None:
        """Return the latest planned instant in ``low < t <= high``, if within the last week."""
        minutes = reversed(self._minutes(low, high))
        return next((60.0 * minute for minute in minutes if self._holds(minute)), None)

    def all_between(self, low: float, high: float, limit: int) -> list[float]:
        """Return the first ``limit`` planned instants in ``low < t <= high``, of the last week."""
        found: list[float] = []
        for minute in self._minutes(low, high):
            if len(found) >= limit:
                break
            if self._holds(minute):
                found.append(60.0 * minute)
        return found

    def _minutes(self, low: float, high: float) -> range:
        end = floor(high / 60) + 1
        begin = max(low / 60, end - self.LOOK_BACK)
        return range(floor(begin) + 1, end)

    def _holds(self, minute: int) -> bool:
        return self.predicate(self._clock.shows(minute * 60))


def to_schedule(rule: Any, *, tz: str | tzinfo | None = None, utc: bool = True) -> Schedule:
    """Turn what an application gives to a periodic task into a schedule.

    Args:
        rule: a cron string, a timedelta or a number of seconds, a predicate, or a schedule.
        tz: the zone in which a cron string or a predicate is meant.
        utc: without a zone, whether that is UTC or the local zone of the process.

    Raises:
        ValueError: if the rule has no meaning, or is a schedule and a zone is given as well.
        TypeError: if it is something else.
    """
    match rule:
        case bool() | type():
            pass
        case str():
            return CronSchedule(rule, _zone(tz, utc))
        case timedelta():
            return IntervalSchedule(rule)
        case int() | float():
            return _seconds(rule)
        case Schedule():
            if tz is not None:
                raise ValueError(f"{rule!r} has a zone of its own: give tz={tz!r} to it instead.")
            return rule
        case _ if callable(rule):
            return _predicate(rule, tz, utc)
    raise TypeError(
        "A periodic task needs crontab(), a cron string such as '*/5 * * * *', a timedelta, a "
        f"number of seconds, a function of a datetime or a Schedule, got {rule!r}."
    )


def _zone(tz: str | tzinfo | None, utc: bool) -> str | tzinfo | None:
    return "local" if tz is None and not utc else tz


def _seconds(every: float) -> IntervalSchedule:
    if not isfinite(every):
        raise ValueError(f"A number of seconds must be finite, got {every!r}.")
    return IntervalSchedule(timedelta(seconds=every))


def _predicate(rule: Predicate, tz: str | tzinfo | None, utc: bool) -> Schedule:
    if cron_settings(rule) is None:
        return PredicateSchedule(rule, utc, tz)
    return CrontabSchedule(rule, _zone(tz, utc))


def _float(instant: int | None) -> float | None:
    return None if instant is None else float(instant)


def _walk(schedule: Schedule, low: float, high: float, limit: int) -> list[float]:
    """Collect planned instants one after the other, from a schedule that sees any distance."""
    found: list[float] = []
    while len(found) < limit:
        following = schedule.next_after(low)
        if following is None or following > high:
            break
        found.append(following)
        low = following
    return found
