"""The lossless contract over a storage that knows only the classic one: at most once.

What was claimed lives in this process alone, and is lost with it; so are dead letters and marks.
"""

from __future__ import annotations

from typing import cast

from huey.storage.base import BaseStorage
from huey.storage.classic.clockwork import ClassicClockwork
from huey.storage.classic.settling import ClassicSettling
from huey.storage.delivery import LosslessStorage


class ClassicDelivery(ClassicSettling, ClassicClockwork):
    """Claims by dequeuing; settles in the order of Huey 3.5.4, one call after the other.

    Args:
        storage: has the methods of `BaseStorage`.
        utc: whether the naive datetimes of its schedule are UTC, or local time.
    """


def lossless(storage: BaseStorage, utc: bool = True) -> LosslessStorage:
    """Return the storage if it is lossless, or else its adapter: one per storage.

    Args:
        storage: any storage.
        utc: whether the naive datetimes of its schedule are UTC, or local time.
    """
    if isinstance(storage, LosslessStorage):
        return storage
    adapter = vars(storage).get("_huey_delivery")
    if adapter is None:
        # Kept on the storage, so that both live equally long; two threads agree on one.
        adapter = vars(storage).setdefault("_huey_delivery", ClassicDelivery(storage, utc))
    return cast(LosslessStorage, adapter)
