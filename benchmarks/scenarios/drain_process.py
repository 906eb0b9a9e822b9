"""How fast a full queue is emptied by four worker processes."""

import time

from bench_app import consumer, huey, report, scaled, value, wait_until

n = scaled(10_000)

huey.results = False  # the handles are not needed, the values are
for i in range(n):
    value(i)
with consumer(kind="process"):
    wait_until(lambda: huey.result_count() > 0)
    began, first = time.monotonic(), huey.result_count()
    wait_until(lambda: huey.result_count() >= n, pause=0.05)
    rate = (n - first) / (time.monotonic() - began)

report({"results recorded [tasks/s]": rate})
