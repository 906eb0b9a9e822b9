"""A backend for ``django.tasks`` (and the package django-tasks) that runs on Huey."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction
from django.utils import timezone

from huey import signals as S
from huey.contrib.djhuey import tasks_life
from huey.contrib.djhuey.database import closing
from huey.contrib.djhuey.tasks_api import (
    BaseTaskBackend,
    InvalidTask,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    signals,
)
from huey.contrib.djhuey.tasks_life import Life
from huey.contrib.djhuey.tasks_records import (
    change,
    function_at,
    key_of,
    load,
    record_of,
    result_of,
    save,
)
from huey.exceptions import TaskTimeout
from huey.tasks.task import new_id

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.contrib.djhuey.facade import Queues
    from huey.tasks.task import Task
    from huey.tasks.wrapper import TaskWrapper

#: The tasks under whose names all tasks of django.tasks travel. The first is that of Huey 3.5.4.
_PLAIN, _COROUTINE = "djtasks.run", "djtasks.arun"
_COPIED = (
    "errors",
    "_return_value",
    "finished_at",
    "started_at",
    "last_attempted_at",
    "status",
    "worker_ids",
)

#: The signals that tell of an end outside of the task function.
_ENDS = (
    S.SIGNAL_REVOKED,
    S.SIGNAL_EXPIRED,
    S.SIGNAL_CANCELED,
    S.SIGNAL_TIMEOUT,
    S.SIGNAL_ERROR,
    S.SIGNAL_DEAD,
    S.SIGNAL_INTERRUPTED,
)

#: Set by ``serve``.
_queues: Queues


class HueyBackend(BaseTaskBackend):  # type: ignore[misc]  # one of two classes, known at run time
    """Enqueues tasks on the queue of the project.

    In ``TASKS``: ``ENQUEUE_ON_COMMIT`` (or ``enqueue_on_commit`` in ``OPTIONS``) enqueues when the
    transaction has committed. Further ``OPTIONS``: ``queue``, the key of a queue in the settings;
    ``retries`` and ``retry_delay`` (seconds), as for ``Huey.task``. Without ``queue``, tasks whose
    ``queue_name`` is the key of a queue go there, and all others to the default queue.
    """

    supports_defer = True
    supports_async_task = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        wish = params.get("ENQUEUE_ON_COMMIT", self.options.get("enqueue_on_commit"))
        self.enqueue_on_commit = bool(wish)

    @property
    def supports_get_result(self) -> bool:
        """Whether the storage keeps anything."""
        from huey.storage.blackhole import BlackHoleStorage

        return not any(isinstance(huey.storage, BlackHoleStorage) for huey in self._all())

    @property
    def supports_priority(self) -> bool:
        """Whether the storage knows priorities."""
        return all(bool(huey.storage.priority) for huey in self._all())

    def _all(self) -> list[Huey]:
        """Give the Hueys that tasks of this backend may be on."""
        if "queue" in self.options:
            return [_queues.get_queue(self.options["queue"])]
        return list(_queues.hueys.values())

    def _huey_of(self, task: Any) -> Huey:
        name = self.options.get("queue", task.queue_name)
        return _queues.hueys.get(name) or _queues.get_queue(self.options.get("queue"))

    # ── enqueueing ─────────────────────────────────────────────────────────────────────────────

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Enqueue a task.

        Returns:
            Its TaskResult; in immediate mode it is finished.

        Raises:
            InvalidTask: it cannot be run by this backend.
        """
        self.validate_task(task)
        _check_importable(task)
        result = TaskResult(
            task=task,
            id=new_id(),
            status=TaskResultStatus.READY,
            enqueued_at=None,
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        huey = self._huey_of(task)
        if self.enqueue_on_commit or _waits_for_commit(huey):
            transaction.on_commit(functools.partial(self._enqueue, huey, result))
        else:
            self._enqueue(huey, result)
        return result

    def _enqueue(self, huey: Huey, result: Any) -> None:
        change(result, enqueued_at=timezone.now())
        record = record_of(result)
        joins = _joins_transaction(huey)
        if not joins:
            save(huey, record)
        signals.task_enqueued.send(type(self), task_result=result)
        message = self._message(huey, result, record if joins else None)
        try:
            huey.enqueue(message)
        except BaseException:
            if not joins and not huey.immediate:
                huey.delete(key_of(result.id))
            raise
        if joins:
            # A worker may have been faster, and then the record is there.
            transaction.on_commit(
                functools.partial(huey.put_if_empty, key_of(result.id), record),
                using=cast(Any, huey.storage).alias,
            )
        elif huey.immediate:
            self._copy_end(huey, result)

    def _message(self, huey: Huey, result: Any, fresh: dict[str, Any] | None) -> Task:
        task = result.task
        # In immediate mode we are in a thread of asgiref, where only it may wait for a coroutine.
        own_loop = inspect.iscoroutinefunction(task.func) and not huey.immediate
        wrapper = _wrapper(huey, _COROUTINE if own_loop else _PLAIN)
        options = {k: self.options[k] for k in ("retries", "retry_delay") if k in self.options}
        extra = {} if fresh is None else {"record": fresh}
        return wrapper.s(
            task.module_path,
            result.args,
            result.kwargs,
            **extra,
            id=result.id,
            priority=task.priority or None,
            eta=task.run_after,
            **options,
        )

    def _copy_end(self, huey: Huey, result: Any) -> None:
        record = load(huey, result.id)
        if record is not None:
            end = result_of(record)
            change(result, **{name: getattr(end, name) for name in _COPIED})

    # ── results ────────────────────────────────────────────────────────────────────────────────

    def get_result(self, result_id: str) -> Any:
        """Read a result.

        Raises:
            TaskResultDoesNotExist: there is none of that id, or not any more.
        """
        for huey in self._all():
            record = load(huey, str(result_id))
            if record is not None and record["backend"] == self.alias:
                return result_of(record)
        raise TaskResultDoesNotExist(result_id)

    def check(self, **kwargs: Any) -> Iterator[Any]:
        """Yield what is wrong with the settings of this backend."""
        from django.core.checks import Error, Warning

        unknown = self.options.keys() - {"queue", "retries", "retry_delay", "enqueue_on_commit"}
        if unknown:
            yield Warning(
                f"TASKS[{self.alias!r}]['OPTIONS'] has unknown keys: {', '.join(sorted(unknown))}.",
                hint="Known keys: queue, retries, retry_delay, enqueue_on_commit.",
                id="huey.W005",
            )
        if self.options.get("queue", _queues.default) not in _queues.hueys:
            yield Error(
                f"TASKS[{self.alias!r}]['OPTIONS']['queue'] must be the key of a queue in the "
                f"settings ({', '.join(_queues.hueys)}), got {self.options['queue']!r}.",
                hint='Example: "OPTIONS": {"queue": "default"}.',
                id="huey.E008",
            )


def _check_importable(task: Any) -> None:
    try:
        found = function_at(task.module_path)
    except ImportError:
        found = None
    if found is not task.func:
        raise InvalidTask(
            f"A consumer has to find the task function under its name, and {task.module_path} "
            "leads elsewhere: define it at the top of a module, under the name that it has."
        )


def _waits_for_commit(huey: Huey) -> bool:
    """Tell whether the storage would put the message off until the commit, so we do it all then."""
    storage: Any = huey.storage
    return getattr(storage, "joining", None) is False and bool(storage._is_inside())


def _joins_transaction(huey: Huey) -> bool:
    """Tell whether the message will be part of the caller's transaction."""
    storage: Any = huey.storage
    return getattr(storage, "joining", None) is True and bool(storage._is_inside())


# ── in the consumer ────────────────────────────────────────────────────────────────────────────


def serve(queues: Queues) -> None:
    """Have the consumers of these queues know the tasks of ``django.tasks``."""
    global _queues
    _queues = queues
    for huey in queues.hueys.values():
        if _string(_PLAIN) not in huey._registry._registry:
            _declare(huey)


def _declare(huey: Huey) -> None:
    def run(
        path: str, args: list[Any], kwargs: dict[str, Any], record: Any = None, *, task: Task
    ) -> None:
        _run(huey, task, path, args, kwargs, record)

    async def arun(
        path: str, args: list[Any], kwargs: dict[str, Any], record: Any = None, *, task: Task
    ) -> None:
        await _arun(huey, task, path, args, kwargs, record)

    for name, function in ((_PLAIN, run), (_COROUTINE, arun)):
        refreshing = closing(function, lambda: huey.immediate)
        wrapper: Any = huey.task(context=True, name=name)(refreshing)
        wrapper.task_class.djtasks_wrapper = wrapper
    huey.signal(*_ENDS)(functools.partial(_note, huey))


def _run(
    huey: Huey, task: Task, path: str, args: list[Any], kwargs: dict[str, Any], record: Any
) -> None:
    life = Life(huey, task, path, record, HueyBackend)
    life.begin()
    try:
        function = life.function()
        if inspect.iscoroutinefunction(function):
            function = async_to_sync(function)
        life.succeed(function(*life.arguments(args), **kwargs))
    except BaseException as error:
        life.fail(error)
        raise


async def _arun(
    huey: Huey, task: Task, path: str, args: list[Any], kwargs: dict[str, Any], record: Any
) -> None:
    # The storage, and what receivers of signals do, may block: only the function is on the loop.
    life = await sync_to_async(Life)(huey, task, path, record, HueyBackend)
    await sync_to_async(life.begin)()
    try:
        value = await life.function()(*life.arguments(args), **kwargs)
        await sync_to_async(life.succeed)(value)
    except BaseException as error:
        await sync_to_async(life.fail)(error)
        raise


def _note(huey: Huey, signal: str, task: Task, *args: Any, **kwargs: Any) -> None:
    """Record what happened to a task of ours outside of its function."""
    if huey._registry.task_to_string(type(task)) not in (_string(_PLAIN), _string(_COROUTINE)):
        return
    if signal == S.SIGNAL_INTERRUPTED:
        tasks_life.put_back(huey, task.id)
    elif signal == S.SIGNAL_DEAD or not task.retries:
        error = _end_of(signal, task, *args)
        tasks_life.give_up(huey, task.id, error, HueyBackend)


def _end_of(signal: str, task: Task, *args: Any) -> BaseException:
    """Say in an exception how a task ended."""
    match signal:
        case S.SIGNAL_REVOKED:
            return tasks_life.TaskRevoked("The task was revoked.")
        case S.SIGNAL_EXPIRED:
            text = f"The task was to start until {task.expires_resolved}."
            return tasks_life.TaskExpired(text)
        case S.SIGNAL_DEAD:
            return tasks_life.TaskLost(f"The task was given up: {args[0]}.")
        case S.SIGNAL_TIMEOUT:
            return TaskTimeout(f"The task ran longer than {task.timeout} s.")
        case S.SIGNAL_ERROR:
            error: BaseException = args[0]
            return error
    return tasks_life.TaskCancelled("The task was cancelled before it started.")


def _string(name: str) -> str:
    return f"{__name__}.{name}"


def _wrapper(huey: Huey, name: str) -> TaskWrapper[..., Any]:
    """Find what the decorator left for one of our two tasks of this Huey."""
    kind: Any = huey._registry.string_to_task(_string(name))
    wrapper: TaskWrapper[..., Any] = kind.djtasks_wrapper
    return wrapper
