"""Which calls of a unique task count as the same: its rule, and the key that follows from it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from huey.tasks.task import Task

#: The key of a unique task: all arguments, what a function makes of them, or some of them.
Unique = bool | Callable[..., Any] | Iterable[str]

STARTED, DONE = "started", "done"
EXISTING, REPLACE, DROP = "existing", "replace", "drop"

_SETTINGS = ("unique", "unique_until", "unique_for", "on_conflict")

_BY_REPR = (
    str | bytes | bool | int | float | complex | Decimal | date | time | timedelta | tzinfo | UUID
)


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """How a task function keeps a second task like a waiting one out of the queue."""

    #: The whole key, what a function makes of the arguments, or the names of those that count.
    unique: Unique
    #: "started" or "done": until when a task keeps its place.
    until: str
    #: Seconds after which the place is free in any case; None: only when the task frees it.
    ttl: float | None
    #: "existing", "replace" or "drop": what becomes of a task whose place is taken.
    on_conflict: str
    signature: inspect.Signature

    def key(self, task: Task) -> str:
        """Name the place that a task takes: equal for tasks that count as the same.

        Raises:
            TypeError: an argument that counts has no stable text form.
        """
        args, kwargs = self._own_arguments(task.args, task.kwargs)
        if callable(self.unique):
            counted = self.unique(*args, **kwargs)
        else:
            counted = self._named(args, kwargs)
        text = canonical(counted)
        name = f"{type(task).__module__}.{type(task).__name__}"
        return f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def _own_arguments(
        self, args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Leave out what the function does not take: tracing tools add to the keywords."""
        if _takes_any_keyword(self.signature):
            return tuple(args), dict(kwargs)
        own = self.signature.parameters
        return tuple(args), {name: value for name, value in kwargs.items() if name in own}

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Give the arguments that count by name, with defaults, however they were passed."""
        try:
            bound = self.signature.bind_partial(*args, **kwargs)
        except TypeError:
            # The call itself will fail, in the worker, where everybody sees it.
            return {"args": args, **kwargs}
        bound.apply_defaults()
        arguments = bound.arguments
        if isinstance(self.unique, tuple):
            return {name: _argument(arguments, name) for name in self.unique}
        return arguments


def take_uniqueness(func: Callable[..., Any], settings: dict[str, Any]) -> Uniqueness | None:
    """Take the settings about uniqueness out of those of a decorator.

    Raises:
        ValueError: a value that is none of those allowed, or the name of no argument.
        TypeError: ``unique`` or ``unique_for`` is of another kind.
    """
    given = {name: settings.pop(name) for name in _SETTINGS if name in settings}
    unique = given.pop("unique", False)
    if unique is False or unique is None:
        if given:
            raise ValueError(f"{', '.join(given)} need unique=True, or another key: see task().")
        return None
    signature = inspect.signature(func)
    return Uniqueness(
        _checked_unique(unique, signature),
        _one_of("unique_until", given.get("unique_until", DONE), (STARTED, DONE)),
        _checked_seconds(given.get("unique_for")),
        _one_of("on_conflict", given.get("on_conflict", EXISTING), (EXISTING, REPLACE, DROP)),
        signature,
    )


def canonical(value: Any) -> str:
    """Write plain data so that equal values give equal text, in every process and at any time.

    Raises:
        TypeError: it holds something whose text may differ from process to process.
    """
    match value:
        case None:
            return "None"
        case Enum():
            return f"{type(value).__name__}.{value.name}"
        case PurePath():
            return f"path {str(value)!r}"
        case list() | tuple():
            return f"[{', '.join(map(canonical, value))}]"
        case set() | frozenset():
            return f"{{{', '.join(sorted(map(canonical, value)))}}}"
        case Mapping():
            items = (f"{canonical(key)}: {canonical(item)}" for key, item in value.items())
            return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, _BY_REPR):
        return repr(value)
    raise TypeError(
        f"A {type(value).__qualname__} cannot tell whether two unique tasks are the same, as its "
        "text may change: pass plain data such as its id, or name the arguments that count with "
        'unique=["…"], or give unique= a function that makes a key of them.'
    )


def _argument(arguments: Mapping[str, Any], name: str) -> Any:
    # What a function takes as **kwargs is bound under that parameter's name.
    if name in arguments:
        return arguments[name]
    extra = [value for value in arguments.values() if isinstance(value, dict) and name in value]
    return extra[0][name] if extra else None


def _checked_unique(unique: Any, signature: inspect.Signature) -> Unique:
    if unique is True:
        return True
    if callable(unique):
        key: Callable[..., Any] = unique
        return key
    if isinstance(unique, str) or not isinstance(unique, Iterable):
        raise TypeError(
            "unique is True, a function that makes a key of the arguments, or a list of names of "
            f"arguments, got {unique!r}."
        )
    names = tuple(unique)
    unknown = [name for name in names if name not in signature.parameters]
    if not names or (unknown and not _takes_any_keyword(signature)):
        raise ValueError(
            f"unique names arguments of the function, {', '.join(signature.parameters)}; "
            f"got {list(names)!r}."
        )
    return names


def _takes_any_keyword(signature: inspect.Signature) -> bool:
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        choices = " or ".join(map(repr, allowed))
        raise ValueError(f"{name} is {choices}, got {value!r}.")
    return str(value)


def _checked_seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"unique_for is a number of seconds, got {value!r}.")
    if value <= 0:
        raise ValueError(f"unique_for is a number of seconds above 0, got {value!r}.")
    return float(value)
