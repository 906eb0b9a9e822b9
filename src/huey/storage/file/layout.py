"""Names of files and what is in them: those of Huey 3.5.4, and ours beside them.

Huey 3.5.4 takes any name in its folders, in the order of the alphabet, except those that end in
``.tmp``. So a longer name is room for what it does not know, and it still reads in our order.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, NamedTuple
from urllib.parse import quote

from huey.storage.base import Key

QUEUE, SCHEDULE, RESULTS, COUNTERS = "queue", "schedule", "results", "counters"
#: Ours. A lease says when a key/value entry ends, a place is one of a semaphore.
CLAIMS, CONSUMERS, MARKS, TICKS, DEAD = "claims", "consumers", "marks", "ticks", "dead"
LEASES, PLACES, WINDOWS = "leases", "places", "windows"
#: Ours, except for what belongs to consumers.
OURS = (MARKS, TICKS, DEAD, LEASES, PLACES, WINDOWS)
#: Ends the name of a file that is being written.
UNFINISHED = ".tmp"
MAX_PRIORITY = 0xFFFF
#: After so many messages in one millisecond, the next one is used.
_LAST_OF_A_MILLISECOND = 999


class Place(NamedTuple):
    """Where a message stands in the sequence of arrivals."""

    millisecond: int
    number: int

    def after(self, now: int) -> Place:
        """Give the next place: by the clock, unless that stands still or goes back."""
        if now > self.millisecond:
            return Place(now, 0)
        if self.number < _LAST_OF_A_MILLISECOND:
            return Place(self.millisecond, self.number + 1)
        return Place(self.millisecond + 1, 0)


def checked_priority(priority: float | None) -> int:
    """Give the priority that a name can hold.

    Raises:
        ValueError: it is below 0 or above 65535.
    """
    whole = int(priority or 0)
    if not 0 <= whole <= MAX_PRIORITY:
        raise ValueError(
            f"FileStorage takes priorities from 0 to {MAX_PRIORITY}, got {priority!r}."
        )
    return whole


def nearest_priority(priority: float | None) -> int:
    """Give the nearest priority that a name can hold."""
    return min(max(int(priority or 0), 0), MAX_PRIORITY)


def queue_name(priority: int, place: Place) -> str:
    """Name a ready message, such as ``ffff-01a206a9ad8b.001``."""
    name = f"{MAX_PRIORITY - priority:04x}-{place.millisecond:012x}"
    return f"{name}.{place.number:03d}" if place.number else name


def schedule_name(due: float, number: int) -> str:
    """Name a scheduled message: milliseconds as Huey has them, microseconds, our number."""
    micros = max(0, round(due * 1_000_000))
    return f"{micros // 1000:012x}.u{micros % 1000:03d}-{number:012x}"


def is_ours(name: str) -> bool:
    """Tell whether a name in the schedule was given by us, in true UTC."""
    return name[12:14] == ".u"


def due_of(name: str) -> float | None:
    """Read the due time in a name, in epoch seconds; None if it is no name of a message."""
    try:
        micros = int(name[:12], 16) * 1000
        return (micros + (int(name[14:17]) if is_ours(name) else 0)) / 1_000_000
    except ValueError:
        return None


# ── key/value data ─────────────────────────────────────────────────────────────────────────────


def text_of(key: Key) -> str:
    """Give a key as text."""
    return key.decode() if isinstance(key, bytes) else key


def hashed(key: str) -> str:
    """Name the file that belongs to a key."""
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def result_path(key: str, levels: int) -> str:
    """Give the path of a value, with one folder for each of the first characters."""
    name = hashed(key)
    return "/".join([RESULTS, *name[:levels], name])


def packed(key: str, value: bytes) -> bytes:
    """Put key and value into one file."""
    encoded = key.encode()
    return struct.pack(">I", len(encoded)) + encoded + value


def unpacked(content: bytes) -> tuple[str, bytes] | None:
    """Take key and value out of a file; None if it was cut short."""
    if len(content) < 4:
        return None
    end = 4 + int(struct.unpack(">I", content[:4])[0])
    if len(content) < end:
        return None
    return content[4:end].decode(errors="replace"), content[end:]


# ── ours ───────────────────────────────────────────────────────────────────────────────────────


def folder_of(consumer: str) -> str:
    """Name a consumer in the file system."""
    # Without a dot there is no name of a parent folder, and none that looks unfinished.
    name = quote(consumer, safe="").replace(".", "%2E")
    if len(name) > 150:
        name = hashlib.sha1(consumer.encode(), usedforsecurity=False).hexdigest()
    return name


def claim_name(name: str, number: str) -> str:
    """Name a claimed message: its name in the queue, and what makes the claim unique."""
    return f"{name}~{number}"


def name_in_queue(claimed: str) -> str:
    """Give the name that a claimed message had in the queue."""
    return claimed.rpartition("~")[0]


def to_json(facts: Any) -> bytes:
    """Write facts about something."""
    return json.dumps(facts).encode()


def from_json(content: bytes | None) -> Any:
    """Read facts; None if there are none, or they were cut short."""
    try:
        return None if content is None else json.loads(content)
    except ValueError:
        return None
