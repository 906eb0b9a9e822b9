"""What the parts of a Redis storage share: names, forms, and how to run a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from huey.exceptions import HueyException
from huey.storage.delivery import LosslessStorage
from huey.storage.redis import names
from huey.storage.redis.names import Names
from huey.storage.redis.scripts import script

if TYPE_CHECKING:
    from huey.storage.base import Key
    from huey.storage.redis.scripts import Script
    from huey.storage.redis.wire import Command, Line, Reply, Wire

#: Messages, settlements or moves in one script: the server serves nobody else for the 2 to 5 ms
#: that they take it.
CHUNK = 250
#: Milliseconds that a message may take to reach the server's disk, with ``durable=True``.
_SYNC_PATIENCE = 5000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A script of one storage, and what is the same in all its calls."""

    script: Script
    #: Names of the keys that do not depend on a consumer.
    keys: tuple[str, ...]
    #: Kinds of those that do, which come after them.
    of_consumer: tuple[str, ...]


class MessageTooLarge(HueyException, ValueError):
    """The server would not take it, and close the connection instead."""


class RedisCore(LosslessStorage):
    """State and tools of all parts; the constructor is in ``storages.py``."""

    #: "list" or "sorted": which form the queue has.
    _queue_form: ClassVar[str] = "list"
    #: "hash" or "keys": which form key/value data have.
    _data_form: ClassVar[str] = "hash"

    pool: Any
    conn: Any
    notify_result: bool
    notify_result_ttl: int
    durable: bool
    #: Bytes; the server's own limit unless it was configured (``proto-max-bulk-len``).
    max_message_size: int = 512 * 1024 * 1024
    _names: Names
    _prepared: dict[str, Prepared]

    # ── running scripts ────────────────────────────────────────────────────────────────────────

    @cached_property
    def _wire(self) -> Wire:
        # The driver is loaded with the first storage, not with this module.
        from huey.storage.redis.wire import Wire

        return Wire(self.pool)

    def _run(
        self,
        name: str,
        arguments: Sequence[Any] = (),
        *,
        keys: Sequence[Any] = (),
        consumer: str | None = None,
        line: Line | None = None,
    ) -> Reply:
        """Run a script that may be repeated.

        Args:
            name: of its file.
            arguments: what it takes.
            keys: those that only this call knows.
            consumer: whose keys it works on, if it works on a consumer's.
            line: a connection of our own instead of one of the pool.
        """
        prepared = self._prepare(name)
        call = self._call(prepared, arguments, keys, consumer)
        if line is not None:
            return line.run(prepared.script, call)
        return self._wire.run(prepared.script, call)

    def _write(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        keys: Sequence[Any] = (),
        once: bool = False,
    ) -> Reply:
        """Run a script whose effect must be on disk when it returns, if the storage is durable."""
        prepared = self._prepare(name)
        call = self._call(prepared, arguments, keys, None)
        then = self._sync()
        replies = self._wire.run_then(prepared.script, call, then, once=once)
        self._check_sync(replies[1:])
        return replies[0]

    def _sync(self) -> Sequence[Command]:
        return (("WAITAOF", 1, 0, _SYNC_PATIENCE),) if self._syncs else ()

    @cached_property
    def _syncs(self) -> bool:
        if self.durable:
            # Before the first write: a server that cannot sync refuses, and nothing is written.
            self._wire.ask("WAITAOF", 1, 0, 1)
        return self.durable

    def _check_sync(self, replies: Sequence[Reply]) -> None:
        if replies and replies[0][0] < 1:
            from huey.storage.redis.errors import ReplyLost

            raise ReplyLost(
                f"{self._wire.server} has accepted a write but not synced it to disk within "
                f"{_SYNC_PATIENCE / 1000:g} seconds: it may be lost if the machine fails."
            )

    def _prepare(self, name: str) -> Prepared:
        prepared = self._prepared.get(name)
        if prepared is None:
            found = script(name, self._queue_form, self._data_form)
            own = tuple(key for key in found.keys if key not in names.OF_CONSUMER)
            prepared = self._prepared[name] = Prepared(
                found,
                tuple(getattr(self._names, key) for key in own),
                found.keys[len(own) :],
            )
        return prepared

    def _leading(self, parts: tuple[str, ...]) -> list[str]:
        """Give the arguments that the parts of a script expect before all others."""
        arguments = []
        if "data" in parts:
            arguments.append(self._result_lifetime())
        if "telling" in parts:
            arguments.append(str(self.notify_result_ttl) if self.notify_result else "")
        return arguments

    def _call(
        self,
        prepared: Prepared,
        arguments: Sequence[Any],
        keys: Sequence[Any],
        consumer: str | None,
    ) -> list[Any]:
        leading = self._leading(prepared.script.parts)
        named: list[Any] = [*prepared.keys]
        if consumer is not None:
            named += [self._of_consumer(kind, consumer) for kind in prepared.of_consumer]
        return [len(named) + len(keys), *named, *keys, *leading, *arguments]

    def _of_consumer(self, kind: str, consumer: str) -> str:
        return names.of_consumer(kind, self.name, consumer)

    def _notify_list(self, key: Key) -> bytes:
        """Name the list on which Huey 3 is told of a result."""
        return names.notify_prefix(self.name).encode() + as_bytes(key)

    # ── how things are written ─────────────────────────────────────────────────────────────────

    def _result_lifetime(self) -> str:
        """Say for how many milliseconds results are kept; empty: until they are read."""
        return ""

    def _field(self, key: Key) -> Key:
        """Say where a key/value entry is: which field of the hash, or which key."""
        return key

    def _counter_field(self, key: Key) -> Key:
        """Say where a counter is: which field of the hash, or which key."""
        return key

    def _place(self, field: Key, arguments: list[Any], keys: list[Any]) -> None:
        """Add where an entry is to what its form expects: an argument, or a declared key."""
        (arguments if self._data_form == "hash" else keys).append(field)

    def _ttl(self, seconds: float | None) -> str:
        """Write a time to live as scripts take it."""
        if seconds is None:
            return ""
        milliseconds = max(1, math.ceil(seconds * 1000))
        by_hand = self._data_form == "hash" and not self.supports_hash_ttl
        return f"z{milliseconds}" if by_hand else str(milliseconds)

    @cached_property
    def supports_hash_ttl(self) -> bool:
        """Whether single fields of a hash can expire on this server."""
        from huey.storage.redis.checking import ServerFacts

        return ServerFacts.read(self._wire).has_field_ttl

    def _score(self, priority: float | None) -> str:
        """Write a priority as a script takes it; lists have none."""
        return "0"

    def _check_size(self, data: bytes) -> bytes:
        if len(data) > self.max_message_size:
            raise MessageTooLarge(
                f"Expected at most {self.max_message_size} bytes, which is what the server takes, "
                f"got {len(data)}: pass a reference to large data, such as a path."
            )
        return data

    def now(self) -> float:
        """Read the server's clock."""
        seconds, micros = self._wire.ask("TIME")
        return int(seconds) + int(micros) / 1_000_000


def as_bytes(key: Key) -> bytes:
    """Turn a key into the bytes that are stored."""
    return key.encode() if isinstance(key, str) else bytes(key)


def as_text(raw: bytes) -> str:
    """Turn what was stored into text; what is not UTF-8 keeps a readable form."""
    return raw.decode("utf-8", "backslashreplace")
