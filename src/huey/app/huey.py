"""The Huey object: sets the state, and joins the parts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from huey.app.awaiting import Awaiting
from huey.app.declaring import Declaring
from huey.app.executing import Executing
from huey.app.guarding import Guarding
from huey.app.inspecting import Inspecting
from huey.constants import AT_LEAST_ONCE, AT_MOST_ONCE
from huey.exceptions import ConfigurationError
from huey.execution.attempt import run_in_new_loop
from huey.registry import Registry
from huey.serializer import Serializer
from huey.signals import Signal
from huey.storage.memory import MemoryStorage
from huey.tasks.wrapper import TaskWrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey.consumer.consumer import Consumer
    from huey.storage.base import BaseStorage


class Huey(Declaring, Executing, Guarding, Inspecting, Awaiting):
    """An application's task queue.

    Args:
        name: the queue; several queues may share one storage.
        results: store what tasks return. Without, calling a task gives None.
        store_none: store None, too.
        utc: naive instants are UTC inside messages; otherwise local time.
        immediate: run tasks in the caller, at once.
        serializer: turns messages and results into bytes; pickle by default.
        compression: compress them with gzip.
        use_zlib: compress with zlib instead.
        immediate_use_memory: keep results in memory in immediate mode, not in the storage.
        storage_class: overrides the class attribute of this name.
        store_intermediate_errors: show errors of attempts that will be followed by another.
        delivery: "at_least_once": a task whose worker died runs again; "at_most_once": it does
            not, and ends as a visible ``WorkerLost`` error.
        storage_kwargs: settings of the storage.

    Raises:
        ConfigurationError: an unknown ``delivery``, or settings that the storage refuses.
    """

    storage_class: Callable[..., BaseStorage] | None = None

    def __init__(
        self,
        name: str = "huey",
        results: bool = True,
        store_none: bool = False,
        utc: bool = True,
        immediate: bool = False,
        serializer: Serializer | None = None,
        compression: bool = False,
        use_zlib: bool = False,
        immediate_use_memory: bool = True,
        storage_class: Callable[..., BaseStorage] | None = None,
        store_intermediate_errors: bool = True,
        delivery: str = AT_LEAST_ONCE,
        **storage_kwargs: Any,
    ) -> None:
        if delivery not in (AT_LEAST_ONCE, AT_MOST_ONCE):
            raise ConfigurationError(
                f"delivery is {AT_LEAST_ONCE!r} or {AT_MOST_ONCE!r}, got {delivery!r}."
            )
        self.name = name
        self.results = results
        self.store_none = store_none
        self.utc = utc
        self.delivery = delivery
        self.immediate_use_memory = immediate_use_memory
        self.serializer = serializer or Serializer(compression, use_zlib=use_zlib)
        self.store_intermediate_errors = store_intermediate_errors
        self.storage_kwargs = storage_kwargs
        if storage_class is not None:
            self.storage_class = storage_class
        self._immediate = immediate
        self._locks = set()
        self._pre_execute = {}
        self._post_execute = {}
        self._startup = {}
        self._shutdown = {}
        self._registry = Registry()
        self._signal = Signal()
        self._tasks_in_flight = set()
        self._timeout_handler = None
        self._run_coroutine = run_in_new_loop
        self._holder = None
        self._stats = None
        self.task_wrapper_class = self.get_task_wrapper_class()
        self.storage = self.create_storage()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # ── what subclasses replace ────────────────────────────────────────────────────────────────

    def get_task_wrapper_class(self) -> type[TaskWrapper[..., Any]]:
        """Give the class that decorators wrap functions in."""
        return TaskWrapper

    def create_storage(self) -> BaseStorage:
        """Build the storage for the mode that is on."""
        if self._immediate and self.immediate_use_memory:
            return self.get_immediate_storage()
        return self.get_storage(**self.storage_kwargs)

    def get_immediate_storage(self) -> BaseStorage:
        """Build the storage of immediate mode."""
        return MemoryStorage(self.name)

    def get_storage(self, **kwargs: Any) -> BaseStorage:
        """Build the real storage."""
        if self.storage_class is None:
            warnings.warn(
                "No storage class was given: Redis on localhost is used. "
                "Use RedisHuey, SqliteHuey, … or storage_class=.",
                stacklevel=2,
            )
            from huey.storage.redis.storages import RedisStorage  # deferred: needs a driver

            return RedisStorage(self.name, **kwargs)
        return self.storage_class(self.name, **kwargs)

    def create_consumer(self, **options: Any) -> Consumer:
        """Build the consumer of this queue; see ``Consumer`` for the options."""
        # The one import that points up: an application need not load the consumer.
        from huey.consumer.consumer import Consumer

        return Consumer(self, **options)

    # ── immediate mode ─────────────────────────────────────────────────────────────────────────

    @property
    def immediate(self) -> bool:
        """Whether tasks run in the caller, at once."""
        return self._immediate

    @immediate.setter
    def immediate(self, value: bool) -> None:
        if self._immediate == value:
            return
        self._immediate = value
        if self.immediate_use_memory:
            # The old storage stays open: somebody may still hold it.
            self.storage = self.create_storage()
