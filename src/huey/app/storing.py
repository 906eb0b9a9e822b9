"""Small data of the application: put, get, delete."""

from __future__ import annotations

from typing import Any, cast

from huey.app import outbox
from huey.app.state import State
from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.classic import lossless
from huey.storage.delivery import LosslessStorage


class Storing(State):
    """Key/value data, beside the results of tasks."""

    @property
    def _lossless(self) -> LosslessStorage:
        """The storage under its lossless contract; a classic one is adapted, at most once."""
        if self.storage.lossless:
            return cast(LosslessStorage, self.storage)
        return lossless(self.storage, utc=self.utc)

    def put(self, key: Key, data: Any) -> None:
        """Store a value under a key."""
        self.storage.put_data(key, self.serializer.serialize(data))

    def put_result(self, key: Key, data: Any) -> None:
        """Store a value as a result: it may expire, and wakes who waits for it."""
        self.storage.put_data(key, self.serializer.serialize(data), is_result=True)

    def put_if_empty(self, key: Key, data: Any, ttl: float | None = None) -> bool:
        """Store a value unless there is one; tell whether it was stored.

        ``ttl`` is in seconds; after it the value vanishes.
        """
        return self.storage.put_if_empty(key, self.serializer.serialize(data), ttl)

    def get_raw(self, key: Key, peek: bool = False) -> MaybeBytes:
        """Read stored bytes, and remove them unless ``peek``; ``EmptyData`` if there are none."""
        pending = outbox.unsettled_result(self, key, peek)
        if pending is not None:
            return pending
        return self.storage.peek_data(key) if peek else self.storage.pop_data(key)

    def get(self, key: Key, peek: bool = False) -> Any:
        """Read a value, and remove it unless ``peek``; None if there is none."""
        raw = self.get_raw(key, peek)
        return None if raw is EmptyData else self.serializer.deserialize(cast(bytes, raw))

    def delete(self, key: Key) -> bool:
        """Remove a value; False if there was none."""
        return bool(self.storage.delete_data(key))
