"""Which kind of worker goes by which name."""

from __future__ import annotations

from huey.constants import WORKER_ASYNCIO, WORKER_GREENLET, WORKER_PROCESS, WORKER_THREAD
from huey.consumer.workers.thread import ThreadEnvironment
from huey.exceptions import ConfigurationError

WORKER_TO_ENVIRONMENT = {WORKER_THREAD: ThreadEnvironment}

_PLANNED = (WORKER_PROCESS, WORKER_GREENLET, WORKER_ASYNCIO)


def environment_for(worker_type: str) -> ThreadEnvironment:
    """Make the environment of a worker type.

    Raises:
        ConfigurationError: there is none of that name in this version.
        ValueError: nobody has heard of that name.
    """
    kind = WORKER_TO_ENVIRONMENT.get(worker_type)
    if kind is not None:
        return kind()
    known = ", ".join(WORKER_TO_ENVIRONMENT)
    if worker_type in _PLANNED:
        raise ConfigurationError(
            f"Workers of type {worker_type!r} are not available in this version: use {known}."
        )
    raise ValueError(f"worker_type is one of {known}, got {worker_type!r}.")
