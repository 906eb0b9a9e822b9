"""Consumers of one process over a classic storage: to claim is to dequeue."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from huey.storage.base import BaseStorage
from huey.storage.classic.guards import ClassicGuards
from huey.storage.classic.passing import FIRST_DELAY, GROWTH, MAX_DELAY
from huey.storage.classic.sending import ClassicSending
from huey.storage.delivery import Claim, ConsumerRecord, Outgoing


@dataclass
class _Member:
    info: dict[str, Any]
    beat: int = 0
    claims: dict[str, Claim] = field(default_factory=dict)


def _crashed(claim: Claim, alone: bool, cause: str | None) -> Claim:
    return replace(
        claim,
        attempt=claim.attempt + 1,
        crashes_alone=claim.crashes_alone + alone,
        crashes_in_company=claim.crashes_in_company + (not alone),
        cause=cause,
    )


class ClassicClaims(ClassicSending, ClassicGuards):
    """Sign on, claim, release, recover: within this process."""

    def __init__(self, storage: BaseStorage, utc: bool = True) -> None:
        super().__init__(storage, utc)
        self._members: dict[str, _Member] = {}
        self._woken: set[str] = set()

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known; a second time it only changes the info."""
        with self._lock:
            self._members.setdefault(consumer, _Member({})).info = dict(info)

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; what it still holds is enqueued again."""
        self._forget(consumer)

    def heartbeat(self, consumer: str) -> bool:
        """Count; False if the consumer is unknown."""
        with self._lock:
            member = self._members.get(consumer)
            if member is None:
                return False
            member.beat += 1
            return True

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers of this process."""
        with self._lock:
            return [
                ConsumerRecord(name, member.beat, dict(member.info), len(member.claims))
                for name, member in self._members.items()
            ]

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Enqueue again what a dead worker of this process held."""
        with self._lock:
            member = self._members.get(consumer)
            if member is None or (beat is not None and member.beat != beat):
                return 0
            alone = len(member.claims) == 1
            member.claims = {
                receipt: _crashed(claim, alone, cause) for receipt, claim in member.claims.items()
            }
            return self._forget(consumer)

    def _forget(self, consumer: str) -> int:
        with self._lock:
            member = self._members.get(consumer)
            given = self.release(list(member.claims.values())) if member else 0
            self._members.pop(consumer, None)
            self._woken.discard(consumer)
            self._changed.notify_all()
        self._free_guards_of(consumer)
        return given

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Dequeue up to ``limit`` messages, and hold them in memory.

        A storage that itself blocks is asked for one at a time, and decides how long that takes.
        """
        deadline, delay = time.monotonic() + block, FIRST_DELAY
        while (member := self._members.get(consumer)) is not None and limit > 0:
            claims = self._dequeue(member, limit)
            left = deadline - time.monotonic()
            if claims or left <= 0 or self._sleep(consumer, min(left, delay)):
                return claims
            delay = min(delay * GROWTH, MAX_DELAY)
        return []

    def _dequeue(self, member: _Member, limit: int) -> list[Claim]:
        claims: list[Claim] = []
        while len(claims) < limit:
            try:
                data = self.storage.dequeue()
            except Exception:
                if not claims:
                    raise
                break  # what was dequeued must not be lost; the next call meets the error again
            if data is None:
                break
            mark = self._marks.pop(data, Claim("", data))
            claim = replace(mark, receipt=str(next(self._numbers)))
            with self._lock:
                member.claims[claim.receipt] = claim
            claims.append(claim)
            if self.storage.blocking:
                break
        return claims

    def _sleep(self, consumer: str, delay: float) -> bool:
        """Wait until something changes in this process; True if the consumer was woken."""
        with self._lock:
            if consumer not in self._woken and not self.storage.blocking:
                self._changed.wait(delay)
            woken = consumer in self._woken
            self._woken.discard(consumer)
            return woken

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or that of the next one."""
        with self._lock:
            self._woken.add(consumer)
            self._changed.notify_all()

    def release(self, claims: Sequence[Claim]) -> int:
        """Enqueue claims again, at the end: the classic contract knows neither front nor place."""
        held = [own for claim in claims if (own := self._let_go(claim)) is not None]
        for claim in held:
            self._mark(claim)
            self._accept(Outgoing(claim.data))
        return len(held)

    def _let_go(self, claim: Claim) -> Claim | None:
        """End a claim; None if it is not held any more."""
        with self._lock:
            for member in self._members.values():
                if claim.receipt in member.claims:
                    return member.claims.pop(claim.receipt)
        return None

    def _is_held(self, claim: Claim) -> bool:
        with self._lock:
            return any(claim.receipt in member.claims for member in self._members.values())
