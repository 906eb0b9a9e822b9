"""How soon the caller, who is waiting already, has the result."""

import time

from bench_app import PATIENCE, pauses, report, scaled, spread, warm_consumer, when

after, whole = [], []
with warm_consumer():
    for pause in pauses(scaled(30), 0.0, 0.3):
        time.sleep(pause)
        called = time.monotonic()
        ended, _ = when().get(blocking=True, timeout=PATIENCE)
        now = time.monotonic()
        after.append(now - ended)
        whole.append(now - called)

report(spread("end to result", "ms", after, 1e3) | spread("call to result", "ms", whole, 1e3))
