"""What a consumer with nothing to do costs: processor time and memory."""

import os
import subprocess
import time
from pathlib import Path

from bench_app import SCALE, report, warm_consumer


def family(pid):
    """A process and all its descendants."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE, text=True)
    pairs = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    found = [pid]
    for member in found:
        found += [child for child, parent in pairs if parent == member]
    return found


def processor_time(pids):
    """Seconds that all threads have run, to the nanosecond."""
    return sum(
        int(file.read_text().split()[0]) / 1e9
        for pid in pids
        for file in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


def resident(pid):
    """Megabytes of memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


span = max(2.0, 20.0 * SCALE)
with warm_consumer() as process:
    time.sleep(2)
    pids = family(process.pid)
    before = processor_time(pids)
    time.sleep(span)
    used = processor_time(pids) - before
    memory = sum(map(resident, pids))

report({"processor time [ms per minute]": used / span * 60e3, "memory [MB]": memory})
