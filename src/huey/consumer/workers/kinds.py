"""Which kind of worker goes by which name; each is loaded when it is chosen."""

from __future__ import annotations

import importlib

from huey.constants import WORKER_ASYNCIO, WORKER_GREENLET, WORKER_PROCESS, WORKER_THREAD
from huey.consumer.workers.crew import Crew, Orders

_KINDS = {
    WORKER_THREAD: ("thread", "ThreadCrew"),
    WORKER_GREENLET: ("greenlet", "GreenletCrew"),
    "gevent": ("greenlet", "GreenletCrew"),
    WORKER_PROCESS: ("process", "ProcessCrew"),
    WORKER_ASYNCIO: ("asyncio", "AsyncioCrew"),
}


def hire(orders: Orders) -> Crew:
    """Make the workers that the orders ask for, without starting them.

    Raises:
        ValueError: there is no such kind.
        ConfigurationError: this kind cannot work here.
    """
    if orders.worker_type not in _KINDS:
        raise ValueError(f"worker_type is one of {', '.join(_KINDS)}, got {orders.worker_type!r}.")
    module, name = _KINDS[orders.worker_type]
    crew: Crew = getattr(importlib.import_module(f"huey.consumer.workers.{module}"), name)(orders)
    return crew
