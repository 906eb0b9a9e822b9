"""Where enqueued tasks are collected, so that they are written at once with what they follow from.

``Huey.enqueue`` is called for each task in any case, because outsiders replace it; only the last
step, the write, is put off while a collection is open in the current context.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from huey.execution.settlement import Aftermath

if TYPE_CHECKING:
    from huey.constants import EmptyData

_open: ContextVar[tuple[object, Aftermath] | None] = ContextVar("huey_outbox", default=None)
_visible: ContextVar[tuple[object, Aftermath] | None] = ContextVar("huey_unsettled", default=None)


@contextlib.contextmanager
def collecting(owner: object, into: Aftermath) -> Iterator[Aftermath]:
    """Collect what ``owner`` enqueues instead of writing it."""
    token = _open.set((owner, into))
    try:
        yield into
    finally:
        _open.reset(token)


@contextlib.contextmanager
def writing_through() -> Iterator[None]:
    """Suspend collecting, for code of others that may wait for what it enqueues."""
    token = _open.set(None)
    try:
        yield
    finally:
        _open.reset(token)


def collection_of(owner: object) -> Aftermath | None:
    """Give the collection that is open for ``owner`` in this context."""
    current = _open.get()
    return current[1] if current is not None and current[0] is owner else None


@contextlib.contextmanager
def visible(owner: object, aftermath: Aftermath) -> Iterator[None]:
    """Let reads of ``owner`` see results that are about to be written."""
    token = _visible.set((owner, aftermath))
    try:
        yield
    finally:
        _visible.reset(token)


def unsettled_result(owner: object, key: Any, peek: bool) -> bytes | type[EmptyData] | None:
    """Read a result that is about to be written; None if there is no such one.

    Without ``peek`` it is taken out, and will not be written.
    """
    current = _visible.get()
    if current is None or current[0] is not owner:
        return None
    results = current[1].results
    return results.get(key) if peek else results.pop(key, None)
