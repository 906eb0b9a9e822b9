"""What a Huey consists of; only ``app/huey.py`` assigns it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from huey.registry import Registry
    from huey.serializer import Serializer
    from huey.signals import Signal
    from huey.storage.base import BaseStorage
    from huey.tasks.task import Task
    from huey.tasks.wrapper import TaskWrapper

logger = logging.getLogger("huey")


class State:
    """The attributes that the parts share."""

    name: str
    results: bool
    store_none: bool
    store_intermediate_errors: bool
    utc: bool
    delivery: str
    immediate_use_memory: bool
    serializer: Serializer
    storage: BaseStorage
    storage_class: Callable[..., BaseStorage] | None
    storage_kwargs: dict[str, Any]
    task_wrapper_class: type[TaskWrapper[..., Any]]

    _immediate: bool
    _locks: set[str]
    _pre_execute: dict[str, Callable[[Task], Any]]
    _post_execute: dict[str, Callable[[Task, Any, BaseException | None], Any]]
    _startup: dict[str, Callable[[], Any]]
    _shutdown: dict[str, Callable[[], Any]]
    _registry: Registry
    _signal: Signal
    _tasks_in_flight: set[Task]
    #: Set by the consumer: how its workers limit the time of a task.
    _timeout_handler: Callable[[float], contextlib.AbstractContextManager[Any]] | None
    #: Set by the consumer: how its workers run a coroutine.
    _run_coroutine: Callable[[Any], Any]
    #: Set by the consumer: the id under which it holds locks.
    _holder: str | None
    #: Set by ``contrib.stats``.
    _stats: Any
