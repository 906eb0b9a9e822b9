"""Tasks inside the application's own process: MiniHuey, and its like on threads and asyncio.

Nothing is stored: tasks end with the process. gevent and asyncio are loaded when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from huey.contrib.mini.greenlets import MiniHuey
from huey.contrib.mini.threads import ThreadMiniHuey, ThreadMiniResult

if TYPE_CHECKING:
    from huey.contrib.mini.event_loop import AsyncMiniHuey, AsyncMiniResult
    from huey.contrib.mini.greenlet_parts import MiniHueyResult

__all__ = [
    "AsyncMiniHuey",
    "AsyncMiniResult",
    "MiniHuey",
    "MiniHueyResult",
    "ThreadMiniHuey",
    "ThreadMiniResult",
]

#: Names whose module needs gevent, or loads asyncio.
_DEFERRED = {
    "AsyncMiniHuey": "event_loop",
    "AsyncMiniResult": "event_loop",
    "MiniHueyResult": "greenlet_parts",
}


def __getattr__(name: str) -> Any:
    if name in _DEFERRED:
        return getattr(importlib.import_module(f"{__name__}.{_DEFERRED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
