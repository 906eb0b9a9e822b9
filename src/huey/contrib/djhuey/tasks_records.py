"""What is stored of a task of ``django.tasks``, and the TaskResult that it stands for."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from django.utils.module_loading import import_string

from huey.contrib.djhuey.tasks_api import Task, TaskError, TaskResult, TaskResultStatus

if TYPE_CHECKING:
    from huey.app.huey import Huey

#: The keys are those of Huey 3.5.4: either version reads what the other has written.
Record = dict[str, Any]

_INSTANTS = ("enqueued_at", "started_at", "last_attempted_at", "finished_at")


def key_of(result_id: str) -> str:
    """Name the key/value entry of a record."""
    return f"djt.{result_id}"


def load(huey: Huey, result_id: str) -> Record | None:
    """Read a record; None if there is none."""
    found = huey.get(key_of(result_id), peek=True)
    return found if isinstance(found, dict) else None


def save(huey: Huey, record: Record) -> None:
    """Store a record as a result: where results expire it does, too."""
    huey.put_result(key_of(record["id"]), record)


def record_of(result: Any) -> Record:
    """Turn a TaskResult into what is stored."""
    task = result.task
    instants = {name: _text(getattr(result, name)) for name in _INSTANTS}
    return {
        "id": result.id,
        "backend": result.backend,
        "task_path": task.module_path,
        "priority": task.priority,
        "queue_name": task.queue_name,
        "takes_context": task.takes_context,
        "run_after": _text(task.run_after),
        "status": str(result.status.value),
        "args": result.args,
        "kwargs": result.kwargs,
        "return_value": result._return_value,
        "errors": [[error.exception_class_path, error.traceback] for error in result.errors],
        "worker_ids": list(result.worker_ids),
        **instants,
    }


def result_of(record: Record) -> Any:
    """Turn what is stored into a TaskResult; its task equals the one that was enqueued."""
    result = TaskResult(
        task=_task_of(record),
        id=record["id"],
        status=TaskResultStatus(record["status"]),
        args=record["args"],
        kwargs=record["kwargs"],
        backend=record["backend"],
        errors=[
            TaskError(exception_class_path=path, traceback=text) for path, text in record["errors"]
        ],
        worker_ids=list(record["worker_ids"]),
        **{name: _instant(record.get(name)) for name in _INSTANTS},
    )
    change(result, _return_value=record["return_value"])
    return result


def change(result: Any, **values: Any) -> None:
    """Set fields of a TaskResult, which is frozen for everybody but its backend."""
    for name, value in values.items():
        object.__setattr__(result, name, value)


def function_at(path: str) -> Any:
    """Import the function of a task.

    Raises:
        ImportError: it is not there any more.
    """
    found = import_string(path)
    return getattr(found, "func", found)


def _task_of(record: Record) -> Any:
    path = record["task_path"]
    try:
        found = import_string(path)
    except ImportError:
        found = _missing(path)
    values = {
        "func": getattr(found, "func", found),
        "priority": record["priority"],
        "backend": record["backend"],
        "queue_name": record["queue_name"],
        "run_after": _instant(record["run_after"]),
        "takes_context": record["takes_context"],
    }
    kind = type(found) if isinstance(found, Task) else Task
    # Not through the constructor: it would validate what ran long ago by the rules of today.
    task = object.__new__(kind)
    for one in fields(kind):
        value = values[one.name] if one.name in values else getattr(found, one.name)
        object.__setattr__(task, one.name, value)
    return task


def _missing(path: str) -> Any:
    """Stand in for a function that is gone, so that its results can still be read."""
    module, _, name = path.rpartition(".")

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise ImportError(f"The task function {path} is not there any more.")

    missing.__module__, missing.__name__, missing.__qualname__ = module, name, name
    return missing


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
