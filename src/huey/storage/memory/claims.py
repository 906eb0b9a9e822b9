"""Consumers of the memory storage, and what they hold."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from huey.storage.delivery import Claim, ConsumerRecord
from huey.storage.memory.state import Mark, Member, MemoryState, Ready


class MemoryClaims(MemoryState):
    """Sign on, claim, release, recover."""

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known; a second time it only changes the info."""
        with self._lock:
            member = self._members.setdefault(consumer, Member(info))
            member.info = dict(info)

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; its claims are released without marks, its locks are freed."""
        with self._lock:
            self._forget(consumer)

    def heartbeat(self, consumer: str) -> bool:
        """Prove life; False if the consumer is unknown."""
        with self._lock:
            member = self._members.get(consumer)
            if member is None:
                return False
            member.beat += 1
            return True

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers that have signed on and not off."""
        with self._lock:
            return [
                ConsumerRecord(name, member.beat, dict(member.info), len(member.claims))
                for name, member in self._members.items()
            ]

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Give back, with crash marks, what a dead consumer holds, and forget it."""
        with self._lock:
            member = self._members.get(consumer)
            if member is None or (beat is not None and member.beat != beat):
                return 0
            alone = len(member.claims) == 1
            for receipt in member.claims:
                self._mark_crash(self._claims[receipt][1][2], alone, cause)
            return self._forget(consumer)

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Move up to ``limit`` messages from ready to claimed; waits up to ``block`` seconds."""
        deadline = time.monotonic() + block
        with self._lock:
            while (member := self._members.get(consumer)) is not None:
                if self._queue and limit > 0:
                    size = min(limit, len(self._queue))
                    return [self._take(consumer, member) for _ in range(size)]
                left = deadline - time.monotonic()
                if left <= 0 or limit <= 0 or consumer in self._woken:
                    break
                self._arrived.wait(left)
            if block > 0:
                self._woken.discard(consumer)
            return []

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or that of the next one."""
        with self._lock:
            self._woken.add(consumer)
            self._arrived.notify_all()

    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims that did not start back to their place in the queue."""
        with self._lock:
            return self._give_back(claim.receipt for claim in claims)

    def _take(self, consumer: str, member: Member) -> Claim:
        ready = heappop(self._queue)
        receipt = str(next(self._numbers))
        member.claims[receipt] = None
        self._claims[receipt] = (consumer, ready)
        data = ready[2]
        mark = self._marks.get(data) if self._marks else None
        if mark is None:
            return Claim(receipt, data)
        return Claim(
            receipt, data, mark.attempt, mark.crashes_in_company, mark.crashes_alone, mark.cause
        )

    def _let_go(self, receipt: str) -> Ready | None:
        """End a claim; None if it is not held any more."""
        held = self._claims.pop(receipt, None)
        if held is None:
            return None
        del self._members[held[0]].claims[receipt]
        return held[1]

    def _give_back(self, receipts: Iterable[str]) -> int:
        given = 0
        for receipt in receipts:
            ready = self._let_go(receipt)
            if ready is not None:
                heappush(self._queue, ready)
                given += 1
        self._arrived.notify(given)
        return given

    def _forget(self, consumer: str) -> int:
        member = self._members.get(consumer)
        if member is None:
            return 0
        given = self._give_back(list(member.claims))
        del self._members[consumer]
        self._woken.discard(consumer)
        for key, (holder, value) in list(self._lock_holders.items()):
            if holder == consumer:
                self._drop_if(key, value)
        for places in self._places.values():
            for name, (_, holder_of_place) in list(places.items()):
                if holder_of_place == consumer:
                    del places[name]
        # Who still waits in claim() under this name has to come back empty.
        self._arrived.notify_all()
        return given

    def _mark_crash(self, data: bytes, alone: bool, cause: str | None) -> None:
        mark = self._marks.setdefault(data, Mark())
        mark.attempt += 1
        mark.crashes_alone += alone
        mark.crashes_in_company += not alone
        mark.cause = cause
        mark.touched = time.time()
