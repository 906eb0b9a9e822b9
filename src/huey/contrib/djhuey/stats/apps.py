"""The Django application of the admin page, and of the statistics behind its recent tasks."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings

logger = logging.getLogger("huey.stats")

#: Keys of ``HUEY_STATS`` that are for the page, not for the statistics.
PAGE_KEYS = frozenset({"show_args", "database", "filename"})


class HueyStatsConfig(AppConfig):
    """Adds the page; records statistics where the extra ``stats`` is installed."""

    name = "huey.contrib.djhuey.stats"
    label = "hueystats"
    verbose_name = "Huey"

    def ready(self) -> None:
        """Begin to record statistics; a failure is logged, and the page does without."""
        if find_spec("peewee") is None or find_spec("huey.contrib.stats") is None:
            return
        try:
            _record(getattr(settings, "HUEY_STATS", {}))
        except Exception:
            logger.exception("Statistics of Huey are not recorded.")


def _record(options: dict[str, Any]) -> None:
    from huey.contrib.djhuey import queues
    from huey.contrib.stats import enable_stats  # type: ignore[import-not-found,unused-ignore]

    database = _database(options)
    wanted = {key: value for key, value in options.items() if key not in PAGE_KEYS}
    for huey in queues.hueys.values():
        enable_stats(huey, database, **wanted)


def _database(options: dict[str, Any]) -> Any:
    """Give the peewee database: named by an object, a URL, or the file of an SQLite database."""
    import peewee

    database = options.get("database")
    if isinstance(database, str):
        from playhouse.db_url import connect

        return connect(database)
    if database is not None:
        return database
    path = Path(getattr(settings, "BASE_DIR", ".")) / options.get("filename", "huey-stats.db")
    pragmas = {"journal_mode": "wal", "synchronous": 1}
    return peewee.SqliteDatabase(str(path), timeout=5, pragmas=pragmas)
