"""The tasks of reports: coroutines, results, greenlets."""

import asyncio
import os
import sys

from django.db import connection
from orders.models import Order

from huey.contrib.djhuey import db_task, task


@db_task()
async def report():
    """A coroutine function: runs on every kind of worker, by the hundred with -k asyncio."""
    await asyncio.sleep(0)
    return {"orders": await Order.objects.acount()}


@task()
def where():
    """Tell which process runs this, and whether gevent has patched it."""
    monkey = sys.modules.get("gevent.monkey")
    return {
        "pid": os.getpid(),
        "patched": bool(monkey and monkey.is_module_patched("socket")),
        "connected": connection.connection is not None,
    }


@task()
def touch(path):
    """Leave a mark that others can see."""
    with open(path, "w"):
        pass
