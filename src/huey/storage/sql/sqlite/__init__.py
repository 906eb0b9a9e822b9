"""Storages in one SQLite file, for the processes of one machine."""

from __future__ import annotations

from huey.storage.sql.sqlite.cysqlite import CySqliteStorage
from huey.storage.sql.sqlite.storage import SqliteStorage

__all__ = ["CySqliteStorage", "SqliteStorage"]
