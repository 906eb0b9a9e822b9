"""Checks of the options of tasks and calls, made where they are given and not in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from numbers import Integral, Real
from typing import Any

from huey.constants import AT_LEAST_ONCE, AT_MOST_ONCE


def check_options(**options: Any) -> None:
    """Refuse options that could only fail later; those not known here, and None, pass.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: it is out of its range.
    """
    for name, value in options.items():
        check = _CHECKS.get(name)
        if check is not None and value is not None:
            check(name, value)


def _count(name: str, value: Any) -> None:
    if not isinstance(value, Integral):
        hint = ": write the parentheses, @huey.task()" if callable(value) else ""
        raise TypeError(f"{name} is a number of further attempts, got {value!r}{hint}.")
    _not_negative(name, value)


def _amount(name: str, value: Any) -> None:
    if not isinstance(value, Real):
        unit = "a factor" if name == "retry_backoff" else "a number of seconds"
        raise TypeError(f"{name} is {unit}, got {value!r}.")
    _not_negative(name, value)


def _share(name: str, value: Any) -> None:
    _amount(name, value)
    if value > 1:
        raise ValueError(f"{name} is the share of the delay that is random, 0 to 1, got {value!r}.")


def _number(name: str, value: Any) -> None:
    if not isinstance(value, Real):
        raise TypeError(f"{name} is a number, the higher the sooner, got {value!r}.")


def _expiry(name: str, value: Any) -> None:
    if not isinstance(value, Real | timedelta | datetime):
        raise TypeError(f"{name} is a number of seconds, a timedelta or a datetime, got {value!r}.")


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} is text, got {value!r}: use str() to make it so.")


def _delivery(name: str, value: Any) -> None:
    if value not in (AT_LEAST_ONCE, AT_MOST_ONCE):
        raise ValueError(f"{name} is {AT_LEAST_ONCE!r} or {AT_MOST_ONCE!r}, got {value!r}.")


def _exceptions(name: str, value: Any) -> None:
    kinds = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise TypeError(f"{name} is an exception class, or a tuple of some, got {value!r}.")


def _catch_up(name: str, value: Any) -> None:
    if value not in ("none", "last", "all"):
        raise ValueError(f"{name} is 'none', 'last' or 'all', got {value!r}.")


def _not_negative(name: str, value: Any) -> None:
    if value < 0:
        raise ValueError(f"{name} cannot be negative, got {value!r}.")


_CHECKS: Mapping[str, Callable[[str, Any], None]] = {
    "id": _text,
    "retries": _count,
    "retry_delay": _amount,
    "retry_backoff": _amount,
    "retry_max_delay": _amount,
    "retry_jitter": _share,
    "retry_on": _exceptions,
    "priority": _number,
    "expires": _expiry,
    "timeout": _amount,
    "delivery": _delivery,
    "catch_up": _catch_up,
}
