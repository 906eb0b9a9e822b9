"""What one call of a task function costs its caller."""

import time

from bench_app import report, scaled, spread, value

n = scaled(3_000)

value(0)  # opens the connection
costs = []
for i in range(n):
    began = time.perf_counter()
    value(i)
    costs.append(time.perf_counter() - began)

report({"rate [tasks/s]": n / sum(costs)} | spread("one call", "µs", costs, 1e6))
