"""Message ⇄ Task: which name stands for which class."""

from __future__ import annotations

from typing import Any, NamedTuple

from huey.exceptions import HueyException
from huey.tasks.task import PeriodicTask, Task
from huey.utils import ChordConfig


class UnknownTask(HueyException):
    """A message names a task that this process does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} not found in TaskRegistry: import the module that declares it before the "
            "consumer starts, or check whether it was renamed."
        )
        self.name = name


class Message(NamedTuple):
    """A task in the form that travels. Never more than these 15 fields: Huey 3.5.4 reads them."""

    id: Any = None
    name: Any = None
    eta: Any = None
    retries: Any = None
    retry_delay: Any = None
    priority: Any = None
    args: Any = None
    kwargs: Any = None
    on_complete: Any = None
    on_error: Any = None
    expires: Any = None
    expires_resolved: Any = None
    timeout: Any = None
    chord_config: Any = None
    retry_backoff: Any = None


class Registry:
    """The task classes of one application, by the name that messages carry."""

    def __init__(self) -> None:
        self._registry: dict[str, type[Task]] = {}
        # By ability: whatever has ``validate_datetime`` is periodic.
        self._periodic_tasks: list[type[Any]] = []
        # Reading a class's name is cheap, joining it for each message is not.
        self._names: dict[type[Task], str] = {}

    def task_to_string(self, task_class: type[Task]) -> str:
        """Give the name that messages of this class carry: ``<module>.<class name>``."""
        return self._names.get(task_class) or f"{task_class.__module__}.{task_class.__name__}"

    def register(self, task_class: type[Task]) -> bool:
        """Make a class known.

        Raises:
            ValueError: another one has this name.
        """
        name = self.task_to_string(task_class)
        if name in self._registry:
            raise ValueError(
                f"A task named {name} is registered already: give one of the two another name, "
                'with @huey.task(name="…").'
            )
        self._registry[name] = task_class
        self._names[task_class] = name
        if hasattr(task_class, "validate_datetime"):
            self._periodic_tasks.append(task_class)
        return True

    def unregister(self, task_class: type[Task]) -> bool:
        """Forget a class; False if it was not known."""
        name = self.task_to_string(task_class)
        if self._registry.get(name) is not task_class:
            return False
        del self._registry[name]
        self._names.pop(task_class, None)
        if task_class in self._periodic_tasks:
            self._periodic_tasks.remove(task_class)
        return True

    def string_to_task(self, task_str: str) -> type[Task]:
        """Find the class that a message names.

        Raises:
            UnknownTask: there is none.
        """
        try:
            return self._registry[task_str]
        except KeyError:
            raise UnknownTask(task_str) from None

    @property
    def periodic_tasks(self) -> list[PeriodicTask]:
        """A fresh instance of each periodic task, in order of registration."""
        return [task_class() for task_class in tuple(self._periodic_tasks)]

    # ── Task → Message ─────────────────────────────────────────────────────────────────────────

    def create_message(self, task: Task) -> Message:
        """Turn a task, with all that hangs on it, into what travels.

        Raises:
            HueyException: its class, or that of a task hanging on it, is not registered.
        """
        name = self._names.get(type(task))
        if name is None:
            raise HueyException(
                f"{self.task_to_string(type(task))} is not registered with this Huey: "
                "declare it with @huey.task(), or enqueue it where it was declared."
            )
        kwargs = task.kwargs
        if kwargs.get("task") is task:
            kwargs = {key: value for key, value in kwargs.items() if key != "task"}
        return Message(
            task.id,
            name,
            task.eta,
            task.retries,
            task.retry_delay,
            task.priority,
            task.args,
            kwargs,
            task.on_complete and self.create_message(task.on_complete),
            task.on_error and self.create_message(task.on_error),
            task.expires,
            task.expires_resolved,
            task.timeout,
            task.chord_config and self._stored_chord(task.chord_config),
            task.retry_backoff,
        )

    def _stored_chord(self, config: ChordConfig) -> tuple[Any, ...]:
        callback = config.callback
        if isinstance(callback, Task):
            callback = self.create_message(callback)
        return (config.cid, config.size, config.idx, callback)

    # ── Message → Task ─────────────────────────────────────────────────────────────────────────

    def create_task(self, message: Message) -> Task:
        """Turn a message back into a task.

        Raises:
            UnknownTask: it, or one that hangs on it, is not known here.
        """
        task_class = self.string_to_task(message.name)
        return task_class(
            message.args,
            message.kwargs,
            message.id,
            message.eta,
            message.retries,
            message.retry_delay,
            message.priority,
            message.expires,
            message.on_complete and self.create_task(message.on_complete),
            message.on_error and self.create_task(message.on_error),
            message.expires_resolved,
            message.timeout,
            message.chord_config and self._live_chord(message.chord_config),
            message.retry_backoff,
        )

    def _live_chord(self, stored: tuple[Any, ...]) -> ChordConfig:
        cid, size, idx, callback = stored
        return ChordConfig(cid, size, idx, self.create_task(callback))
