"""The tables in PostgreSQL: those of Huey 3.5.4, unchanged, and ours beside them."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_UNCLEAN = re.compile(r"[^A-Za-z0-9_]")
#: PostgreSQL's limit for the name of a channel, in bytes.
_CHANNEL_LIMIT = 63
#: Any number would do: it keeps two first starts from creating the same table at one time.
_DDL_LOCK = 0x6875_6579

#: What Huey 3.5.4 creates, too. The storage parameters keep the head of the index short: each
#: message that passes leaves two dead rows there.
_HUEYS = """
CREATE TABLE IF NOT EXISTS {p}_kv (
  queue text NOT NULL, key text NOT NULL, value bytea NOT NULL, PRIMARY KEY (queue, key));
CREATE TABLE IF NOT EXISTS {p}_schedule (
  id bigserial PRIMARY KEY, queue text NOT NULL, data bytea NOT NULL,
  timestamp double precision NOT NULL);
CREATE INDEX IF NOT EXISTS {p}_schedule_queue_timestamp ON {p}_schedule (queue, timestamp);
CREATE TABLE IF NOT EXISTS {p}_task (
  id bigserial PRIMARY KEY, queue text NOT NULL, data bytea NOT NULL,
  priority double precision NOT NULL DEFAULT 0.0)
  WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX IF NOT EXISTS {p}_task_queue_priority_id ON {p}_task (queue, priority DESC, id);
CREATE TABLE IF NOT EXISTS {p}_counter (
  queue text NOT NULL, key text NOT NULL, value bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (queue, key));
"""

#: Ours. A lease says when an entry of kv ends: at a time, or with its holder, and only while the
#: entry has that value. A writer is a connection that signs its transactions; see
#: ``certainty.py``. A waiter is rung when something arrives; nothing is lost with it.
_OURS = """
CREATE TABLE IF NOT EXISTS {p}_consumer (
  queue text NOT NULL, id text NOT NULL, beat bigint NOT NULL DEFAULT 0, info text NOT NULL,
  PRIMARY KEY (queue, id));
CREATE TABLE IF NOT EXISTS {p}_mark (
  queue text NOT NULL, digest bytea NOT NULL, attempt integer NOT NULL DEFAULT 1,
  crashes_alone integer NOT NULL DEFAULT 0, crashes_in_company integer NOT NULL DEFAULT 0,
  cause text, touched double precision NOT NULL, PRIMARY KEY (queue, digest));
CREATE TABLE IF NOT EXISTS {p}_tick (
  queue text NOT NULL, name text NOT NULL, planned double precision NOT NULL,
  PRIMARY KEY (queue, name));
CREATE TABLE IF NOT EXISTS {p}_dead (
  id bigserial PRIMARY KEY, queue text NOT NULL, data bytea NOT NULL, cause text NOT NULL,
  detail text NOT NULL, died_at double precision NOT NULL);
CREATE INDEX IF NOT EXISTS {p}_dead_queue_id ON {p}_dead (queue, id);
CREATE TABLE IF NOT EXISTS {p}_lease (
  queue text NOT NULL, key text NOT NULL, value bytea NOT NULL,
  expires_at double precision, holder text, PRIMARY KEY (queue, key));
CREATE TABLE IF NOT EXISTS {p}_place (
  queue text NOT NULL, key text NOT NULL, member text NOT NULL,
  expires_at double precision NOT NULL, holder text, PRIMARY KEY (queue, key, member));
CREATE TABLE IF NOT EXISTS {p}_window (
  queue text NOT NULL, key text NOT NULL, number bigint NOT NULL,
  ends_at double precision NOT NULL, PRIMARY KEY (queue, key));
CREATE TABLE IF NOT EXISTS {p}_writer (
  id text PRIMARY KEY, last bigint NOT NULL, seen double precision NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS {p}_waiter (
  queue text NOT NULL, id text NOT NULL, kind text NOT NULL, since double precision NOT NULL,
  PRIMARY KEY (queue, id));
"""

#: Ours, in the order in which flush_all() empties them; Huey's have methods of their own.
OUR_TABLES = ("mark", "tick", "dead", "lease", "place", "window")
_ALL_TABLES = ("kv", "schedule", "task", "counter", "consumer", "waiter", "writer", *OUR_TABLES)


class Names:
    """What a queue's tables and channels are called.

    Args:
        queue: name of the queue, as it stands in the tables.
        prefix: of the tables; anything but letters, digits and underscores is left out.
    """

    def __init__(self, queue: str, prefix: str) -> None:
        self.queue = queue
        self.prefix = _UNCLEAN.sub("", prefix)
        self._rendered: dict[str, bytes] = {}

    @cached_property
    def channel(self) -> str:
        """On which Huey 3.5.4 and we announce messages."""
        return _channel("q", f"{self.prefix}.q.{self.queue}")

    @cached_property
    def results_channel(self) -> str:
        """On which stored values are announced."""
        return _channel("r", f"{self.prefix}.r.{self.queue}")

    def held_by(self, consumer: str) -> str:
        """Name the queue of what a consumer holds; no user's queue has such a name."""
        return f"{self.queue}\x1f{consumer}"

    def table(self, name: str) -> str:
        """Give the full name of a table."""
        return f"{self.prefix}_{name}"

    def render(self, template: str) -> bytes:
        """Put the prefix into a statement, in place of ``{p}``."""
        rendered = self._rendered.get(template)
        if rendered is None:
            rendered = self._rendered[template] = template.replace("{p}", self.prefix).encode()
        return rendered


def create_tables(connection: Connection[TupleRow], names: Names) -> None:
    """Create what is missing; nothing is written, and nothing locked, when nothing is."""
    if not _is_complete(connection, names):
        with connection.transaction():
            # IF NOT EXISTS alone is no protection: two that see nothing both create, one fails.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_DDL_LOCK,))
            for statement in (_HUEYS + _OURS).split(";\n"):
                if statement.strip():
                    connection.execute(names.render(statement))


def _is_complete(connection: Connection[TupleRow], names: Names) -> bool:
    tables = [names.table(name) for name in _ALL_TABLES]
    row = connection.execute(
        "SELECT count(to_regclass(name)) FROM unnest(%s::text[]) AS name", (tables,)
    ).fetchone()
    return row == (len(tables),)


def _channel(kind: str, name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= _CHANNEL_LIMIT:
        return name
    # The same as Huey 3.5.4's, so that a mixed fleet listens to one channel.
    return f"huey.{kind}.{hashlib.md5(encoded, usedforsecurity=False).hexdigest()}"
