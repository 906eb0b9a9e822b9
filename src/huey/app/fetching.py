"""Awaiting one result: the event loop's side of the hub. Loaded when something is awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from huey.app.hub import ResultHub, hub_of
from huey.constants import EmptyData
from huey.exceptions import ResultTimeout

if TYPE_CHECKING:
    from huey.app.storing import Storing
    from huey.results import Result

R = TypeVar("R")

#: Seconds beyond the timeout for which the first look at the storage may take.
GRACE = 1.0


class Fetch:
    """A result that a coroutine waits for.

    The time of a timeout counts from the start, but it does not strike before the storage was
    looked at once: a value that is there is found even with a timeout of 0.
    """

    def __init__(
        self, huey: Storing, key: str, *, timeout: float | None, backoff: float, max_delay: float
    ) -> None:
        self.key = key
        self.loop = asyncio.get_running_loop()
        self.is_impatient = timeout is not None
        self.backoff = backoff
        self.max_delay = max_delay
        self.arrival: asyncio.Future[None] = self.loop.create_future()
        #: What was read, and what came of it: a value, or an error.
        self.raw = b""
        self.value: Any = EmptyData
        self.error: Exception | None = None
        self._decode = huey.serializer.deserialize
        self._timeout = timeout
        self._alarm: asyncio.TimerHandle | None = None
        if timeout is not None:
            self._deadline = self.loop.time() + timeout
            self._alarm = self.loop.call_at(self._deadline + GRACE, self._give_up)

    def read(self, raw: bytes) -> None:
        """Make the value of the bytes; the thread of the hub calls this."""
        self.raw = raw
        try:
            self.value = self._decode(raw)
        except Exception as error:
            self.error = error

    def found(self) -> None:
        """Let the coroutine go on."""
        if not self.arrival.done():
            self.arrival.set_result(None)

    def nothing_yet(self) -> None:
        """Let the timeout strike in time: the storage was looked at."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = self.loop.call_at(self._deadline, self._give_up)

    def close(self) -> None:
        """Stop the clock."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        if not self.arrival.done():
            self.arrival.set_exception(
                ResultTimeout(f"No result of task {self.key} came within {self._timeout} seconds.")
            )


async def fetch(
    huey: Storing,
    result: Result[R],
    *,
    backoff: float,
    max_delay: float,
    preserve: bool,
    timeout: float | None,
) -> R:
    """Wait for the value of a result handle: see ``Huey.aget_result``."""
    if result._result is EmptyData:
        hub = hub_of(huey._lossless)
        want = Fetch(huey, result.id, timeout=timeout, backoff=backoff, max_delay=max_delay)
        hub.look_for(want)
        try:
            await want.arrival
        finally:
            want.close()
            hub.dismiss(want)
        if want.error is not None:
            raise want.error
        # From here on the value is this coroutine's: it was not cancelled while it waited.
        if not preserve:
            await _take(hub, want)
        result._result = want.value
    return result.get(preserve=preserve)  # type: ignore[return-value]  # it is there


async def _take(hub: ResultHub, want: Fetch) -> None:
    """Remove the value from the storage."""
    removed = want.loop.create_future()

    def done() -> None:
        if not removed.done():
            removed.set_result(None)

    hub.remove(want.key, want.raw, want.loop, done)
    try:
        await removed
    except asyncio.CancelledError:
        hub.give_back(want.key, want.raw)
        raise
