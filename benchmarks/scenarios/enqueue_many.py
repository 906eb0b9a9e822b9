"""How fast many tasks are put on the queue at once: in one call where there is one."""

import time

from bench_app import huey, report, scaled, value

n = scaled(10_000)

value(0)  # opens the connection
tasks = [value.s(i) for i in range(n)]
began = time.perf_counter()
if hasattr(huey, "enqueue_many"):
    huey.enqueue_many(tasks)
else:
    for task in tasks:
        huey.enqueue(task)

report({"rate [tasks/s]": n / (time.perf_counter() - began)})
