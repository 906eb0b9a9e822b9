"""Every key and table that is written to a storage: the data at rest."""

from __future__ import annotations

import re

_UNCLEAN = re.compile(r"[^A-Za-z0-9_]")

#: Key/value entry of a revocation by task id; the id follows.
REVOKED_ID = "r:"
#: Key/value entry of a revocation of a whole task class; the task string follows.
REVOKED_CLASS = "rt:"


def clean(name: str) -> str:
    """Reduce a queue name to letters, digits and underscores, as Redis and table names need it."""
    return _UNCLEAN.sub("", name)


def revoked_id(task_id: str) -> str:
    """Name the key/value entry that revokes one task."""
    return REVOKED_ID + task_id


def revoked_class(task_string: str) -> str:
    """Name the key/value entry that revokes all tasks of a class."""
    return REVOKED_CLASS + task_string


def lock(huey_name: str, name: str) -> str:
    """Name the key/value entry of a lock; ``huey_name`` is the raw name of the Huey."""
    return f"{huey_name}.lock.{name}"


def rate_limit(huey_name: str, name: str) -> str:
    """Name the counter of a rate limit; ``huey_name`` is the raw name of the Huey."""
    return f"{huey_name}.rl.{name}"


def chord_counter(chord_id: str) -> str:
    """Name the counter of the members of a chord that have reported."""
    return f"chord:{chord_id}"


def chord_partial(chord_id: str, index: int) -> str:
    """Name the key/value entry that holds what one member of a chord returned."""
    return f"chord:{chord_id}:{index}"


def unique(key: str) -> str:
    """Name the key/value entry that holds the place of a unique task."""
    return f"unique:{key}"
