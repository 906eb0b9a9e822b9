"""The process that makes the calls: this catalogue says where each public name lives."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Consumer": "huey.consumer.consumer",
    "ConsumerStopped": "huey.consumer.consumer",
    "Scheduler": "huey.consumer.scheduler",
    "Worker": "huey.consumer.workers.base",
    "WorkerRecycle": "huey.consumer.workers.base",
    "WORKER_THREAD": "huey.constants",
    "WORKER_GREENLET": "huey.constants",
    "WORKER_PROCESS": "huey.constants",
    "WORKER_TYPES": "huey.constants",
    "logger": "huey.consumer.consumer",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
