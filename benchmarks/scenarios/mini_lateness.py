"""How late MiniHuey starts tasks with a delay; a negative number would be too early."""

# ruff: noqa: E402 - the patch comes before everything else

from gevent import monkey

monkey.patch_all()

import time

from bench_app import pauses, report, scaled, spread

from huey.contrib.mini import MiniHuey

mini = MiniHuey()
when = mini.task()(time.time)

mini.start()
planned = []
for delay in pauses(scaled(500), 0.5, 10.0):
    planned.append((time.time() + delay, when.schedule((), delay=delay)))
late = [result.get() - due for due, result in planned]
mini.stop()

ordered = sorted(late)
p99 = {"lateness p99 [ms]": ordered[int(len(ordered) * 0.99)] * 1e3}
report(spread("lateness", "ms", late, 1e3) | p99 | {"earliest [ms]": ordered[0] * 1e3})
