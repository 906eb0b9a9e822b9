"""How soon a task starts when the consumer has nothing to do."""

import time

from bench_app import PATIENCE, pauses, report, scaled, spread, warm_consumer, when

waits = []
with warm_consumer():
    for pause in pauses(scaled(30), 0.05, 1.0):
        time.sleep(pause)
        called = time.monotonic()
        started, _ = when().get(blocking=True, timeout=PATIENCE)
        waits.append(started - called)

report(spread("call to start", "ms", waits, 1e3))
