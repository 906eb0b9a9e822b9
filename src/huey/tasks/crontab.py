"""The crontab() predicate: does a rule of five fields hold in this minute?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol, cast

__all__ = ["crontab"]

_STEP = re.compile(r"\*/(\d+)")
#: A number, a range, or a range with a step.
_SPAN = re.compile(r"(\d+)(?:-(\d+)(?:/(\d+))?)?")

_MONTHS = range(1, 13)
_DAYS = range(1, 32)
#: Sunday twice: 0 and 7 are the same day.
_WEEKDAYS = range(8)
_HOURS = range(24)
_MINUTES = range(60)

Predicate = Callable[[datetime], bool]


class _Crontab(Protocol):
    #: Every hour, unless told otherwise.
    hourly: partial[Predicate]
    #: Every day, unless told otherwise.
    daily: partial[Predicate]

    def __call__(
        self,
        minute: int | str = "*",
        hour: int | str = "*",
        day: int | str = "*",
        month: int | str = "*",
        day_of_week: int | str = "*",
        strict: bool = False,
    ) -> Predicate: ...


def _with_shortcuts(function: Callable[..., Predicate]) -> _Crontab:
    # A cast, because no type says "a function that has attributes".
    shortcuts = cast(_Crontab, function)
    shortcuts.hourly = partial(function, minute="0")
    shortcuts.daily = partial(function, minute="0", hour="0")
    return shortcuts


@_with_shortcuts
def crontab(
    minute: int | str = "*",
    hour: int | str = "*",
    day: int | str = "*",
    month: int | str = "*",
    day_of_week: int | str = "*",
    strict: bool = False,
) -> Predicate:
    """Make a predicate that tells whether a datetime matches all of five fields.

    A field is a number, or text: pieces joined by commas, without spaces. Pieces are ``*``, ``5``,
    ``8-17``, ``22-2`` (over the end), ``8-17/3`` and ``*/15``. Unlike in cron, ``day`` *and*
    ``day_of_week`` must match, and names such as ``mon`` are not known. For cron strings, seconds
    and time zones see `huey.tasks.cron`.

    Args:
        minute: 0 to 59.
        hour: 0 to 23.
        day: 1 to 31; ``*/2`` counts 1, 3, 5 and so on.
        month: 1 to 12.
        day_of_week: 0 to 7, where 0 and 7 are Sunday; ``*/n`` is not allowed.
        strict: refuse pieces that are not understood, instead of ignoring them.

    Raises:
        ValueError: if a number is out of range, a step is zero, or a field matches nothing.
        TypeError: if a field is neither an int nor a str.
    """
    cron_settings = [
        _field("month", month, _MONTHS, strict),
        _field("day", day, _DAYS, strict),
        _field("day_of_week", day_of_week, _WEEKDAYS, strict),
        _field("hour", hour, _HOURS, strict),
        _field("minute", minute, _MINUTES, strict),
    ]

    # A plain function with this one free variable: monitoring tools recognise a crontab by its code
    # object, and rebuild the rule from the five lists.
    def validate_date(timestamp: datetime) -> bool:
        months, days, weekdays, hours, minutes = cron_settings
        return (
            timestamp.minute in minutes
            and timestamp.hour in hours
            and timestamp.isoweekday() % 7 in weekdays
            and timestamp.day in days
            and timestamp.month in months
        )

    return validate_date


def _field(name: str, rule: int | str, allowed: range, strict: bool) -> list[int]:
    """List the values that a field stands for, in order."""
    if not isinstance(rule, int | str):
        raise TypeError(
            f"crontab({name}=...) must be an int or a str such as '*/5', got {rule!r}: write "
            "several values as text with commas."
        )
    chosen: set[int] = set()
    for piece in str(rule).split(","):
        values = _values(name, piece, allowed)
        if values is None and strict:
            raise _invalid(name, piece, "it is neither *, a number, a range nor a step.")
        chosen.update(values or ())
    if not chosen:
        raise ValueError(
            f"crontab({name}={rule!r}) matches no values: expected *, numbers, ranges such as "
            "'8-17' or steps such as '*/15', joined by commas without spaces."
        )
    return sorted(chosen)


def _values(name: str, piece: str, allowed: range) -> Sequence[int] | None:
    """List the values of one piece, or return None if it is not understood."""
    if piece == "*":
        return allowed
    if match := _STEP.fullmatch(piece):
        if allowed is _WEEKDAYS:
            raise _invalid(name, piece, "steps need a range here, such as '1-5/2'.")
        return allowed[:: _step(name, piece, match[1])]
    if not (match := _SPAN.fullmatch(piece)):
        return None
    first = int(match[1])
    last = int(match[2] or first)
    if first not in allowed or last not in allowed:
        raise _invalid(name, piece, f"values go from {allowed[0]} to {allowed[-1]}.")
    step = _step(name, piece, match[3] or "1")
    if allowed is _WEEKDAYS:
        # Over the end of the week the seventh day must not count twice.
        return [day % 7 for day in _span(first, last, range(7))[::step]]
    return _span(first, last, allowed)[::step]


def _span(first: int, last: int, allowed: range) -> Sequence[int]:
    if first <= last:
        return range(first, last + 1)
    return [*range(first, allowed.stop), *range(allowed.start, last + 1)]


def _step(name: str, piece: str, text: str) -> int:
    step = int(text)
    if step == 0:
        raise _invalid(name, piece, "a step must be at least 1.")
    return step


def _invalid(name: str, piece: str, reason: str) -> ValueError:
    return ValueError(f"{piece!r} is not a valid input for crontab({name}=...): {reason}")
