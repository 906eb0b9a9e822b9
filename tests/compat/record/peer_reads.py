"""Runs under Huey 3.5.4: read a storage that this package filled, and run what waits in it.

Usage: python peer_reads.py VARIANT WHERE. `tests/compat/record/ours.py` calls it.
"""

# It runs where another huey is installed than the one that mypy sees.
# mypy: ignore-errors

import datetime
import json
import logging
import sys
from typing import Any

from peer import open_app
from recorded_app import declare, describe

import huey


def main(variant: str, where: str) -> None:
    app = open_app(variant, where)
    declare(app)
    found = describe(app)
    ran = run_all(app)
    due = [task.id for task in app.read_schedule(datetime.datetime(2098, 1, 1))]
    later = [task.id for task in app.read_schedule(datetime.datetime(2100, 1, 1))]
    stored = {key: repr(value) for key, value in results_of(app, ran).items()}
    app.storage.close()
    told = {"huey": huey.__version__, "found": found, "ran": ran, "results": stored}
    json.dump(told | {"due": due, "later": later}, sys.stdout, indent=1)


def run_all(app: Any) -> list[str]:
    """Execute what is queued, and what that enqueues; the ids in order."""
    ran = []
    while (task := app.dequeue()) is not None:
        ran.append(task.id)
        app.execute(task)
    return ran


def results_of(app: Any, ids: list[str]) -> dict[str, Any]:
    """What is stored under the ids of the tasks that ran."""
    handles = {task_id: app.get(task_id, peek=True) for task_id in ids}
    return {task_id: value for task_id, value in handles.items() if value is not None}


if __name__ == "__main__":
    logging.disable()  # some tasks fail on purpose
    main(*sys.argv[1:])
