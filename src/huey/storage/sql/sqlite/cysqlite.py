"""CySqliteStorage: the same database through the driver cysqlite."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from huey.storage.drivers import require
from huey.storage.sql.sqlite.storage import SqliteStorage


class CySqliteStorage(SqliteStorage):
    """Keeps everything in one SQLite file, with the constructor of Huey's cysqlite storage.

    The driver brings an SQLite of its own. One process must not open one file with both drivers:
    two copies of SQLite in a process do not see each other's locks.

    Args:
        name: the queue; several queues may share one file.
        filename: the database, made if it is missing.
        pragmas: settings of each connection, by name.
        timeout: how long to wait for other writers, in seconds.
        strict_fifo: never use an id of a message again; only for a new database.
        create_tables: make missing tables now.
        cache_mb: page cache of each connection, in megabytes; this and the next two win over the
            entries in ``pragmas``.
        fsync: whether accepted messages and settlements are synced to the disk.
        journal_mode: "wal" unless ``pragmas`` has another.
        utc: whether naive datetimes of the classic schedule methods are UTC, or local time.
        kwargs: for ``cysqlite.connect``.

    Raises:
        ConfigurationError: cysqlite is not installed, or the file cannot be opened.
    """

    def __init__(
        self,
        name: str = "huey",
        filename: str | os.PathLike[str] = "huey.db",
        pragmas: Mapping[str, Any] | None = None,
        timeout: float = 5,
        strict_fifo: bool = False,
        create_tables: bool = True,
        *,
        cache_mb: float | None = None,
        fsync: bool | None = None,
        journal_mode: str | None = None,
        utc: bool = True,
        **kwargs: Any,
    ) -> None:
        self._driver = require("cysqlite", extra="cysqlite", purpose="CySqliteStorage")
        self.driver_errors = (self._driver.SqliteError,)
        chosen = {key.lower(): value for key, value in dict(pragmas or {}).items()}
        mode = chosen.pop("journal_mode", "wal")
        self._pragmas = chosen
        super().__init__(
            name,
            filename,
            cache_mb,
            fsync,
            journal_mode or mode,
            timeout,
            strict_fifo,
            create_tables,
            utc=utc,
            **kwargs,
        )

    def _connect(self) -> Any:
        options = {"timeout": self._timeout, "cached_statements": 256, **self._connect_options}
        return self._driver.connect(self._target, **options)
