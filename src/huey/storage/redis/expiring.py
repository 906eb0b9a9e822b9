"""Key/value data and counters as keys of their own, so that results and counters expire."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, ClassVar

from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.redis.classic import Classic, glob, portions
from huey.storage.redis.core import as_bytes, as_text


class ExpiringData(Classic):
    """Reading a result leaves it there until its time is over."""

    _data_form: ClassVar[str] = "keys"
    _expire_time: float | None
    #: What the keys of data, and those of counters, begin with.
    result_prefix: bytes
    counter_prefix: bytes

    def _result_lifetime(self) -> str:
        return "" if not self._expire_time else str(max(1, int(self._expire_time * 1000)))

    def _field(self, key: Key) -> bytes:
        return self.result_prefix + as_bytes(key)

    def _counter_field(self, key: Key) -> bytes:
        return self.counter_prefix + as_bytes(key)

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        value: bytes | None = self._wire.ask("GET", self._field(key))
        return EmptyData if value is None else value

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent from what is returned."""
        found: dict[Key, bytes | None] = {}
        for portion in portions(keys):
            values = self._wire.ask("MGET", *(self._field(key) for key in portion))
            found.update(zip(portion, values, strict=True))
        return {key: value for key, value in found.items() if value is not None}

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and leave it there: it goes when its time is over."""
        return self.peek_data(key)

    def delete_data(self, key: Key) -> bool | int:
        """Remove a value; truthy if there was one."""
        return int(self._wire.ask("DEL", self._field(key)))

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        return bool(self._wire.ask("EXISTS", self._field(key)))

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        return sum(1 for _ in self._scan(self.result_prefix))

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        items: dict[str, bytes] = {}
        for portion in portions(self._scan(self.result_prefix)):
            values = self._wire.ask("MGET", *portion)
            for key, value in zip(portion, values, strict=True):
                if value is not None:
                    items[as_text(key[len(self.result_prefix) :])] = value
        return items

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        self._delete(*self._scan(self.result_prefix))

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter and return its new value; it expires like a result."""
        counter = self._counter_field(key)
        commands: list[tuple[Any, ...]] = [("INCRBY", counter, amount)]
        if self._result_lifetime():
            commands.append(("PEXPIRE", counter, self._result_lifetime()))
        return int(self._wire.ask_all(commands)[0])

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        self._delete(self._counter_field(key))

    def flush_counters(self) -> None:
        """Remove all counters."""
        self._delete(*self._scan(self.counter_prefix))

    def _scan(self, prefix: bytes) -> Iterator[bytes]:
        seen: set[bytes] = set()
        with self._translated():
            for key in self.conn.scan_iter(match=glob(prefix), count=1000):
                # The server may show a key twice.
                if key not in seen:
                    seen.add(key)
                    yield key
