"""How late a task with an ETA starts; a negative number would be too early."""

import time

from bench_app import PATIENCE, pauses, report, scaled, spread, warm_consumer, when

late = []
with warm_consumer():
    planned = []
    for delay in pauses(scaled(30), 2.0, 8.0):
        planned.append((time.time() + delay, when.schedule((), delay=delay)))
    for due, result in planned:
        _, started = result.get(blocking=True, timeout=PATIENCE)
        late.append(started - due)

report(spread("lateness", "ms", late, 1e3) | {"earliest [ms]": min(late) * 1e3})
