"""The Lua scripts: put together from the files under ``lua/``, and known by their digest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources

from huey.storage.redis.names import OF_CONSUMER, Names

_QUEUE = ("sequence", "queue")
_ACCEPTING = ("sequence", "queue", "data", "schedule", "marks", "accepting")

#: The parts that each script stands on, in order. "queue", "inbox" and "data" come in two forms.
_PARTS: dict[str, tuple[str, ...]] = {
    "claim": ("sequence", "queue", "inbox", "marks"),
    "declare_dead": (),
    "delete_dead": (),
    "due": (),
    "enqueue": _ACCEPTING,
    "forget": (),
    "free": ("data",),
    "free_places": (),
    "give_back": ("sequence", "queue", "inbox", "marks"),
    "heartbeat": ("sequence", "queue", "inbox"),
    "lock": ("data",),
    "promote": ("sequence", "queue", "schedule"),
    "push": _QUEUE,
    "put": ("data", "telling"),
    "put_new": ("data",),
    "rate_hit": ("data",),
    "read": ("data",),
    "replay": ("sequence", "queue", "marks"),
    "rescue_inbox": ("sequence", "queue", "inbox"),
    "semaphore_acquire": ("places",),
    "semaphore_release": ("places",),
    "semaphore_renew": ("places",),
    "settle": ("sequence", "queue", "data", "telling", "schedule", "marks", "accepting"),
    "sign_on": (),
    "sweep": ("data",),
    "tick": _ACCEPTING,
    "unlock": ("data",),
    "unverified": (),
    "wait_for": ("data",),
    "wait_no_more": ("data",),
}

_KEYS = tuple(field.name for field in fields(Names)) + OF_CONSUMER
_UPPER = re.compile(r"\b[A-Z]+\b")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the server knows it."""

    text: str
    #: Digest by which the server finds the script once it has seen it.
    sha: str
    #: Which keys to give it first, as fields of `Names` or of a consumer.
    keys: tuple[str, ...]
    #: Which of its parts expect arguments before all others.
    parts: tuple[str, ...]


@cache
def script(name: str, queue: str, data: str) -> Script:
    """Put a script together.

    Args:
        name: of the file.
        queue: "list" or "sorted".
        data: "hash" or "keys".
    """
    forms = {"queue": f"queue_{queue}", "inbox": f"inbox_{queue}", "data": f"data_{data}"}
    parts = _PARTS[name]
    body = "\n".join(
        source(part) for part in ("prelude", *(forms.get(part, part) for part in parts), name)
    )
    code = re.sub(r"--.*", "", body)
    mentioned = set(_UPPER.findall(code))
    keys = tuple(key for key in _KEYS if key.upper() in mentioned)
    names = [f"local {key.upper()} = KEYS[{place}]" for place, key in enumerate(keys, start=1)]
    text = "\n".join([*names, f"local declared = {len(keys)}", body])
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(text, sha, keys, parts)


@cache
def source(name: str) -> str:
    """Read one file under ``lua/``."""
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


#: Removes what is due from one sorted set; Huey 3 offers it under this name.
SCHEDULE_POP_LUA = source("pop_schedule")
