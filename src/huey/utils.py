"""Values which stored pickles look for here, and the time helpers under their historic name."""

from __future__ import annotations

import contextlib
import pkgutil
from typing import Any, NamedTuple

from huey.timing import (
    aware_to_utc,
    is_naive,
    local_to_utc,
    make_naive,
    normalize_expire_time,
    normalize_time,
    utcnow,
)

__all__ = [
    "SKIPPED",
    "ChordConfig",
    "Error",
    "aware_to_utc",
    "encode",
    "is_naive",
    "load_class",
    "local_to_utc",
    "make_naive",
    "noop_context",
    "normalize_expire_time",
    "normalize_time",
    "utcnow",
]


class Error(NamedTuple):
    """What is stored instead of a result when a task failed."""

    metadata: dict[str, Any]


class ChordConfig(NamedTuple):
    """Which chord a task reports to: chord id, number of members, own index, callback."""

    cid: str
    size: int
    idx: int
    callback: Any


class _Skipped:
    """The type of ``SKIPPED``."""

    def __repr__(self) -> str:
        return "SKIPPED"

    def __reduce__(self) -> str:
        # By reference, so that ``is SKIPPED`` holds after a trip through the storage.
        return "SKIPPED"


#: What a chord's callback receives for a member that was revoked, expired or cancelled.
SKIPPED = _Skipped()


def load_class(path: str) -> Any:
    """Import the object at a dotted path, such as ``huey.RedisHuey``."""
    return pkgutil.resolve_name(path)


def encode(value: Any) -> bytes | None:
    """Turn text (or anything with a text form) into UTF-8 bytes; bytes and None stay."""
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode("utf-8")


def noop_context() -> contextlib.AbstractContextManager[None]:
    """Give a context manager that does nothing."""
    return contextlib.nullcontext()
