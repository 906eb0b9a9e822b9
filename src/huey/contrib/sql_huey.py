"""SqlHuey: a queue in any database that peewee speaks to, with Huey's classic promise.

A task is delivered at most once here: what a worker has taken lives in its memory alone. For SQLite
and PostgreSQL, ``SqliteHuey`` and ``PostgresHuey`` lose nothing and are faster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any

from huey.app.huey import Huey
from huey.constants import EmptyData
from huey.exceptions import ConfigurationError
from huey.storage.base import BaseStorage, Key, MaybeBytes
from huey.storage.drivers import require

peewee = require("peewee", extra="sql", purpose="SqlStorage")

_SKIP_LOCKED = "FOR UPDATE SKIP LOCKED"
#: The first versions of MySQL and MariaDB that can step around a locked row.
_MYSQL_SKIPS, _MARIADB_SKIPS = (8, 0, 1), (10, 6)
#: A statement names at most so many rows.
_ROWS = 500


class SqlStorage(BaseStorage):
    """Keeps everything in four tables of a database.

    Args:
        name: the queue; several queues may share the tables.
        database: of peewee, or its URL, such as ``sqlite:///tasks.db`` or ``mysql://…``.
        create_tables: make the tables now, where they are missing.
        kwargs: ignored.

    Raises:
        ConfigurationError: there is no database.
    """

    def __init__(
        self,
        name: str = "huey",
        database: Any = None,
        create_tables: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(name)
        if database is None:
            raise ConfigurationError(
                "SqlStorage needs database=: a peewee Database, or a URL such as "
                "sqlite:///tasks.db, got None."
            )
        self.database = _connected(database) if isinstance(database, str) else database
        self.KV, self.Schedule, self.Task, self.Counter = self.create_models()
        #: Begins a transaction that writes.
        self.atomic: Callable[[], AbstractContextManager[Any]] = self.database.atomic
        if isinstance(self.database, peewee.SqliteDatabase):
            # It waits for its turn at the beginning, where it can still wait.
            self.atomic = partial(self.database.atomic, "IMMEDIATE")
        if create_tables:
            self.initialize_schema()

    # ── the tables ─────────────────────────────────────────────────────────────────────────────

    def create_models(self) -> tuple[Any, Any, Any, Any]:
        """Make the classes of the tables kv, schedule, task and counter."""

        class Base(peewee.Model):  # type: ignore[misc,name-defined]  # peewee has no types
            class Meta:
                database = self.database

        class KV(Base):
            queue = peewee.CharField()
            key = peewee.CharField()
            value = peewee.BlobField()

            class Meta:
                primary_key = peewee.CompositeKey("queue", "key")

        class Schedule(Base):
            queue = peewee.CharField()
            data = peewee.BlobField()
            timestamp = peewee.BigIntegerField()

            class Meta:
                indexes = ((("queue", "timestamp"), False),)

        class Task(Base):
            queue = peewee.CharField()
            data = peewee.BlobField()
            priority = peewee.FloatField(default=0.0)

        Task.add_index(Task.priority.desc(), Task.id, name="task_priority_id")

        class Counter(Base):
            queue = peewee.CharField()
            key = peewee.CharField()
            value = peewee.IntegerField(default=0)

            class Meta:
                primary_key = peewee.CompositeKey("queue", "key")

        return KV, Schedule, Task, Counter

    def initialize_schema(self) -> None:
        """Make the tables where they are missing."""
        with self.database.connection_context() if self._is_closed() else self.database:
            self.create_tables()

    def create_tables(self) -> None:
        """Make the tables where they are missing, on the open connection."""
        self.database.create_tables([self.KV, self.Schedule, self.Task, self.Counter])

    def drop_tables(self) -> None:
        """Remove the tables, for all queues."""
        self.database.drop_tables([self.KV, self.Schedule, self.Task, self.Counter])

    # ── connections ────────────────────────────────────────────────────────────────────────────

    def check_conn(self, reconnect: bool = False) -> None:
        """Make sure that this thread has a connection.

        Args:
            reconnect: open a new one in any case.
        """
        if reconnect:
            self.database.close()
        self.database.connect(reuse_if_open=True)

    def close(self) -> bool:
        """Close this thread's connection, and the idle ones of a pool; False if none was open."""
        closed = bool(self.database.close())
        close_idle = getattr(self.database, "close_idle", None)
        if close_idle is not None:
            close_idle()
        return closed

    def _is_closed(self) -> bool:
        return bool(self.database.is_closed())

    @property
    def for_update(self) -> str | None:
        """What locks the rows that are about to be removed; None if nothing needs to."""
        if isinstance(self.database, peewee.SqliteDatabase):
            return None
        if isinstance(self.database, peewee.MySQLDatabase):
            self.check_conn()
            version = tuple(self.database.server_version or ())
            skips = _MARIADB_SKIPS if version >= (10,) else _MYSQL_SKIPS
            return _SKIP_LOCKED if version >= skips else "FOR UPDATE"
        return _SKIP_LOCKED

    def _locked(self, query: Any) -> Any:
        clause = self.for_update
        return query if clause is None else query.for_update(clause)

    # ── queries ────────────────────────────────────────────────────────────────────────────────

    def tasks(self, *columns: Any) -> Any:
        """Query the ready messages of this queue."""
        return self.Task.select(*columns).where(self.Task.queue == self.name)

    def schedule(self, *columns: Any) -> Any:
        """Query the scheduled messages of this queue."""
        return self.Schedule.select(*columns).where(self.Schedule.queue == self.name)

    def kv(self, *columns: Any) -> Any:
        """Query the key/value data of this queue."""
        return self.KV.select(*columns).where(self.KV.queue == self.name)

    # ── the queue ──────────────────────────────────────────────────────────────────────────────

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message."""
        self.check_conn()
        self.Task.create(queue=self.name, data=data, priority=priority or 0)

    def dequeue(self) -> bytes | None:
        """Remove the next message for good and return it; None if there is none."""
        self.check_conn()
        query = self._next_tasks(self.Task.id, self.Task.data).limit(1)
        with self.atomic():
            task = self._locked(query).first()
            if task is None:
                return None
            self.Task.delete().where(self.Task.id == task.id).execute()
            return bytes(task.data)

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        self.check_conn()
        return int(self.tasks().count())

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages in the order in which they would be dequeued."""
        self.check_conn()
        query = self._next_tasks(self.Task.data)
        return [bytes(data) for (data,) in query.limit(limit).tuples()]

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        self._flush(self.Task)

    def _next_tasks(self, *columns: Any) -> Any:
        return self.tasks(*columns).order_by(self.Task.priority.desc(), self.Task.id)

    def _flush(self, model: Any) -> None:
        self.check_conn()
        model.delete().where(model.queue == self.name).execute()

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, a naive datetime."""
        self.check_conn()
        self.Schedule.create(queue=self.name, data=data, timestamp=_milliseconds(ts))

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        self.check_conn()
        model = self.Schedule
        query = self._soonest(model.id, model.data).where(model.timestamp <= _milliseconds(ts))
        with self.atomic():
            rows = list(self._locked(query).tuples())
            for start in range(0, len(rows), _ROWS):
                ids = [number for number, _ in rows[start : start + _ROWS]]
                model.delete().where(model.id.in_(ids)).execute()
        return [bytes(data) for _, data in rows]

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        self.check_conn()
        return int(self.schedule().count())

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first; 0 is no limit."""
        self.check_conn()
        query = self._soonest(self.Schedule.data).limit(limit or None)
        return [bytes(data) for (data,) in query.tuples()]

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        self._flush(self.Schedule)

    def _soonest(self, *columns: Any) -> Any:
        return self.schedule(*columns).order_by(self.Schedule.timestamp, self.Schedule.id)

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one."""
        self.check_conn()
        row = {"queue": self.name, "key": _text(key), "value": value}
        self._upsert(self.KV, row, {self.KV.value: value})

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        return self.peek_many([key]).get(key, EmptyData)

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent from what is returned."""
        self.check_conn()
        asked = {_text(key): key for key in keys}
        names = list(asked)
        found: dict[Key, bytes] = {}
        for start in range(0, len(names), _ROWS):
            query = self.kv(self.KV.key, self.KV.value).where(
                self.KV.key.in_(names[start : start + _ROWS])
            )
            found |= {asked[name]: bytes(value) for name, value in query.tuples()}
        return found

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it; ``EmptyData`` if there is none."""
        self.check_conn()
        query = self.kv(self.KV.value).where(self.KV.key == _text(key))
        with self.atomic():
            row = self._locked(query).first()
            # Without a row nothing was locked; with one, only who removes it has it.
            if row is None or not self._delete(key):
                return EmptyData
            return bytes(row.value)

    def delete_data(self, key: Key) -> bool:
        """Remove a value; True if there was one."""
        self.check_conn()
        return self._delete(key)

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        self.check_conn()
        return bool(self.kv().where(self.KV.key == _text(key)).exists())

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value unless there is one, atomically; tell whether it was stored.

        Raises:
            NotImplementedError: if ``ttl`` is given: values do not expire here.
        """
        if ttl is not None:
            raise NotImplementedError(
                f"SqlStorage cannot expire values: leave out ttl, got {ttl!r}."
            )
        self.check_conn()
        try:
            with self.atomic():
                self.KV.insert(queue=self.name, key=_text(key), value=value).execute()
        except peewee.IntegrityError:
            return False
        return True

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        self.check_conn()
        return int(self.kv().count())

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        self.check_conn()
        rows = self.kv(self.KV.key, self.KV.value).tuples()
        return {key: bytes(value) for key, value in rows}

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        self._flush(self.KV)

    def _delete(self, key: Key) -> bool:
        query = self.KV.delete().where(self.KV.queue == self.name, self.KV.key == _text(key))
        return bool(query.execute())

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter, atomically, and return its new value; a missing one counts as 0."""
        self.check_conn()
        model = self.Counter
        row = {"queue": self.name, "key": _text(key), "value": amount}
        with self.atomic():
            # The row stays locked until the end, so that this reads what it has written.
            self._upsert(model, row, {model.value: model.value + amount})
            mine = (model.queue == self.name) & (model.key == _text(key))
            return int(model.select(model.value).where(mine).scalar())

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        self.check_conn()
        model = self.Counter
        model.delete().where(model.queue == self.name, model.key == _text(key)).execute()

    def flush_counters(self) -> None:
        """Remove all counters."""
        self._flush(self.Counter)

    def _upsert(self, model: Any, row: dict[str, Any], update: dict[Any, Any]) -> None:
        query = model.insert(**row)
        if isinstance(self.database, peewee.MySQLDatabase):
            query = query.on_conflict(update=update)
        else:
            query = query.on_conflict(conflict_target=[model.queue, model.key], update=update)
        query.execute()


def _connected(url: str) -> Any:
    return require("playhouse.db_url", extra="sql", purpose="SqlStorage").connect(url)


def _text(key: Key) -> str:
    return key.decode() if isinstance(key, bytes) else key


def _milliseconds(naive: datetime) -> int:
    # As if it were local time, whatever it is: so it stands in the tables of Huey 3.5.4.
    return int(naive.timestamp() * 1000)


#: Not a class, as in Huey 3.5.4: ``SqlHuey("name", database=…)`` makes a Huey.
SqlHuey = partial(Huey, storage_class=SqlStorage)
