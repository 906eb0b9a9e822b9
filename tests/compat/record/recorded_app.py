"""The application whose data is recorded, and what it leaves in its storage.

It uses what Huey 3.5.4 and this package have in common, and runs on both: under the first to
record, under the second to read. Tasks are known as `recorded_app.<name>` wherever this file lies.
"""

import datetime
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

MODULE = "recorded_app"
FAR = datetime.datetime(2099, 1, 2, 3, 4, 5, 678901)
PAST = datetime.datetime(2020, 1, 2, 3, 4, 5)


def declare(huey: Any) -> SimpleNamespace:
    """Register the tasks on an app, and return them by name."""

    def add(a: int, b: int = 0) -> int:
        return a + b

    def echo(value: Any = None, **kwargs: Any) -> Any:
        return (value, kwargs) if kwargs else value

    def fail(*args: Any) -> None:
        raise ValueError("broken on purpose")

    def report(*args: Any) -> str:
        return repr(args)

    def nightly() -> None:
        """Run by the clock, which recording does not wait for."""

    tasks = SimpleNamespace()
    for function, settings in (
        (add, {}),
        (echo, {}),
        (fail, {"retries": 0}),
        (report, {}),
    ):
        function.__module__ = MODULE
        setattr(tasks, function.__name__, huey.task(**settings)(function))
    nightly.__module__ = MODULE
    tasks.nightly = huey.periodic_task(lambda now: False)(nightly)
    return tasks


def identify(number: int) -> str:
    """The id of the n-th recorded task."""
    return f"00000000-0000-4000-8000-{number:012d}"


def fill(huey: Any, tasks: SimpleNamespace, priorities: bool = True) -> dict[str, Any]:
    """Leave something of every kind in a storage; say what, in terms of the public API.

    Args:
        priorities: whether the storage knows priorities.
    """
    _results(huey, tasks)
    _flags(huey, tasks)
    _half_a_chord(huey, tasks)
    _schedule(huey, tasks)
    _queue(huey, tasks, priorities)
    return describe(huey)


def describe(huey: Any) -> dict[str, Any]:
    """What the storage holds, as a value for JSON."""
    stored = sorted(huey.all_results().items())
    chords = {key.rpartition(":")[0] for key, _ in stored if key.startswith("chord:")}
    counters = [f"{huey.name}.rl.mail", *sorted(chords)]
    return {
        "queue": [describe_task(task) for task in huey.pending()],
        "schedule": [describe_task(task) for task in huey.scheduled()],
        "keys": {key: repr(huey.serializer.deserialize(value)) for key, value in stored},
        "counters": {key: huey.storage.incr(key, 0) for key in counters},
    }


def describe_task(task: Any) -> dict[str, Any]:
    """The parts of a task that have to arrive, without those that were not given."""
    return {part: value for part, value in _parts(task).items() if value is not None}


def _parts(task: Any) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": f"{type(task).__module__}.{task.name}",
        "args": repr(task.args),
        "kwargs": repr(task.kwargs),
        "eta": task.eta and task.eta.isoformat(),
        "retries": task.retries,
        "retry_delay": task.retry_delay,
        "retry_backoff": task.retry_backoff,
        "priority": task.priority,
        "expires": task.expires and repr(task.expires),
        "expires_resolved": task.expires_resolved and task.expires_resolved.isoformat(),
        "timeout": task.timeout,
        "on_complete": task.on_complete and describe_task(task.on_complete),
        "on_error": task.on_error and describe_task(task.on_error),
        "chord": task.chord_config
        and {
            "size": task.chord_config.size,
            "index": task.chord_config.idx,
            "callback": describe_task(task.chord_config.callback),
        },
    }


def _run_all(huey: Any) -> None:
    for _ in range(huey.pending_count()):
        huey.execute(huey.dequeue())


def _results(huey: Any, tasks: SimpleNamespace) -> None:
    tasks.add.schedule((1, 2), delay=-1, id=identify(1))
    tasks.echo.schedule(({"key": [1.5, None, b"\x00"]},), delay=-1, id=identify(2))
    tasks.fail.schedule(delay=-1, id=identify(3))
    _run_all(huey)


def _flags(huey: Any, tasks: SimpleNamespace) -> None:
    huey.revoke_by_id(identify(4))
    huey.revoke_by_id(identify(5), revoke_once=True)
    huey.revoke_by_id(identify(6), revoke_until=FAR)
    tasks.report.revoke(revoke_once=True)
    huey.lock_task("held").acquire()
    limit: Callable[[], None] = huey.rate_limit("mail", 100, 10**9).acquire
    for _ in range(3):
        limit()
    huey.put("of the user", {"any": "value"})


def _half_a_chord(huey: Any, tasks: SimpleNamespace) -> None:
    """A value, an error and a skip of a chord of four are there; the fourth is lost for good."""
    members = [
        tasks.add.s(20, 1, id=identify(20)),
        tasks.fail.s(id=identify(21)),
        tasks.add.s(22, 1, id=identify(22)),
        tasks.add.s(23, 1, id=identify(23)),
    ]
    huey.revoke_by_id(identify(22))
    huey.enqueue(_chord(members, tasks.report.s(id=identify(24))))
    for _ in range(3):
        huey.execute(huey.dequeue())
    huey.dequeue()


def _chord(members: list[Any], callback: Any) -> Any:
    from huey import chord

    return chord(members, callback)


def _schedule(huey: Any, tasks: SimpleNamespace) -> None:
    for number, eta in ((30, FAR), (31, PAST), (32, FAR.replace(microsecond=0))):
        huey.add_schedule(tasks.add.task_class((number, 1), id=identify(number), eta=eta))


def _queue(huey: Any, tasks: SimpleNamespace, priorities: bool) -> None:
    for number in (40, 41, 42):
        # The middle one overtakes the others.
        priority = {"priority": 5} if priorities and number == 41 else {}
        tasks.add(number, b=1, id=identify(number), **priority)
    tasks.echo("text é", id=identify(43), retries=3, retry_delay=1.5, timeout=10)
    tasks.echo(b"\x00" * 30, id=identify(44), expires=FAR)
    pipeline = tasks.add.s(45, 1, id=identify(45))
    pipeline.then(tasks.add, 10, id=identify(46)).then(tasks.report, id=identify(47))
    huey.enqueue(pipeline.error(tasks.report, "went wrong", id=identify(48)))
    members = [tasks.add.s(n, 1, id=identify(n)) for n in (50, 51)]
    huey.enqueue(_chord(members, tasks.report.s(id=identify(52))))
    # Revoked above: they wait until a worker meets the flag.
    for number in (4, 5, 6):
        tasks.echo(number, id=identify(number))
