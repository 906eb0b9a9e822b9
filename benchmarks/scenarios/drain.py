"""How fast a full queue is emptied by one consumer process with four threads."""

import time

from bench_app import consumer, huey, nothing, report, scaled, told, value, wait_until

n = scaled(10_000)

for _ in range(n):
    nothing(n)
with consumer():
    facts = told()
run_only = n / (facts["ended"] - facts["began"])

huey.flush()
huey.results = False  # the handles are not needed, the values are
for i in range(n):
    value(i)
with consumer():
    wait_until(lambda: huey.result_count() > 0)
    began, first = time.monotonic(), huey.result_count()
    wait_until(lambda: huey.result_count() >= n, pause=0.05)
    recorded = (n - first) / (time.monotonic() - began)

report({"started [tasks/s]": run_only, "results recorded [tasks/s]": recorded})
