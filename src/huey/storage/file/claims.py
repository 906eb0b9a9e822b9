"""Consumers of the file storage, and what they hold: a claim is a message in their folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from huey.storage.bells import Bell
from huey.storage.delivery import Claim, ConsumerRecord
from huey.storage.file import disk, layout
from huey.storage.file.state import MESSAGES, FileState
from huey.storage.file.work import Work

#: Seconds between two looks at the queue: who does not ring is noticed this late.
_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.02, 1.0, 1.3


class FileClaims(FileState):
    """Sign on, claim, release, recover."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Bells of the consumers of this process; they also prove that it lives.
        self._bell_of: dict[str, Bell] = {}
        self._woken: set[str] = set()
        self._pid = os.getpid()

    # ── consumers ──────────────────────────────────────────────────────────────────────────────

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known; a second time it only changes the info."""
        # First, since one whose bell nobody holds would be taken for dead.
        self._bell(consumer)
        with self._working() as work:
            known = _record(work, consumer) or {"id": consumer, "beat": 0}
            _write_record(work, consumer, known | {"info": dict(info)})

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; its claims are released without marks, its locks are freed."""
        with self._working() as work:
            if _record(work, consumer) is not None:
                self._forget(work, consumer)
        self._after_the_end_of(consumer)

    def heartbeat(self, consumer: str) -> bool:
        """Prove life; False if the consumer is unknown."""
        with self._working() as work:
            known = _record(work, consumer)
            if known is not None:
                _write_record(work, consumer, known | {"beat": known["beat"] + 1})
            return known is not None

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers that have signed on and not off, and any others that hold claims."""
        with self._working() as work:
            folders = {*disk.names_in(self._at(layout.CONSUMERS))}
            records = []
            for folder in sorted(folders | {*disk.names_in(self._at(layout.CLAIMS))}):
                claims = len(disk.names_in(self._at(layout.CLAIMS, folder)))
                known = layout.from_json(work.read(f"{layout.CONSUMERS}/{folder}"))
                if known is None and claims:
                    known = {"id": unquote(folder), "beat": 0, "info": {}}
                if known is not None:
                    records.append(
                        ConsumerRecord(known["id"], known["beat"], known["info"], claims)
                    )
            return records

    def is_gone(self, record: ConsumerRecord) -> bool | None:
        """Tell whether the process of this consumer is gone from this machine."""
        return self._bells.is_dead(MESSAGES, record.id)

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Give back, with crash marks, what a dead consumer holds, and forget it."""
        with self._working() as work:
            known = _record(work, consumer)
            if beat is not None and (known or {"beat": 0})["beat"] != beat:
                return 0
            held = disk.names_in(self._at(layout.CLAIMS, layout.folder_of(consumer)))
            for name in held:
                path = f"{layout.CLAIMS}/{layout.folder_of(consumer)}/{name}"
                work.mark_crash(work.read(path) or b"", len(held) == 1, cause)
            given = self._forget(work, consumer)
        self._after_the_end_of(consumer)
        return given

    def _forget(self, work: Work, consumer: str) -> int:
        folder = layout.folder_of(consumer)
        held = disk.names_in(self._at(layout.CLAIMS, folder))
        for name in held:
            target = layout.name_in_queue(name)
            work.change.moves[f"{layout.CLAIMS}/{folder}/{name}"] = f"{layout.QUEUE}/{target}"
            work.added(target)
        if work.exists(f"{layout.CONSUMERS}/{folder}"):
            work.remove(f"{layout.CONSUMERS}/{folder}")
        self._free_guards(work, consumer)
        return len(held)

    def _free_guards(self, work: Work, consumer: str) -> None:
        for name in disk.names_in(self._at(layout.LEASES)):
            lease = layout.from_json(work.read(f"{layout.LEASES}/{name}"))
            if lease and lease["holder"] == consumer and work.lease_holds(lease):
                work.drop(lease["key"])
        for name in disk.names_in(self._at(layout.PLACES)):
            places = layout.from_json(work.read(f"{layout.PLACES}/{name}"))
            if places:
                left = {m: place for m, place in places["members"].items() if place[1] != consumer}
                work.note(layout.PLACES, places["key"], places | {"members": left})

    def _after_the_end_of(self, consumer: str) -> None:
        bell = self._bell_of.pop(consumer, None)
        self._woken.discard(consumer)
        self._bells.take_down(MESSAGES, consumer)
        if bell is not None:
            bell.ring()  # a thread may still wait in claim() under this name
        disk.remove_folder(self._at(layout.CLAIMS, layout.folder_of(consumer)))

    # ── claims ─────────────────────────────────────────────────────────────────────────────────

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Move up to ``limit`` messages from ready to claimed; waits up to ``block`` seconds."""
        if limit <= 0:
            return []
        if block <= 0:
            return self._claim_now(consumer, limit) or []
        deadline = time.monotonic() + block
        bell, look = self._bell(consumer), _FIRST_LOOK
        while True:
            bell.answer()
            claims = self._claim_now(consumer, limit)
            left = deadline - time.monotonic()
            if claims is None or claims or left <= 0 or self._was_woken(consumer):
                return claims or []
            bell.wait(min(left, look))
            look = min(look * _GROWTH, _LAST_LOOK)

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or that of the next one."""
        self._woken.add(consumer)
        self._bell(consumer).ring()

    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims that did not start back to their place in the queue."""
        if not claims:
            return 0
        released = 0
        with self._working() as work:
            for claim in claims:
                name = layout.name_in_queue(claim.receipt).rpartition("/")[2]
                if work.exists(claim.receipt):
                    work.change.moves[claim.receipt] = f"{layout.QUEUE}/{name}"
                    work.added(name)
                    released += 1
        return released

    def _claim_now(self, consumer: str, limit: int) -> list[Claim] | None:
        """Claim what is there; None if the consumer is unknown."""
        with self._working() as work:
            folder = layout.folder_of(consumer)
            if not work.exists(f"{layout.CONSUMERS}/{folder}"):
                return None
            work.line.refresh(work.header.version)
            claims: list[Claim] = []
            try:
                self._fill(claims, work, f"{layout.CLAIMS}/{folder}", limit)
            except OSError:
                # What was claimed so far is the caller's; the rest can be tried again.
                work.line.forget()
                if not claims:
                    raise
            return claims

    def _fill(self, claims: list[Claim], work: Work, folder: str, limit: int) -> None:
        for name in work.line.next_names():
            source = self._at(layout.QUEUE, name)
            receipt = f"{folder}/{layout.claim_name(name, self._new_claim_number())}"
            # Read first: once it is moved, nothing may go wrong any more.
            data = disk.read(source)
            if data is None or not disk.move(source, self._at(receipt)):
                continue
            claims.append(Claim(receipt, data, **work.marks_of(data)))
            if len(claims) == limit:
                return

    def _was_woken(self, consumer: str) -> bool:
        woken = consumer in self._woken
        self._woken.discard(consumer)
        return woken

    def _bell(self, consumer: str) -> Bell:
        if self._pid != os.getpid():
            self._pid, self._bell_of = os.getpid(), {}
        bell = self._bell_of.get(consumer)
        if bell is None or not bell.is_hanging:
            bell = self._bell_of[consumer] = self._bells.hang(MESSAGES, consumer)
        return bell


def _record(work: Work, consumer: str) -> dict[str, Any] | None:
    known: dict[str, Any] | None = layout.from_json(
        work.read(f"{layout.CONSUMERS}/{layout.folder_of(consumer)}")
    )
    return known


def _write_record(work: Work, consumer: str, known: dict[str, Any]) -> None:
    path = f"{layout.CONSUMERS}/{layout.folder_of(consumer)}"
    work.write(path, layout.to_json(known))
