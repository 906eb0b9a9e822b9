"""Whether a long queue slows the consumer down: the same tasks before a short and a long one."""

import time

from bench_app import STORAGE, consumer, huey, make_huey, nothing, report, scaled, told

n = scaled(4_000)
short, long = scaled(20_000), scaled(200_000)


def fill(size):
    # Unsynced: filling is not what is measured.
    filler = make_huey(fsync=False) if STORAGE == "sqlite" else huey
    for _ in range(size):
        filler.storage.enqueue(huey.serialize_task(nothing.s(n)))
    filler.storage.close()


def rate():
    with consumer():
        facts = told()
    return n / (facts["ended"] - facts["began"])


numbers = {}
for name, size in (("short", short), ("long", long)):
    huey.flush()
    began = time.monotonic()
    fill(size)
    numbers[f"filling the {name} queue [tasks/s]"] = size / (time.monotonic() - began)
    numbers[f"{name} queue [tasks/s]"] = rate()
numbers["long : short"] = numbers["short queue [tasks/s]"] / numbers["long queue [tasks/s]"]

report(numbers)
