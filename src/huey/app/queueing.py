"""Putting tasks on the queue, and reading them from it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from huey import signals as S
from huey.app import outbox
from huey.app.hooking import Hooking
from huey.app.reserving import Reserving, redirect, refusals
from huey.app.state import logger
from huey.execution.settlement import Aftermath
from huey.results import ChordResult, Result, ResultGroup
from huey.storage.delivery import Outgoing
from huey.tasks.task import Task
from huey.tasks.workflow import check_followers, check_members, chord, group, stages
from huey.timing import to_epoch
from huey.utils import ChordConfig

if TYPE_CHECKING:
    from huey.registry import Message

#: How many tasks of ``enqueue_many`` travel together.
BULK = 1000


class Queueing(Reserving, Hooking):
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
        place = None if scheduled or task.uniqueness is None else self._reservation(task)
        try:
            data = self.serialize_task(task)
        except Exception as error:
            error.add_note(f"Task {task.id} ({task.name}) cannot be turned into a message.")
            raise
        return Outgoing(data, task.priority, due, task.attempt, place)

    # ── enqueueing ─────────────────────────────────────────────────────────────────────────────

    def enqueue(self, item: Any) -> Any:
        """Enqueue a task, a group or a chord.

        Returns:
            A Result; a ResultGroup for a pipeline (one per stage) or a group; a ChordResult.
            None for a task if results are switched off.
            For a unique task that finds its place taken: what its ``on_conflict`` says.

        Raises:
            StorageError: the storage refused it, or cannot be reached; nothing is enqueued.
            TypeError: it is none of these, or holds something that cannot be enqueued.
            ValueError: a pipeline that runs in a circle, or a chord that could never complete.
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
        handles: list[Any] = []
        for some in _batches(tasks, BULK):
            _check_tasks(some)
            handles.extend(self._enqueue_together(some))
        if not self.results:
            return None
        return ResultGroup([_last(handle) for handle in handles])

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
        if task.on_complete is not None or task.on_error is not None:
            check_followers(task)
        if task.expires is not None:
            task.resolve_expires(self.utc)
        self._emit(S.SIGNAL_ENQUEUED, task)
        other = self._dispatch(task)
        handle = self._handle(task)
        if task.uniqueness is not None:
            if other is not None:
                return self._refuse(task, handle, other)
            box = outbox.collection_of(self)
            if box is not None:
                box.handles = {**(box.handles or {}), task.id: handle}
        return handle

    def _dispatch(self, task: Task) -> str | None:
        """Execute the task here in immediate mode, collect it, or write it.

        Gives the id of the task like it that stands in its way, if it is unique.
        """
        box = outbox.collection_of(self)
        if self.immediate and (other := self._take_place(task)) is not None:
            return other
        if box is not None:
            box.announced.append(task)
            if self.immediate:
                box.tasks.append(task)
            else:
                box.outgoing.append(self._outgoing(task))
        elif self.immediate:
            self.execute(task)
        else:
            return self._write_one(task)
        return None

    def _write_one(self, task: Task) -> str | None:
        try:
            outgoing = self._outgoing(task)
            if outgoing.attempt == 1 and outgoing.reservation is None:
                # The classic call, which subclasses of storages override.
                self.storage.enqueue(outgoing.data, outgoing.priority)
                return None
            standing = self._lossless.enqueue_many([outgoing])
        except Exception as error:
            self._tell_failed([task], error)
            raise
        return refusals([outgoing], standing).get(task.id)

    def _tell_failed(self, tasks: list[Task], error: Exception) -> None:
        for task in tasks:
            self._emit(S.SIGNAL_ENQUEUE_FAILED, task, error)

    def _refuse(self, task: Task, handle: Any, other: str) -> Any:
        """Tell that a unique task was not enqueued; gives what stands for its handle."""
        self._emit(S.SIGNAL_DUPLICATE, task, other)
        return redirect(handle, task, other)

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
        handles = self._enqueue_together(list(item.tasks))
        return ResultGroup(handles) if self.results else None

    def _enqueue_together(self, items: list[Any]) -> list[Any]:
        """Enqueue one by one, write together; gives the handles of those that were accepted."""
        with self._writing_together() as dropped:
            handles = [self.enqueue(item) for item in items]
        gone = {None, *dropped}
        return [handle for handle in handles if handle not in gone]

    def _write_collected(self, box: Aftermath) -> list[Any]:
        """Write what was collected; gives the handles of unique tasks that were dropped."""
        standing = self._lossless.enqueue_many(box.outgoing)
        if box.handles is None:
            return []
        refused = refusals(box.outgoing, standing)
        dropped = []
        for task in box.announced:
            if task.id in refused:
                handle = box.handles.get(task.id)
                if self._refuse(task, handle, refused[task.id]) is None:
                    dropped.append(handle)
        return dropped

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
        check_members(members)
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
        self._dropped: list[Any] = []

    def __enter__(self) -> list[Any]:
        if self._outer is None:
            self._context.__enter__()
        return self._dropped

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._outer is not None:
            # An outer collection is open: what was enqueued is written with that one.
            return
        self._context.__exit__(kind, error, trace)
        if isinstance(error, Exception):
            self._app._tell_failed(self._aftermath.announced, error)
        if kind is not None:
            return
        for task in self._aftermath.tasks:
            self._app.execute(task)
        if self._aftermath.outgoing:
            self._write()

    def _write(self) -> None:
        try:
            self._dropped.extend(self._app._write_collected(self._aftermath))
        except Exception as error:
            self._app._tell_failed(self._aftermath.announced, error)
            raise


def _last(handle: Any) -> Any:
    """Give the handle of the last stage of a pipeline, or that of a task."""
    return list(handle)[-1] if isinstance(handle, ResultGroup) else handle


def _check_tasks(items: list[Any]) -> None:
    for item in items:
        if not isinstance(item, Task):
            raise TypeError(
                f"enqueue_many() takes tasks and pipelines, got {type(item).__name__}: {item!r}. "
                "Enqueue groups and chords one by one."
            )


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some


def log_undecodable(data: bytes, error: Exception) -> None:
    """Report bytes that are no task of this application, without their content."""
    logger.error("Skipped a message of %d bytes that is no known task: %s", len(data), error)
