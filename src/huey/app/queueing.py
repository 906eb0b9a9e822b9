"""Putting tasks on the queue, and reading them from it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from huey import signals as S
from huey.app import outbox
from huey.app.hooking import Hooking
from huey.app.state import logger
from huey.app.storing import Storing
from huey.execution.settlement import Aftermath
from huey.results import ChordResult, Result, ResultGroup
from huey.storage.delivery import Outgoing
from huey.tasks.task import Task
from huey.tasks.workflow import chord, group, stages
from huey.timing import to_epoch
from huey.utils import ChordConfig

if TYPE_CHECKING:
    from huey.registry import Message

#: How many tasks of ``enqueue_many`` travel together.
BULK = 1000


class Queueing(Storing, Hooking):
    """The way of a task into the storage and back."""

    # ── the form in which it travels ───────────────────────────────────────────────────────────

    def serialize_task(self, task: Task) -> bytes:
        """Turn a task into the bytes that are stored."""
        return self.serializer.serialize(self._registry.create_message(task))

    def deserialize_task(self, data: bytes) -> Task:
        """Turn stored bytes into a task.

        Raises:
            UnknownTask: no task of that name is registered.
        """
        message: Message = self.serializer.deserialize(data)
        return self._registry.create_task(message)

    def _outgoing(self, task: Task, *, scheduled: bool = False) -> Outgoing:
        due = None
        if scheduled:
            due = to_epoch(task.eta, self.utc) if task.eta is not None else 0.0
        return Outgoing(self.serialize_task(task), task.priority, due, task.attempt)

    # ── enqueueing ─────────────────────────────────────────────────────────────────────────────

    def enqueue(self, item: Any) -> Any:
        """Enqueue a task, a group or a chord.

        Returns:
            A Result; a ResultGroup for a pipeline (one per stage) or a group; a ChordResult.
            None for a task if results are switched off.

        Raises:
            StorageError: the storage refused it, or cannot be reached; nothing is enqueued.
        """
        match item:
            case group():
                return self._enqueue_group(item)
            case chord():
                return self._enqueue_chord(item)
            case Task():
                return self._enqueue_task(item)
        raise TypeError(
            f"enqueue() takes a task, a group or a chord, got {item!r}. "
            "A function decorated with @huey.task() becomes a task by .s(…)."
        )

    def enqueue_many(self, tasks: Iterable[Any]) -> ResultGroup[Any] | None:
        """Enqueue any number of tasks, a thousand in one round trip.

        Returns:
            Their results in order (of a pipeline, that of its last stage); None if results are
            switched off.
        """
        handles: list[Result[Any]] = []
        for some in _batches(tasks, BULK):
            with self._writing_together():
                for task in some:
                    self.enqueue(task)
            handles.extend(self._result_handle(stages(task)[-1]) for task in some)
        return ResultGroup(handles) if self.results else None

    def prepare(self, task: Task) -> Outgoing:
        """Do all of enqueueing but the write, and give what is to be written.

        Raises:
            ValueError: something that replaces ``enqueue`` kept the task for itself.
        """
        with outbox.collecting(self, Aftermath()) as collected:
            self.enqueue(task)
        if not collected.outgoing:
            raise ValueError(f"Enqueueing {task} left nothing to be written.")
        prepared: Outgoing = collected.outgoing[-1]
        return prepared

    def _enqueue_task(self, task: Task) -> Any:
        if task.expires is not None:
            task.resolve_expires(self.utc)
        self._emit(S.SIGNAL_ENQUEUED, task)
        self._dispatch(task)
        return self._handle(task)

    def _dispatch(self, task: Task) -> None:
        """Execute the task here in immediate mode, collect it, or write it."""
        box = outbox.collection_of(self)
        if box is not None:
            box.ids.add(task.id)
            if self.immediate:
                box.tasks.append(task)
            else:
                box.outgoing.append(self._outgoing(task))
        elif self.immediate:
            self.execute(task)
        else:
            self._write_one(task)

    def _write_one(self, task: Task) -> None:
        try:
            data = self.serialize_task(task)
            if task.attempt == 1:
                # The classic call, which subclasses of storages override.
                self.storage.enqueue(data, task.priority)
            else:
                self._lossless.enqueue_many([Outgoing(data, task.priority, None, task.attempt)])
        except Exception as error:
            self._emit(S.SIGNAL_ENQUEUE_FAILED, task, error)
            raise

    def _handle(self, task: Task) -> Any:
        if not self.results:
            return None
        if task.on_complete is None:
            return self._result_handle(task)
        return ResultGroup([self._result_handle(stage) for stage in stages(task)])

    def _result_handle(self, task: Task) -> Result[Any]:
        return Result(self, task)  # type: ignore[arg-type]  # the parts together are a Huey

    # ── many at once ───────────────────────────────────────────────────────────────────────────

    def _writing_together(self) -> _Together:
        """Give a context in which all that is enqueued is written at its end, or not at all."""
        return _Together(self)

    def _enqueue_group(self, item: group) -> ResultGroup[Any] | None:
        members = list(item.tasks)
        with self._writing_together():
            handles = [self.enqueue(member) for member in members]
        return ResultGroup(handles) if self.results else None

    def _enqueue_chord(self, item: chord) -> ChordResult[Any]:
        with self._writing_together():
            tails = self._enqueue_members(item, item.callback)
        callback = item.callback
        pipeline = stages(callback)
        return ChordResult(
            [self._result_handle(tail) for tail in tails],
            self._result_handle(callback),
            ResultGroup([self._result_handle(s) for s in pipeline]) if len(pipeline) > 1 else None,
        )

    def _enqueue_members(self, item: chord, callback: Task) -> list[Task]:
        """Enqueue the members of a chord and return the tasks that report to it."""
        size = len(item.tasks)  # type: ignore[arg-type]  # a generator raises TypeError, as it must
        members: list[Any] = list(item.tasks)
        _check_members(members)
        if not size:
            self.enqueue(self._copy_with(callback, []))
            return []
        cid = str(uuid.uuid4())
        # One message of the callback serves all members.
        stored = self._registry.create_message(callback) if not self.immediate else callback
        tails = []
        for index, member in enumerate(members):
            tail = stages(member.callback if isinstance(member, chord) else member)[-1]
            tail.chord_config = ChordConfig(cid, size, index, stored)
            tails.append(tail)
        for member in members:
            if isinstance(member, chord):
                self._enqueue_members(member, member.callback)
            else:
                self.enqueue(member)
        return tails

    def _copy_with(self, task: Any, value: Any) -> Task:
        """Copy a task, or its message, with one more positional argument."""
        message = self._registry.create_message(task) if isinstance(task, Task) else task
        args = (*message.args, value)
        return self._registry.create_task(message._replace(args=args, kwargs={**message.kwargs}))

    # ── taking off ─────────────────────────────────────────────────────────────────────────────

    def dequeue(self) -> Task | None:
        """Take the next task off the queue, for good: if its holder dies, it is lost.

        The consumer does not use it; it claims messages.
        """
        data = self.storage.dequeue()
        return None if data is None else self.deserialize_task(data)

    def execute(self, task: Task, timestamp: Any = None) -> Any:
        """See ``app/executing.py``."""
        raise NotImplementedError(f"{type(self).__name__} lacks the part that executes tasks.")

    @property
    def immediate(self) -> bool:
        """Whether tasks run in the caller, at once."""
        return self._immediate


class _Together:
    """Collects what is enqueued in a ``with`` block, and writes it at the end in one go."""

    def __init__(self, app: Queueing) -> None:
        self._app = app
        self._aftermath = Aftermath()
        self._outer = outbox.collection_of(app)
        self._context = outbox.collecting(app, self._aftermath)

    def __enter__(self) -> None:
        if self._outer is None:
            self._context.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._outer is not None:
            # An outer collection is open: what was enqueued is written with that one.
            return
        self._context.__exit__(kind, error, trace)
        if kind is not None:
            return
        for task in self._aftermath.tasks:
            self._app.execute(task)
        if self._aftermath.outgoing:
            self._app._lossless.enqueue_many(self._aftermath.outgoing)


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some


def _check_members(members: list[Any]) -> None:
    for member in members:
        if not isinstance(member, Task | chord):
            raise ValueError(
                "The members of a chord are tasks, pipelines or chords (each has one result), "
                f"got {type(member).__name__}: {member!r}. Give the members of a group one by one."
            )
        if isinstance(member, chord):
            _check_members(list(member.tasks))


def log_undecodable(data: bytes, error: Exception) -> None:
    """Report bytes that are no task of this application, without their content."""
    logger.error("Skipped a message of %d bytes that is no known task: %s", len(data), error)
