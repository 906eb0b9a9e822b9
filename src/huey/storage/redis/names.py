"""Every key of a queue on the server. The first four and ``notify`` are those of Huey 3."""

from __future__ import annotations

from dataclasses import dataclass, fields

from huey.keys import clean


def clean_name(name: str, enabled: bool) -> str:
    """Reduce a queue name to what Huey 3 puts into keys, or keep it."""
    return clean(name) if enabled else name


@dataclass(frozen=True, slots=True)
class Names:
    """The keys that belong to one queue, as text."""

    #: List, or sorted set with priorities: ready messages.
    queue: str
    #: Sorted set: scheduled messages by due time.
    schedule: str
    #: Hash: key/value data, unless each entry has a key of its own.
    results: str
    #: Hash: counters, unless each has a key of its own.
    counters: str
    #: Sorted set: further copies of bytes that are scheduled already.
    copies: str
    #: Sorted set: when values of the hash are over, on servers whose fields cannot expire.
    expiry: str
    #: List: wakes a consumer that waits at a sorted set.
    bell: str
    #: Counter: numbers that never come twice.
    sequence: str
    #: Hash: consumers, and what they say about themselves.
    consumers: str
    #: Hash: heartbeats of living consumers.
    beats: str
    #: Sorted set: consumers that are gone, by when.
    gone: str
    #: Hash: attempts and crashes by message.
    marks: str
    #: Hash: last planned time by periodic task.
    ticks: str
    #: Sorted set: dead letters by time of death.
    dead: str
    #: Hash: the text of dead letters.
    letters: str
    #: Hash: locks and places of semaphores that are freed when their holder dies.
    holds: str
    #: Sorted set: when places of semaphores end.
    places: str
    #: Hash: who waits for which result.
    waits: str
    #: Never holds anything.
    spare: str

    @classmethod
    def of(cls, name: str) -> Names:
        """Name the keys of one queue."""
        own = {"queue": f"huey.redis.{name}"}
        keys = {field.name: f"huey.{field.name}.{name}" for field in fields(cls)}
        return cls(**keys | own)


#: Keys that exist once for each consumer: messages by receipt, what a blocking move brought, and
#: the numbers of its calls.
OF_CONSUMER = ("claims", "inbox", "turns")


def of_consumer(kind: str, name: str, consumer: str) -> str:
    """Name a key that belongs to one consumer of a queue."""
    return f"huey.{kind}.{name}.{consumer}"


def waiter(name: str, waiter_id: str) -> str:
    """Name the list on which one waiter is told of results."""
    return f"huey.wait.{name}.{waiter_id}"


def notify_prefix(name: str) -> str:
    """Begin the names of the lists on which Huey 3 is told of results."""
    return f"huey.notify.{name}."


def result_prefix(name: str) -> bytes:
    """Begin the names of key/value entries that are keys of their own."""
    return f"huey.r.{name}.".encode()


def counter_prefix(name: str) -> bytes:
    """Begin the names of counters that are keys of their own."""
    return f"huey.c.{name}.".encode()


def has_hash_tag(name: str) -> bool:
    """Tell whether all keys of this queue fall into one slot of a cluster."""
    _, opened, rest = name.partition("{")
    tag, closed, _ = rest.partition("}")
    return bool(opened and closed and tag)
