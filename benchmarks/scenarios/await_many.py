"""A thousand results awaited at once: how late they come, and how late the event loop is."""

import asyncio
import time

from bench_app import consumer, huey, report, scaled, spread, when

from huey.contrib.asyncio import aget_result

n = scaled(1_000)


async def lags(until):
    """How much too late the loop came back from each of many short sleeps."""
    late = []
    while not until.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - began - 0.001)
    return late


async def main():
    if hasattr(huey, "enqueue_many"):
        results = list(huey.enqueue_many(when.s() for _ in range(n)))
    else:
        results = [when() for _ in range(n)]
    done = asyncio.Event()
    probe = asyncio.ensure_future(lags(done))
    waiting = [asyncio.ensure_future(aget_result(result)) for result in results]
    # All are waited for before the first arrives.
    with consumer():
        ended = [value[0] for value in await asyncio.gather(*waiting)]
        after = time.monotonic() - max(ended)
        done.set()
        late = await probe
    p99 = sorted(late)[int(len(late) * 0.99)]
    return {"last end to last result [ms]": after * 1e3, "loop lag p99 [ms]": p99 * 1e3} | spread(
        "loop lag", "ms", late, 1e3
    )


report(asyncio.run(main()))
