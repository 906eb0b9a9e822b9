"""Cron strings and crontabs as sets of times on the clock on the wall (see `huey.tasks.wallclock`).

A cron string takes a day that satisfies either of day and weekday, `crontab()` one that satisfies
both; so neither is built on the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import FunctionType

from huey.tasks.crontab import crontab

__all__ = ["CronRule", "CrontabRule", "cron_settings"]

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_DAY_MINUTES = 1440
#: A date falls on the same weekday again after 40 years at the latest.
_CALENDAR_DAYS = 40 * 366
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
#: Shared by all that ``crontab()`` makes.
_CRONTAB_CODE = getattr(crontab(), "__code__", None)


@dataclass(frozen=True, slots=True)
class CronRule:
    """The walls of a cron string, read and searched by cronsim.

    cronsim gets naive datetimes only: zones are the business of `huey.tasks.wallclock`, which
    never gives an instant before the start and knows shifts by half an hour.
    """

    expression: str
    follows_real_time: bool

    @classmethod
    def parse(cls, expression: str) -> CronRule:
        """Read five fields, six with seconds first, or an alias.

        Raises:
            ValueError: if the expression is malformed, or names no date that exists.
            TypeError: if it is not text.
        """
        if not isinstance(expression, str):
            raise TypeError(f"A cron string must be text, got {expression!r}.")
        fields = _ALIASES.get(expression.strip().lower(), expression).split()
        rule = cls(" ".join(fields), any(part.startswith("*") for part in fields[-5:-3]))
        try:
            # Any start will do, but the answer should not depend on today's date.
            first = rule._search(_EPOCH, reverse=False)
        except ValueError as exc:
            raise ValueError(
                f"{expression!r} is not a cron string ({exc}): expected five fields, from minute "
                f"to weekday, six with seconds first, or one of {' '.join(_ALIASES)}."
            ) from exc
        if first is None:
            raise ValueError(f"The cron string {expression!r} names no date in fifty years.")
        return rule

    def at_or_after(self, wall: int) -> int | None:
        """Return the first wall from this one on, or None if there is none."""
        return self._near(wall - 1, reverse=False)

    def at_or_before(self, wall: int) -> int | None:
        """Return the last wall up to this one, or None if there is none."""
        return self._near(wall + 1, reverse=True)

    def _near(self, wall: int, *, reverse: bool) -> int | None:
        try:
            found = self._search(_EPOCH + timedelta(seconds=wall), reverse=reverse)
        except (OverflowError, ValueError):
            # Beyond the years 1 to 9999.
            return None
        return None if found is None else (found - _EPOCH) // _SECOND

    def _search(self, start: datetime, *, reverse: bool) -> datetime | None:
        from cronsim import CronSim, CronSimError

        try:
            return next(CronSim(self.expression, start, reverse=reverse), None)
        except CronSimError as exc:
            raise ValueError(str(exc)) from exc


@dataclass(frozen=True, slots=True)
class CrontabRule:
    """The walls at which a ``crontab()`` predicate holds.

    The lists are those of the predicate, and in its order.
    """

    months: Sequence[int]
    days: Sequence[int]
    weekdays: Sequence[int]
    hours: Sequence[int]
    minutes: Sequence[int]
    #: Minutes of a day, in order.
    _times: Sequence[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        times = [60 * hour + minute for hour in self.hours for minute in self.minutes]
        object.__setattr__(self, "_times", times)

    @property
    def follows_real_time(self) -> bool:
        """Whether every hour, or every minute, is named."""
        return len(self.hours) == 24 or len(self.minutes) == 60

    def at_or_after(self, wall: int) -> int | None:
        """Return the first wall from this one on, or None if there is none."""
        today, minute = divmod(-(-wall // 60), _DAY_MINUTES)
        for day in self._days(today, 1):
            index = bisect_left(self._times, minute) if day == today else 0
            if index < len(self._times):
                return 60 * (day * _DAY_MINUTES + self._times[index])
        return None

    def at_or_before(self, wall: int) -> int | None:
        """Return the last wall up to this one, or None if there is none."""
        today, minute = divmod(wall // 60, _DAY_MINUTES)
        for day in self._days(today, -1):
            index = bisect_right(self._times, minute) if day == today else len(self._times)
            if index > 0:
                return 60 * (day * _DAY_MINUTES + self._times[index - 1])
        return None

    def _days(self, day: int, direction: int) -> Iterator[int]:
        """Walk over the days that match, counted from 1970."""
        if min(self.days) > max(_LONGEST_MONTHS[month - 1] for month in self.months):
            return
        number = day
        while abs(number - day) < _CALENDAR_DAYS:
            try:
                that = date.fromordinal(_EPOCH.toordinal() + number)
            except (OverflowError, ValueError):
                # Beyond the years 1 to 9999.
                return
            if that.month not in self.months:
                # To the end of the previous month, or to the 29th, which may be the next one's 1st.
                number += -that.day if direction < 0 else max(1, 29 - that.day)
                continue
            if that.day in self.days and that.isoweekday() % 7 in self.weekdays:
                yield number
            number += direction


def cron_settings(predicate: object) -> Sequence[Sequence[int]] | None:
    """Return the five lists of a predicate that ``crontab()`` made, or None for anything else."""
    if not isinstance(predicate, FunctionType) or predicate.__code__ is not _CRONTAB_CODE:
        return None
    (cell,) = predicate.__closure__ or ()
    lists: Sequence[Sequence[int]] = cell.cell_contents
    return lists
