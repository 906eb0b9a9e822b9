"""The kinds of workers and of delivery, and the sentinel for "nothing is stored"."""

WORKER_THREAD = "thread"
WORKER_GREENLET = "greenlet"
WORKER_PROCESS = "process"
WORKER_ASYNCIO = "asyncio"

#: The kinds that Huey 3.5.4 knows, in its order; applications iterate over it.
WORKER_TYPES = (WORKER_THREAD, WORKER_GREENLET, WORKER_PROCESS)

#: A task whose worker died runs again; or it does not, and ends as a visible error.
AT_LEAST_ONCE = "at_least_once"
AT_MOST_ONCE = "at_most_once"


class EmptyData:
    """Stands for "nothing is stored under this key"; compared by identity, never instantiated."""
