"""FileStorage: queue, schedule and data as files in a folder, for the processes of one machine."""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import datetime
from typing import Any

from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.delivery import Outgoing
from huey.storage.file import disk, layout
from huey.storage.file.waiting import FileWaiting
from huey.storage.file.work import Work
from huey.timing import to_epoch


class FileStorage(FileWaiting):
    """Keeps everything in the files of Huey 3.5.4, and some beside them.

    Args:
        name: not used in paths: all storages on one path share everything.
        path: the folder; made when it is missing.
        levels: how many folders deep results lie, 0 to 4.
        use_thread_lock: lock among the threads of this process only.
        fsync: whether what was accepted and settled survives a power failure.
        utc: whether naive datetimes of the classic schedule methods are UTC, or local time.
        storage_kwargs: ignored.

    Raises:
        ValueError: ``path`` is not a folder, or ``levels`` is out of bounds.
    """

    MAX_PRIORITY = layout.MAX_PRIORITY

    def __init__(
        self,
        name: str,
        path: str | os.PathLike[str],
        levels: int = 2,
        use_thread_lock: bool = False,
        fsync: bool = True,
        utc: bool = True,
        **storage_kwargs: Any,
    ) -> None:
        folder = os.fspath(path)
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise ValueError(f"path must be a folder, but {folder!r} is not a directory.")
        if not 0 <= levels <= 4:
            raise ValueError(f"levels must be between 0 and 4, got {levels!r}.")
        os.makedirs(folder, exist_ok=True)
        super().__init__(name, folder, levels, use_thread_lock, fsync, utc)
        self.queue_path = self._at(layout.QUEUE)
        self.schedule_path = self._at(layout.SCHEDULE)
        self.result_path = self._at(layout.RESULTS)
        self.counter_path = self._at(layout.COUNTERS)

    def path_for_key(self, key: Key) -> str:
        """Give the path of the file that holds a value."""
        return self._at(layout.result_path(layout.text_of(key), self.levels))

    def close(self) -> bool:
        """Close what is open; it is opened again when needed."""
        with self._mutex:
            return self._journal.close()

    # ── the queue ──────────────────────────────────────────────────────────────────────────────

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message.

        Raises:
            ValueError: the priority is below 0 or above 65535.
        """
        self.enqueue_many([Outgoing(data, priority)])

    def dequeue(self) -> bytes | None:
        """Remove the next message for good and return it; None if there is none."""
        with self._working() as work:
            work.line.refresh(work.header.version)
            for name in work.line.next_names():
                data = work.read(f"{layout.QUEUE}/{name}")
                if data is not None:
                    work.remove(f"{layout.QUEUE}/{name}")
                    return data
            return None

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        return self._size(layout.QUEUE)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages in the order in which they would be dequeued."""
        return self._listed(layout.QUEUE, limit)

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        self._empty(layout.QUEUE)

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, a naive datetime."""
        self.enqueue_many([Outgoing(data, due=to_epoch(ts, self.utc))])

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        until = to_epoch(ts, self.utc)
        with self._working() as work:
            due = sorted(entry for entry in self._filed() if entry[0] <= until)
            messages = self._scheduled(work, due)
            for message in messages:
                work.remove(f"{layout.SCHEDULE}/{message.token}")
            return [message.data for message in messages]

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        return self._size(layout.SCHEDULE)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first."""
        return self._listed(layout.SCHEDULE, limit)

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        self._empty(layout.SCHEDULE)

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one; who waits for it is woken."""
        with self._working() as work:
            work.put(layout.text_of(key), value)

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        with self._working() as work:
            value = work.live(layout.text_of(key))
        return EmptyData if value is None else value

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent from what is returned."""
        with self._working() as work:
            found = {key: work.live(layout.text_of(key)) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it; ``EmptyData`` if there is none."""
        with self._working() as work:
            value = work.live(layout.text_of(key))
            if value is None:
                return EmptyData
            work.drop(layout.text_of(key))
            return value

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        return self.peek_data(key) is not EmptyData

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value, for ``ttl`` seconds, unless there is one; tell whether it was stored."""
        return self.lock(key, value, ttl)

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        return len(self.result_items())

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        with self._working() as work:
            entries = [layout.unpacked(work.read(path) or b"") for path in self._result_files()]
            known = [entry for entry in entries if entry is not None]
            return {key: value for key, value in known if work.live(key) is not None}

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        with self._working() as work:
            for path in self._result_files():
                work.remove(path)
            _remove_all(work, self._at(layout.LEASES), layout.LEASES)
        for folder, _, _ in os.walk(self.result_path, topdown=False):
            if folder != self.result_path:
                disk.remove_folder(folder)

    def _result_files(self) -> list[str]:
        return [
            os.path.relpath(os.path.join(folder, name), self.path)
            for folder, _, names in os.walk(self.result_path)
            for name in names
            if not name.endswith(layout.UNFINISHED)
        ]

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter and return its new value; a missing one counts as 0."""
        with self._working() as work:
            return work.count(layout.text_of(key), amount)

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        with self._working() as work:
            work.delete_counter(layout.text_of(key))

    def flush_counters(self) -> None:
        """Remove all counters."""
        self._empty(layout.COUNTERS)

    # ── all of it ──────────────────────────────────────────────────────────────────────────────

    def flush_all(self) -> None:
        """Remove everything but the consumers, who lose what they hold."""
        super().flush_all()
        for folder in layout.OURS:
            self._empty(folder)
        with self._working() as work:
            for consumer in disk.names_in(self._at(layout.CLAIMS)):
                folder = f"{layout.CLAIMS}/{consumer}"
                _remove_all(work, self._at(folder), folder)

    def _size(self, folder: str) -> int:
        return len(disk.names_in(self._at(folder)))

    def _listed(self, folder: str, limit: int | None) -> list[bytes]:
        with self._working() as work:
            names = sorted(disk.names_in(self._at(folder)))
            contents = [work.read(f"{folder}/{name}") for name in names[:limit]]
            return [content for content in contents if content is not None]

    def _empty(self, folder: str) -> None:
        with self._working() as work:
            _remove_all(work, self._at(folder), folder)


def _remove_all(work: Work, folder: str, relative: str) -> None:
    for name in disk.names_in(folder):
        work.remove(f"{relative}/{name}")
