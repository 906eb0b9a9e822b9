"""What MiniHuey adds to a task that does nothing: calls in batches, until all have ended."""

# ruff: noqa: E402 - the patch comes before everything else

from gevent import monkey

monkey.patch_all()

import time
from statistics import median

from bench_app import report, scaled

from huey.contrib.mini import MiniHuey

n, batches = 1_000, scaled(150)


def measure(mini):
    """Tasks per second of the best and of the middle batch, and by processor time."""

    @mini.task()
    def nothing():
        pass

    rates, used = [], time.process_time()
    for _ in range(batches):
        began = time.perf_counter()
        results = [nothing() for _ in range(n)]
        for result in results:
            result.get()
        rates.append(n / (time.perf_counter() - began))
    return max(rates), median(rates), n * batches / (time.process_time() - used)


numbers = {}
for name, mini in (("no limit", MiniHuey()), ("pool of 100", MiniHuey(pool_size=100))):
    best, middle, by_processor = measure(mini)
    numbers[f"{name}, best batch [tasks/s]"] = best
    numbers[f"{name}, median [tasks/s]"] = middle
    numbers[f"{name}, of processor time [tasks/s]"] = by_processor

report(numbers)
