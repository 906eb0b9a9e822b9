"""What is done under the lock: reads see what the same piece of work has changed before."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

from huey import keys
from huey.storage.delivery import Claim, DeadLetter, Outgoing, Reservation, digest
from huey.storage.file import disk, layout
from huey.storage.file.journal import Change, Header

if TYPE_CHECKING:
    from huey.storage.file.state import Line


class Work:
    """One piece of work on the folder.

    Args:
        root: the folder.
        levels: how deep results lie.
        header: of the journal.
        line: what is known of the queue.
    """

    def __init__(self, root: str, levels: int, header: Header, line: Line) -> None:
        self._root = root
        self._levels = levels
        self.header = header
        self.line = line
        self.change = Change()
        #: Whether something became ready, or a value was stored.
        self.pushed = False
        self.stored = False

    # ── files ──────────────────────────────────────────────────────────────────────────────────

    def read(self, path: str) -> bytes | None:
        """Read a file below the root; None if there is none."""
        if path in self.change.files:
            return self.change.files[path]
        return disk.read(os.path.join(self._root, path))

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        self.change.files[path] = content

    def remove(self, path: str) -> None:
        """Remove a file, if there is one."""
        self.change.files[path] = None

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        if path in self.change.moves:
            return False
        if path in self.change.files:
            return self.change.files[path] is not None
        return os.path.exists(os.path.join(self._root, path))

    def facts(self, folder: str, key: str) -> Any:
        """Read what is known under a key in one of our folders; None if nothing is."""
        return layout.from_json(self.read(f"{folder}/{layout.hashed(key)}"))

    def note(self, folder: str, key: str, facts: Any) -> None:
        """Write down what is known under a key."""
        self.write(f"{folder}/{layout.hashed(key)}", layout.to_json(facts))

    def forget(self, folder: str, key: str) -> None:
        """Forget what is known under a key."""
        path = f"{folder}/{layout.hashed(key)}"
        # Looked for before it is removed: the journal need not tell of what was never there.
        if self.exists(path):
            self.remove(path)

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def live(self, key: str) -> bytes | None:
        """Read a value; None if there is none, or it has ended."""
        content = self.read(layout.result_path(key, self._levels))
        entry = None if content is None else layout.unpacked(content)
        if entry is None or entry[0] != key:
            return None
        lease = self.facts(layout.LEASES, key)
        if lease and lease["value"] == _named(entry[1]) and _is_over(lease["expires"]):
            return None
        return entry[1]

    def put(
        self, key: str, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> None:
        """Store a value, which may end by itself or with its holder."""
        self.write(layout.result_path(key, self._levels), layout.packed(key, value))
        self.stored = True
        if ttl is None and holder is None:
            self.forget(layout.LEASES, key)
            return
        expires = None if ttl is None else time.time() + ttl
        # Huey 3.5.4 knows no leases: one counts only for the value that it was written for.
        lease = {"key": key, "value": _named(value), "expires": expires, "holder": holder}
        self.note(layout.LEASES, key, lease)

    def drop(self, key: str) -> bool:
        """Remove a value; False if there was none, or it has ended."""
        was_live = self.live(key) is not None
        path = layout.result_path(key, self._levels)
        if self.exists(path):
            self.remove(path)
        self.forget(layout.LEASES, key)
        return was_live

    def drop_if(self, key: str, value: bytes) -> bool:
        """Remove a value if it is still this one."""
        return self.live(key) == value and self.drop(key)

    def lease_holds(self, lease: dict[str, Any]) -> bool:
        """Tell whether a value is still the one that a lease was written for."""
        content = self.read(layout.result_path(lease["key"], self._levels))
        entry = None if content is None else layout.unpacked(content)
        return entry is not None and _named(entry[1]) == lease["value"]

    def count(self, key: str, amount: int) -> int:
        """Add to a counter; gives its new value."""
        value = self.counter(key) + amount
        self.set_counter(key, value)
        return value

    def set_counter(self, key: str, value: int) -> None:
        """Write a counter."""
        self.write(f"{layout.COUNTERS}/{layout.hashed(key)}", b"%d" % value)

    def delete_counter(self, key: str) -> None:
        """Remove a counter, if there is one."""
        self.forget(layout.COUNTERS, key)

    def counter(self, key: str) -> int:
        """Read a counter."""
        try:
            return int(self.read(f"{layout.COUNTERS}/{layout.hashed(key)}") or b"0")
        except ValueError:
            return 0

    # ── messages ───────────────────────────────────────────────────────────────────────────────

    def new_place(self, priority: int) -> str:
        """Give the name of the next message of a priority."""
        while True:
            self.header.place = self.header.place.after(int(time.time() * 1000))
            name = layout.queue_name(priority, self.header.place)
            # Huey 3.5.4 numbers by the clock alone, and so may have been there before.
            if not self.exists(f"{layout.QUEUE}/{name}"):
                return name

    def push(self, data: bytes, priority: float | None) -> None:
        """Make a message ready."""
        name = self.new_place(layout.nearest_priority(priority))
        self.write(f"{layout.QUEUE}/{name}", data)
        self.added(name)

    def push_scheduled(self, name: str, priority: float | None) -> None:
        """Make a scheduled message ready."""
        target = self.new_place(layout.nearest_priority(priority))
        self.change.moves[f"{layout.SCHEDULE}/{name}"] = f"{layout.QUEUE}/{target}"
        self.added(target)

    def added(self, name: str) -> None:
        """Take notice of a message that becomes ready."""
        before = self.header.version
        self.header.version += 1
        self.line.add(name, before, self.header.version)
        self.pushed = True

    def file(self, data: bytes, due: float) -> None:
        """Put a message on the schedule."""
        name = layout.schedule_name(due, self.header.next_number())
        self.write(f"{layout.SCHEDULE}/{name}", data)

    def file_again(self, name: str, due: float) -> None:
        """Put a scheduled message under another time."""
        target = layout.schedule_name(due, self.header.next_number())
        self.change.moves[f"{layout.SCHEDULE}/{name}"] = f"{layout.SCHEDULE}/{target}"

    def end(self, claim: Claim) -> None:
        """Forget a claim, and what is remembered about its message."""
        self.remove(claim.receipt)
        if claim.attempt > 1 or claim.redelivered:
            self.forget_marks(claim.data)

    def accept(self, message: Outgoing) -> str | None:
        """Put a message where it belongs; gives what stands in its reservation."""
        standing = None
        if message.reservation is not None:
            standing = self._reserve(message.reservation)
            if standing is not None and message.reservation.revoke_with is None:
                return standing
        if message.attempt != 1:
            self.mark(message.data, {"attempt": message.attempt})
        if message.due is None:
            self.push(message.data, message.priority)
        else:
            self.file(message.data, message.due)
        return standing

    def _reserve(self, wish: Reservation) -> str | None:
        value = wish.value.encode()
        standing = self.live(wish.key)
        if standing is None or standing == value:
            self.put(wish.key, value, wish.ttl)
            return None
        other = standing.decode()
        if wish.revoke_with is not None:
            self.put(keys.revoked_id(other), wish.revoke_with)
            self.put(wish.key, value, wish.ttl)
        return other

    # ── marks and letters ──────────────────────────────────────────────────────────────────────

    def marks_of(self, data: bytes) -> dict[str, Any]:
        """Read what is remembered about a message, as keywords of a claim."""
        return layout.from_json(self.read(f"{layout.MARKS}/{digest(data)}")) or {}

    def mark(self, data: bytes, marks: dict[str, Any]) -> None:
        """Remember something about a message."""
        self.write(f"{layout.MARKS}/{digest(data)}", layout.to_json(marks))

    def mark_crash(self, data: bytes, alone: bool, cause: str | None) -> None:
        """Remember that a holder of this message died."""
        known = self.marks_of(data)
        counter = "crashes_alone" if alone else "crashes_in_company"
        known[counter] = known.get(counter, 0) + 1
        self.mark(data, known | {"attempt": known.get("attempt", 1) + 1, "cause": cause})

    def forget_marks(self, data: bytes) -> None:
        """Forget what is remembered about a message."""
        path = f"{layout.MARKS}/{digest(data)}"
        if self.exists(path):
            self.remove(path)

    def bury(self, letter: DeadLetter) -> None:
        """Keep a dead letter."""
        facts = {
            "cause": str(letter.cause),
            "detail": letter.detail,
            "died_at": letter.died_at or time.time(),
        }
        name = f"{self.header.next_number():016x}"
        self.write(f"{layout.DEAD}/{name}", layout.to_json(facts) + b"\n" + letter.data)


def _named(value: bytes) -> str:
    """Name a value by its content."""
    return hashlib.sha1(value, usedforsecurity=False).hexdigest()


def _is_over(expires: float | None) -> bool:
    return expires is not None and expires <= time.time()
