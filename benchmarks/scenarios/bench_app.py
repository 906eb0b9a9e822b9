"""The application under measurement; it runs under both packages and names nothing of only one.

BENCH_STORAGE and BENCH_WHERE choose its storage, BENCH_SCALE multiplies the numbers of tasks.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import huey as package

STORAGE = os.environ.get("BENCH_STORAGE", "sqlite")
WHERE = os.environ.get("BENCH_WHERE", "bench.db")
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
PATIENCE = 600.0

_counter = itertools.count(1)


def make_huey(**settings):
    """An app on the chosen storage."""
    name, place = {
        "sqlite": ("SqliteHuey", "filename"),
        "file": ("FileHuey", "path"),
        "redis": ("RedisHuey", "url"),
        "priority-redis": ("PriorityRedisHuey", "url"),
        "postgres": ("PostgresHuey", "dsn"),
    }[STORAGE]
    return getattr(package, name)("bench", **{place: WHERE}, **settings)


huey = make_huey()


@huey.task()
def nothing(n):
    """Do nothing; tell when the first and the n-th run of this process began."""
    done = next(_counter)
    if done == 1:
        nothing.began = time.monotonic()
    if done == n:
        _tell({"began": nothing.began, "ended": time.monotonic()})


@huey.task()
def value(n):
    return n


@huey.task()
def when(*_):
    """Two clocks: the monotonic one is the same in all processes of a machine."""
    return time.monotonic(), time.time()


def scaled(n):
    """A number of tasks; at least ten, so that there is a middle."""
    return max(10, int(n * SCALE))


def report(numbers):
    """Print the numbers of this run, by "what [unit]"; the last line is what counts."""
    print(json.dumps(numbers))


def spread(name, unit, values, factor=1.0):
    """Middle, 95th percentile and worst of many values, as numbers to report."""
    ordered = sorted(v * factor for v in values)
    return {
        f"{name} median [{unit}]": ordered[len(ordered) // 2],
        f"{name} p95 [{unit}]": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        f"{name} worst [{unit}]": ordered[-1],
    }


def pauses(n, low, high):
    """The same uneven waits in every run: even ones could fall in step with a poll."""
    chance = random.Random(1)
    return [chance.uniform(low, high) for _ in range(n)]


def _tell(facts):
    path = os.environ["BENCH_REPORT"]
    with open(f"{path}.tmp", "w") as file:
        json.dump(facts, file)
    os.replace(f"{path}.tmp", path)


def told():
    """What `nothing` told, once it has."""
    path = os.environ["BENCH_REPORT"]
    wait_until(lambda: os.path.exists(path))
    with open(path) as file:
        facts = json.load(file)
    os.unlink(path)
    return facts


def wait_until(condition, pause=0.01):
    """Poll for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not happen within {PATIENCE:g} seconds")
        time.sleep(pause)


os.environ.setdefault("BENCH_REPORT", os.path.abspath("report.json"))


@contextmanager
def consumer(*options, workers=4, kind="thread"):
    """A real consumer process, from its start to its graceful end."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "huey.bin.huey_consumer", "bench_app.huey"),
            *("-w", str(workers), "-k", kind, "-q", *options),
        ],
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def warm_consumer(*options, **settings):
    """A consumer that has run a task, and has nothing to do."""
    with consumer(*options, **settings) as process:
        value(0).get(blocking=True, timeout=PATIENCE)
        time.sleep(1)
        yield process
