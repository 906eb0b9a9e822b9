"""Who gets the places that messages reserve: decided in order, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huey import keys
from huey.storage.delivery import Outgoing, Reservation


@dataclass(slots=True)
class Decision:
    """What follows from the reservations of some messages."""

    accepted: list[Outgoing] = field(default_factory=list)
    #: For each message, what stands or stood in its place in the name of somebody else.
    standing: list[str | None] = field(default_factory=list)
    #: Reserved key → value and time to live.
    taken: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    #: Revocation key → value.
    revoked: dict[str, bytes] = field(default_factory=dict)


def decide(messages: Sequence[Outgoing], places: Mapping[str, str | None]) -> Decision:
    """Give each place to the first message that wants it, or to the last that may replace.

    Args:
        messages: in the order in which they arrived.
        places: what stands in each reserved key now; None where it is free.
    """
    decision = Decision()
    now = dict(places)
    for message in messages:
        standing = None
        if message.reservation is not None:
            standing = _take(message.reservation, now, decision)
        decision.standing.append(standing)
        if standing is None or message.reservation is None or _may_replace(message.reservation):
            decision.accepted.append(message)
    return decision


def _take(wish: Reservation, now: dict[str, str | None], decision: Decision) -> str | None:
    standing = now.get(wish.key)
    if standing == wish.value:
        standing = None
    if standing is None or _may_replace(wish):
        now[wish.key] = wish.value
        decision.taken[wish.key] = (wish.value, wish.ttl)
    if standing is not None and wish.revoke_with is not None:
        decision.revoked[keys.revoked_id(standing)] = wish.revoke_with
    return standing


def _may_replace(wish: Reservation) -> bool:
    return wish.revoke_with is not None
