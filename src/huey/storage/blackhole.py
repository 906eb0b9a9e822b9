"""BlackHoleStorage: keeps nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from huey.constants import EmptyData
from huey.storage.base import BaseStorage, Key, MaybeBytes


class BlackHoleStorage(BaseStorage):
    """Accepts everything and holds nothing, for tests that must not leave traces."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Drop the message."""

    def dequeue(self) -> bytes | None:
        """Find nothing."""
        return None

    def queue_size(self) -> int:
        """Count nothing."""
        return 0

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List nothing."""
        return []

    def flush_queue(self) -> None:
        """Remove nothing."""

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Drop the message."""

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Find nothing."""
        return []

    def schedule_size(self) -> int:
        """Count nothing."""
        return 0

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List nothing."""
        return []

    def flush_schedule(self) -> None:
        """Remove nothing."""

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Drop the value."""

    def peek_data(self, key: Key) -> MaybeBytes:
        """Find nothing."""
        return EmptyData

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Find nothing."""
        return {}

    def pop_data(self, key: Key) -> MaybeBytes:
        """Find nothing."""
        return EmptyData

    def delete_data(self, key: Key) -> bool:
        """Find nothing to delete."""
        return False

    def has_data_for_key(self, key: Key) -> bool:
        """Find nothing."""
        return False

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Drop the value; the place was empty."""
        return True

    def result_store_size(self) -> int:
        """Count nothing."""
        return 0

    def result_items(self) -> dict[str, bytes]:
        """List nothing."""
        return {}

    def flush_results(self) -> None:
        """Remove nothing."""

    def incr(self, key: Key, amount: int = 1) -> int:
        """Count from zero each time."""
        return amount

    def delete_counter(self, key: Key) -> None:
        """Remove nothing."""

    def flush_counters(self) -> None:
        """Remove nothing."""
