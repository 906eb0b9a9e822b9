"""RedisSemaphore and lock_task_semaphore under their historic names; they suit every storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey.exceptions import ConfigurationError
from huey.guards.semaphore import Semaphore

if TYPE_CHECKING:
    from huey.app.huey import Huey

__all__ = ["RedisSemaphore", "lock_task_semaphore"]


class RedisSemaphore(Semaphore):
    """A :class:`huey.guards.semaphore.Semaphore`; in spite of its name for every storage."""

    @property
    def conn(self) -> Any:
        """The client of the Redis storage.

        Raises:
            ConfigurationError: the storage is another one.
        """
        try:
            return self.huey.storage.conn  # type: ignore[attr-defined]  # that is the question
        except AttributeError:
            raise ConfigurationError(
                f"Expected a Redis storage, which has a client, got "
                f"{type(self.huey.storage).__name__}; the semaphore itself does not need one."
            ) from None


def lock_task_semaphore(
    huey: Huey, lock_name: str, value: int = 1, timeout: float | None = None
) -> Semaphore:
    """Let at most ``value`` calls of the decorated functions run at a time.

    Args:
        huey: the application.
        lock_name: whoever uses the same name shares the places.
        value: how many places there are.
        timeout: seconds after which a place of a process that vanished is free again; 300 by
            default. While the function runs its place is renewed.

    A call that finds no place raises TaskLockedException: a task with retries tries again later.
    """
    return RedisSemaphore(huey, lock_name, value, timeout)
