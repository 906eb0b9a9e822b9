"""Runs under Huey 3.5.4: print messages of every length and serializer as JSON.

Each message is base64 of the bytes that wait in a queue, beside the fields that it carries. Older
versions of Huey wrote fewer fields; such a message is made by pickling a shorter tuple under the
same name, `huey.registry.Message`.
"""

# It runs where another huey is installed than the one that mypy sees.
# mypy: ignore-errors

import base64
import datetime
import json
import logging
import pickle
import sys
from collections import namedtuple
from typing import Any

from recorded_app import FAR, PAST, declare, describe_task, identify

import huey
from huey import registry
from huey.serializer import Serializer, SignedSerializer

#: Fields of a message in each generation of Huey.
LENGTHS = {"2.0": 10, "2.4": 12, "3.0": 14, "3.3": 15}


def tasks_to_record(app: Any) -> dict[str, Any]:
    """One task per thing that a message can carry."""
    tasks = declare(app)
    made = {
        "plain": tasks.add.s(1, b=2),
        "no arguments": tasks.echo.s(),
        "eta": tasks.add.s(1, eta=FAR),
        "retries": tasks.fail.s(retries=3, retry_delay=1.5),
        "priority": tasks.add.s(1, priority=7),
        "priority of a float": tasks.add.s(1, priority=-0.5),
        "pipeline": tasks.add.s(1, 2).then(tasks.add, 3).then(tasks.report, "last"),
        "on_error": tasks.fail.s().error(tasks.report, "went wrong"),
        "exception among the arguments": tasks.report.s(ValueError("broken", 1)),
        "kinds of values": tasks.echo.s(
            {"a": [1, 2.5, None, True], "b": (b"\x00\xff", "é")},
            when=PAST,
            span=datetime.timedelta(days=1, microseconds=1),
        ),
        "expires in seconds": tasks.add.s(1, expires=60),
        "expires at an instant": tasks.add.s(1, expires=FAR),
        "expires after a timedelta": tasks.add.s(1, expires=datetime.timedelta(hours=1)),
        "timeout": tasks.add.s(1, timeout=2.5),
        "backoff": tasks.fail.s(retries=3, retry_delay=1, retry_backoff=2),
        "pipeline whose stages have rules": tasks.add.s(1, retries=2, timeout=3).then(
            tasks.add.s(2, priority=1, retries=4, retry_backoff=1.5)
        ),
        "periodic": tasks.nightly.task_class(),
    }
    for number, task in enumerate(made.values()):
        _number(task, 100 + 10 * number)
        if task.expires:
            task.expires_resolved = FAR
    return made


def _number(task: Any, number: int) -> None:
    """Give a task and its successors ids that stay the same from one recording to the next."""
    task.id = identify(number)
    for successor in (task.on_complete, task.on_error):
        if successor is not None:
            _number(successor, number + 1)


def chord_members(app: Any) -> dict[str, Any]:
    """Members as the queue holds them; only enqueueing gives them their place in the chord."""
    tasks = declare(app)
    first = tasks.add.s(1, id=identify(900))
    member = tasks.add.s(2, id=identify(901)).then(tasks.add, 10, id=identify(902))
    callback = tasks.report.s("before", id=identify(903)).then(tasks.echo, id=identify(904))
    app.enqueue(huey.chord([first, member], callback))
    return {"chord member": app.dequeue(), "chord member with a pipeline": app.dequeue()}


def carries(task: Any, length: int) -> bool:
    """Whether a message of so many fields can say all that this task is."""
    if task is None:
        return True
    needs = max(
        10,
        12 if task.expires else 0,
        14 if task.timeout or task.chord_config else 0,
        15 if task.retry_backoff else 0,
    )
    return needs <= length and all(carries(t, length) for t in (task.on_complete, task.on_error))


def shorten(message: Any, length: int, kind: type) -> Any:
    """The same message with the fields of an older version, and so its successors."""
    fields = [
        shorten(field, length, kind) if isinstance(field, registry.Message) else field
        for field in message[:length]
    ]
    if length > 13 and fields[13] is not None:
        cid, size, index, callback = fields[13]
        fields[13] = (cid, size, index, shorten(callback, length, kind))
    return kind(*fields)


def pickled(message: Any, length: int, protocol: int) -> bytes:
    current = registry.Message
    older: Any = namedtuple("Message", current._fields[:length])
    older.__module__, older.__qualname__ = current.__module__, current.__qualname__
    short = shorten(message, length, older)
    registry.Message = older  # pickle checks that the name leads to the class
    try:
        return pickle.dumps(short, protocol)
    finally:
        registry.Message = current


def recorded() -> list[dict[str, Any]]:
    app = huey.MemoryHuey("recorded-app")
    made = tasks_to_record(app) | chord_members(huey.MemoryHuey("recorded-app"))
    rows = []
    for name, task in made.items():
        for version, length in LENGTHS.items():
            if carries(task, length):
                message = pickle.loads(app.serialize_task(task))
                data = pickled(message, length, pickle.HIGHEST_PROTOCOL)
                rows.append(_row(name, task, data, fields=length, version=version))
        real = app.serialize_task(task)
        assert real == pickled(pickle.loads(real), 15, pickle.HIGHEST_PROTOCOL), name
    return rows + _serialized(app, made)


def _serialized(app: Any, made: dict[str, Any]) -> list[dict[str, Any]]:
    """The same messages through the other serializers, and older pickle protocols."""
    variants: dict[str, Any] = {
        "gzip": Serializer(compression=True),
        "zlib": Serializer(compression=True, use_zlib=True),
        "signed": SignedSerializer(secret="a secret"),
        "signed, salt": SignedSerializer(secret="a secret", salt="other"),
        "signed, gzip": SignedSerializer(secret="a secret", compression=True),
    } | {f"protocol {n}": Serializer(pickle_protocol=n) for n in range(2, 6)}
    rows = []
    for variant, serializer in variants.items():
        app.serializer = serializer
        for name in ("plain", "pipeline", "kinds of values"):
            data = app.serialize_task(made[name])
            rows.append(_row(name, made[name], data, fields=15, version="3.3", serializer=variant))
    return rows


def _row(name: str, task: Any, data: bytes, **facts: Any) -> dict[str, Any]:
    facts.setdefault("serializer", "pickle")
    text = base64.b64encode(data).decode()
    return {"name": name} | facts | {"task": describe_task(task), "data": text}


if __name__ == "__main__":
    logging.disable()  # some tasks fail on purpose
    json.dump({"huey": huey.__version__, "messages": recorded()}, sys.stdout, indent=1)
