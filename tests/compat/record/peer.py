"""Runs under Huey 3.5.4: fill one storage and print what it was filled with, as JSON.

Usage: python peer.py VARIANT WHERE. The variant names the storage and its settings, the place is
a file, a folder or a URL. `tests/compat/record/__main__.py` calls it.
"""

# It runs where another huey is installed than the one that mypy sees.
# mypy: ignore-errors

import json
import logging
import os
import sys
from typing import Any

from recorded_app import declare, describe, fill

import huey


def open_app(variant: str, where: str) -> Any:
    """The Huey of one variant; the words after its first are settings."""
    kind, *settings = variant.split("-")
    classes = {
        "sqlite": ("SqliteHuey", {"filename": where}),
        "file": ("FileHuey", {"path": where}),
        "postgres": ("PostgresHuey", {"dsn": where}),
        "list": ("RedisHuey", {"url": where}),
        "priority": ("PriorityRedisHuey", {"url": where}),
        "expire": ("RedisExpireHuey", {"url": where}),
        "memory": ("MemoryHuey", {}),
    }
    name, arguments = classes[kind]
    if "notify" in settings:
        arguments["notify_result"] = True
    base = getattr(huey, name)

    class Recorded(base):
        """Leaves the traceback out: it would quote another program and name this machine."""

        def build_error_result(self, task: Any, exception: Exception) -> Any:
            metadata = super().build_error_result(task, exception)
            text = f"Traceback (most recent call last):\n{type(exception).__name__}: {exception}\n"
            return metadata | {"traceback": text}

    return Recorded("recorded-app", utc="local" not in settings, **arguments)


def main(variant: str, where: str) -> None:
    app = open_app(variant, where)
    told = fill(app, declare(app), priorities=not variant.startswith(("list", "expire")))
    assert told == describe(app), "describing the data must not change it"
    told = {"huey": huey.__version__, "variant": variant, "zone": os.environ["TZ"]} | told
    app.storage.close()
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    logging.disable()  # some tasks fail on purpose
    main(*sys.argv[1:])
