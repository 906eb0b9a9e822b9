"""SqliteStorage: queue, schedule and data in one SQLite file, for the processes of one machine."""

from __future__ import annotations

from huey.storage.sql.sqlite.clockwork import SqliteClockwork
from huey.storage.sql.sqlite.guards import SqliteGuards
from huey.storage.sql.sqlite.waiting import SqliteWaiting


class SqliteStorage(SqliteClockwork, SqliteGuards, SqliteWaiting):
    """Keeps everything in one file, in the tables of Huey 3.5.4 and some beside them.

    Its parameters are those of `SqliteConnecting`.
    """
