"""What is wrong with the settings: every mistake names the key, what is allowed, an example."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huey.app.huey import Huey
from huey.constants import AT_LEAST_ONCE, AT_MOST_ONCE, WORKER_ASYNCIO, WORKER_TYPES
from huey.consumer_options import ConsumerConfig, InvalidOption, config_keys
from huey.contrib.djhuey.configuration import Declaration, Declared, plain_path

#: Ids of the system checks.
WRONG_KIND = "huey.E001"
WRONG_CLASS = "huey.E002"
WRONG_VALUE = "huey.E003"
WRONG_CONSUMER = "huey.E004"
WRONG_DEFAULT = "huey.E005"
SAME_QUEUE = "huey.E006"
REFUSED = "huey.E007"
IMMEDIATE_IN_PRODUCTION = "huey.W001"
SQLITE_IN_MEMORY = "huey.W002"
NOBODY_TICKS = "huey.W003"
UNKNOWN_CONSUMER_KEY = "huey.W004"

_EXAMPLE = 'HUEY = {"huey_class": "huey.RedisHuey", "url": "redis://localhost:6379/0"}'


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in the settings."""

    id: str
    text: str
    hint: str

    @property
    def is_fatal(self) -> bool:
        """Whether no queue can be built with it."""
        return ".E" in self.id

    def __str__(self) -> str:
        return f"{self.text} {self.hint}"


def find_problems(declared: Declared, databases: Mapping[str, Any]) -> list[Problem]:
    """Look for mistakes that show without building anything.

    Args:
        declared: what the settings say.
        databases: the setting ``DATABASES``.
    """
    found = list(_default_problems(declared))
    for declaration in declared.queues.values():
        found.extend(_problems_of(declaration, databases))
    return found


def same_queue(one: str, other: str) -> Problem:
    """Tell that two entries of the settings are one queue in its storage."""
    return Problem(
        SAME_QUEUE,
        f"{one} and {other} are the same queue: same name, same storage.",
        'Give each a "name" of its own.',
    )


def _default_problems(declared: Declared) -> Iterator[Problem]:
    if declared.default not in declared.queues:
        known = ", ".join(declared.queues) or "none"
        yield Problem(
            WRONG_DEFAULT,
            f"{declared.default_origin} must be the key of one of the queues ({known}), "
            f"got {declared.default!r}.",
            'Example: DJANGO_HUEY = {"default": "mail", "queues": {"mail": {…}}}.',
        )


def _problems_of(declaration: Declaration, databases: Mapping[str, Any]) -> Iterator[Problem]:
    match declaration.value:
        case None if declaration.implied:
            return
        case Huey():
            return
        case str() if "://" in declaration.value:
            return
        case Mapping():
            yield from _value_problems(declaration, databases)
            yield from _consumer_problems(declaration)
        case wrong:
            yield Problem(
                WRONG_KIND,
                f"{declaration.origin} must be a dict, a URL or a Huey instance, got {wrong!r}.",
                f"Example: {_EXAMPLE}.",
            )


# ── values ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Rule:
    allowed: str
    example: str
    accepts: Callable[[Any], bool]


def _is_switch(value: Any) -> bool:
    return value in (None, True, False)


def _is_name(value: Any) -> bool:
    return isinstance(plain_path(value), str) and bool(plain_path(value))


def _is_mapping(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)


def _is_path_of_class(value: Any) -> bool:
    return (isinstance(value, str) and "." in value) or callable(value)


_SWITCH = _Rule("True or False", "True", _is_switch)
_RULES = {
    "huey_class": _Rule("the import path of a Huey class", '"huey.RedisHuey"', _is_path_of_class),
    "name": _Rule("a text", '"my-app"', _is_name),
    "connection": _Rule("a dict", '{"host": "localhost", "port": 6379}', _is_mapping),
    "consumer": _Rule("a dict", '{"workers": 4, "worker_type": "thread"}', _is_mapping),
    "url": _Rule("a URL", '"redis://localhost:6379/0"', lambda v: v is None or "://" in str(v)),
    "delivery": _Rule(
        f"{AT_LEAST_ONCE!r} or {AT_MOST_ONCE!r}",
        f'"{AT_LEAST_ONCE}"',
        lambda v: v in (AT_LEAST_ONCE, AT_MOST_ONCE),
    ),
    **dict.fromkeys(
        (
            "results",
            "store_none",
            "store_intermediate_errors",
            "immediate",
            "immediate_use_memory",
            "utc",
            "blocking",
            "compression",
            "use_zlib",
        ),
        _SWITCH,
    ),
}


def _value_problems(declaration: Declaration, databases: Mapping[str, Any]) -> Iterator[Problem]:
    for key, rule in _RULES.items():
        if key in declaration.value and not rule.accepts(declaration.value[key]):
            yield _wrong(declaration, key, rule.allowed, rule.example)
    aliases = " or ".join(repr(alias) for alias in databases) or "none is configured"
    if declaration.value.get("database") not in (None, *databases):
        yield _wrong(declaration, "database", f"a key of DATABASES ({aliases})", '"default"')
    if declaration.value.get("transactional") not in (None, True, False, *databases):
        allowed = f"True, False or a key of DATABASES ({aliases})"
        yield _wrong(declaration, "transactional", allowed, "True")


def _wrong(declaration: Declaration, key: str, allowed: str, example: str) -> Problem:
    value = declaration.value[key]
    hint = f'Example: "{key}": {example}.'
    if allowed == _SWITCH.allowed and isinstance(value, str):
        hint += " A text is always true: compare an environment variable with the text you mean."
    return Problem(
        WRONG_VALUE, f'{declaration.origin}["{key}"] must be {allowed}, got {value!r}.', hint
    )


# ── the consumer ───────────────────────────────────────────────────────────────────────────────

_NUMBERS = ("workers", "initial_delay", "backoff", "max_delay", "health_check_interval")


def _consumer_problems(declaration: Declaration) -> Iterator[Problem]:
    options = declaration.consumer
    origin = f'{declaration.origin}["consumer"]'
    for key in options.keys() - set(config_keys):
        close = difflib.get_close_matches(str(key), config_keys, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(config_keys)}."
        yield Problem(UNKNOWN_CONSUMER_KEY, f"{origin} has the unknown key {key!r}.", hint)
    kinds = (*WORKER_TYPES, WORKER_ASYNCIO)
    if options.get("worker_type", "thread") not in kinds:
        yield _wrong_option(origin, "worker_type", " or ".join(kinds), options, '"thread"')
        return
    for key in _NUMBERS:
        if not isinstance(options.get(key, 1), int | float):
            yield _wrong_option(origin, key, "a number", options, "1")
            return
    try:
        ConsumerConfig(**options).validate()
    except InvalidOption as error:
        yield Problem(WRONG_CONSUMER, f"{origin}: {error}", f"Change {error.option!r}.")


def _wrong_option(
    origin: str, key: str, allowed: str, options: Mapping[str, Any], example: str
) -> Problem:
    return Problem(
        WRONG_CONSUMER,
        f'{origin}["{key}"] must be {allowed}, got {options[key]!r}.',
        f'Example: "consumer": {{"{key}": {example}}}.',
    )
