"""The tasks: a consumer runs them, beside the web server."""

import os
import time

from huey import SqliteHuey

huey = SqliteHuey("reports", filename=os.environ.get("REPORTS_DB", "reports.db"))


@huey.task()
def add(a, b):
    """Add two numbers."""
    return a + b


@huey.task(context=True, retries=2)
def build_report(chapters, task):
    """Write a report, and tell how far it is."""
    for chapter in range(1, chapters + 1):
        time.sleep(0.05)
        huey.put(progress_key(task.id), 100 * chapter // chapters)
    return {"chapters": chapters}


def progress_key(task_id):
    """Where the progress of a report is kept."""
    return f"progress-{task_id}"
