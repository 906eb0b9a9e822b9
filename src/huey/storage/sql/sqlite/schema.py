"""The tables: those of Huey 3.5.4, to its letter, and ours beside them."""

from __future__ import annotations

from typing import Any

from huey.exceptions import ConfigurationError

#: Tables that running queues have, and their columns.
HUEY_TABLES = {
    "kv": ["queue", "key", "value"],
    "schedule": ["id", "queue", "data", "timestamp"],
    "task": ["id", "queue", "data", "priority"],
    "counter": ["queue", "key", "value"],
}

_TASK = """CREATE TABLE IF NOT EXISTS task (
    id integer NOT NULL PRIMARY KEY{autoincrement}, queue text NOT NULL, data blob NOT NULL,
    priority real NOT NULL DEFAULT 0.0)"""

_HUEY_DDL = (
    """CREATE TABLE IF NOT EXISTS kv (
        queue text NOT NULL, key text NOT NULL, value blob NOT NULL, PRIMARY KEY (queue, key))""",
    """CREATE TABLE IF NOT EXISTS schedule (
        id integer NOT NULL PRIMARY KEY, queue text NOT NULL, data blob NOT NULL,
        timestamp real NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS schedule_queue_timestamp ON schedule (queue, timestamp)",
    "CREATE INDEX IF NOT EXISTS task_queue_priority_id ON task (queue, priority DESC, id)",
    # The index of Huey before 3.4, which would only slow down writing.
    "DROP INDEX IF EXISTS task_priority_id",
    """CREATE TABLE IF NOT EXISTS counter (
        queue text NOT NULL, key text NOT NULL, value integer NOT NULL DEFAULT 0,
        PRIMARY KEY (queue, key))""",
)

_OUR_DDL = (
    # AUTOINCREMENT: a number that was used once never names another consumer.
    """CREATE TABLE IF NOT EXISTS huey_consumer (
        number integer NOT NULL PRIMARY KEY AUTOINCREMENT, queue text NOT NULL, id text NOT NULL,
        beat integer NOT NULL, info text NOT NULL, UNIQUE (queue, id))""",
    """CREATE TABLE IF NOT EXISTS huey_mark (
        queue text NOT NULL, digest text NOT NULL, attempt integer NOT NULL,
        crashes_alone integer NOT NULL DEFAULT 0, crashes_in_company integer NOT NULL DEFAULT 0,
        cause text, touched real NOT NULL, PRIMARY KEY (queue, digest)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS huey_tick (
        queue text NOT NULL, name text NOT NULL, planned real NOT NULL,
        PRIMARY KEY (queue, name)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS huey_dead (
        id integer NOT NULL PRIMARY KEY AUTOINCREMENT, queue text NOT NULL, data blob NOT NULL,
        cause text NOT NULL, detail text NOT NULL, died_at real NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS huey_dead_queue_id ON huey_dead (queue, id)",
    # What is known about an entry of kv beside its value. It holds only while kv still has that
    # value: an old Huey that writes kv does not know this table.
    """CREATE TABLE IF NOT EXISTS huey_lease (
        queue text NOT NULL, key text NOT NULL, value blob NOT NULL, expires real, holder text,
        PRIMARY KEY (queue, key)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS huey_place (
        queue text NOT NULL, key text NOT NULL, member text NOT NULL, expires real NOT NULL,
        holder text, PRIMARY KEY (queue, key, member)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS huey_window (
        queue text NOT NULL, key text NOT NULL, number integer NOT NULL,
        PRIMARY KEY (queue, key)) WITHOUT ROWID""",
)

#: Our tables with rows that belong to a queue, but for the consumers, which are processes.
OUR_TABLES = ("huey_mark", "huey_tick", "huey_dead", "huey_lease", "huey_place", "huey_window")
_NAMES = (*HUEY_TABLES, "schedule_queue_timestamp", "task_queue_priority_id", "huey_consumer")


def statements(strict_fifo: bool) -> list[str]:
    """List what makes the tables; with ``strict_fifo``, ids of messages are never used again."""
    task = _TASK.format(autoincrement=" AUTOINCREMENT" if strict_fifo else "")
    return [task, *_HUEY_DDL, *_OUR_DDL]


def is_complete(conn: Any) -> bool:
    """Tell whether nothing needs to be made, so that opening a database does not lock it."""
    there = {name for (name,) in conn.execute("SELECT name FROM sqlite_master").fetchall()}
    return there.issuperset((*_NAMES, *OUR_TABLES)) and "task_priority_id" not in there


def check(conn: Any, filename: str) -> None:
    """Refuse a database that has tables of another application under our names.

    Raises:
        ConfigurationError: a table of our name has other columns.
    """
    for table, expected in HUEY_TABLES.items():
        columns = [row[1] for row in conn.execute(f"PRAGMA table_info({table})").fetchall()]
        if columns and not set(expected) <= set(columns):
            raise ConfigurationError(
                f"SQLite database {filename!r} has a table {table} with the columns "
                f"{', '.join(columns)}, expected {', '.join(expected)}: it belongs to another "
                "application; choose another filename."
            )
