"""Messages on their way to a classic storage: reservations, attempts, due times."""

from __future__ import annotations

from collections.abc import Sequence

from huey import keys
from huey.storage.classic.passing import ClassicPassing
from huey.storage.delivery import Claim, Outgoing, Reservation
from huey.timing import from_epoch


class ClassicSending(ClassicPassing):
    """Accept messages, one call after the other."""

    def enqueue_many(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Accept messages one by one; an error leaves the ones before it accepted."""
        return [self._accept(message) for message in messages]

    def _accept(self, message: Outgoing) -> str | None:
        standing = None
        if message.reservation is not None:
            standing = self._reserve(message.reservation)
            if standing is not None and message.reservation.revoke_with is None:
                return standing
        if message.attempt != 1:
            self._mark(Claim("", message.data, message.attempt))
        if message.due is None:
            self.storage.enqueue(message.data, message.priority)
        else:
            self.storage.add_to_schedule(message.data, from_epoch(message.due, self._utc))
        with self._lock:
            self._changed.notify_all()
        return standing

    def _reserve(self, wish: Reservation) -> str | None:
        """Take the place; returns what stands, or stood, there in the name of somebody else."""
        value = wish.value.encode()
        while not self._place(wish, value):
            standing = self.storage.peek_data(wish.key)
            if standing == value:
                return None
            if isinstance(standing, bytes):
                self._replace(wish, value, standing.decode())
                return standing.decode()
        return None

    def _place(self, wish: Reservation, value: bytes) -> bool:
        if wish.ttl is None:
            return self.storage.put_if_empty(wish.key, value)
        return self.storage.put_if_empty(wish.key, value, wish.ttl)

    def _replace(self, wish: Reservation, value: bytes, other: str) -> None:
        if wish.revoke_with is not None:
            self.storage.put_data(keys.revoked_id(other), wish.revoke_with)
            self.storage.put_data(wish.key, value)
