"""When a rule for a wall clock comes true, in a zone whose clock is moved now and then.

A *wall* is what such a clock shows, counted in seconds since 1970 as if it were never moved. Zones
are cut into stretches of constant offset from UTC, within which walls and instants differ by a
number. Everything else is about the seams:

* A rule that follows real time holds whenever the clock shows one of its walls: never for a wall
  that is skipped, twice for a wall that is shown twice.
* Any other rule holds once for each of its walls: the first time that it is shown, and right after
  the jump if it is skipped. This is what Debian's cron does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from math import floor
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["Clock", "WallRule", "last_until", "next_after"]

_EPOCH = datetime(1970, 1, 1)
_DAY = 86_400
_FIRST = -719_161 * _DAY
_LAST = 2_932_895 * _DAY
#: No zone moved its clock back and forth within less.
_STRIDE = 7 * _DAY


class WallRule(Protocol):
    """A set of walls."""

    @property
    def follows_real_time(self) -> bool:
        """Whether it holds as often as the clock shows one of its walls, or once for each wall."""

    def at_or_after(self, wall: int) -> int | None:
        """Return the first wall from this one on, or None if there is none."""

    def at_or_before(self, wall: int) -> int | None:
        """Return the last wall up to this one, or None if there is none."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock on the wall of a zone."""

    #: None is the local zone of the process.
    zone: tzinfo | None

    @classmethod
    def of(cls, tz: str | tzinfo | None) -> Clock:
        """Find a zone.

        Args:
            tz: an IANA name such as ``Europe/Berlin``, ``local`` for the zone of the process, a
                tzinfo, or None for UTC.

        Raises:
            ValueError: if the name is not known.
            TypeError: if it is something else.
        """
        match tz:
            case None:
                return cls(UTC)
            case "local":
                return cls(None)
            case tzinfo():
                return cls(tz)
            case str():
                return cls(_zone(tz))
        raise TypeError(f"A time zone must be a name or a tzinfo, got {tz!r}: try 'Europe/Berlin'.")

    @property
    def is_never_moved(self) -> bool:
        """Whether the offset from UTC is known to be constant."""
        return isinstance(self.zone, timezone)

    def offset(self, instant: int) -> int:
        """Return by how many seconds the clock is ahead of UTC at an instant."""
        if self.zone is UTC:
            return 0
        # Beyond the years 1 to 9999 there is nothing to plan; the answer only must not raise.
        instant = min(max(instant, _FIRST), _LAST)
        if self.zone is None:
            return time.localtime(instant).tm_gmtoff
        shift = datetime.fromtimestamp(instant, self.zone).utcoffset()
        return int(shift.total_seconds()) if shift else 0

    def shows(self, instant: int) -> datetime:
        """Return what the clock shows at an instant, as a naive datetime."""
        return _EPOCH + timedelta(seconds=instant + self.offset(instant))

    def first_move(self, after: int, until: int) -> int | None:
        """Return the first instant in ``after < t <= until`` with another offset than before it."""
        if self.is_never_moved:
            return None
        offset = self.offset(after)
        while after < until:
            ahead = min(after + _STRIDE, until)
            if self.offset(ahead) != offset:
                return self._seam(after, ahead, offset)
            after = ahead
        return None

    def last_move(self, after: int, until: int) -> int | None:
        """Return the last instant in ``after < t <= until`` with another offset than before it."""
        if self.is_never_moved:
            return None
        offset = self.offset(until)
        while after < until:
            back = max(until - _STRIDE, after)
            if (other := self.offset(back)) != offset:
                return self._seam(back, until, other)
            until = back
        return None

    def _seam(self, low: int, high: int, offset: int) -> int:
        """Return the first instant after ``low``, where the offset holds, at which it does not."""
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == offset:
                low = middle
            else:
                high = middle
        return high


def next_after(rule: WallRule, clock: Clock, instant: float) -> int | None:
    """Return the first instant, in whole seconds, which is later than the given one.

    Args:
        rule: what the clock must show.
        clock: the clock of a zone.
        instant: UTC epoch seconds.
    """
    begin = floor(instant) + 1
    offset = clock.offset(begin)
    low = begin + offset
    if not rule.follows_real_time and (move := clock.last_move(begin - _DAY, begin)) is not None:
        # The walls before this one have had their turn, or, at the seam itself, have it now.
        done = move + clock.offset(move - 1)
        low = done if move == begin else max(low, done)
    while (wall := rule.at_or_after(low)) is not None:
        planned = max(begin, wall - offset)
        move = clock.first_move(begin, planned)
        if move is None:
            return planned
        before, offset = offset, clock.offset(move)
        begin, low = move, move + (offset if rule.follows_real_time else before)
    return None


def last_until(rule: WallRule, clock: Clock, instant: float) -> int | None:
    """Return the last instant, in whole seconds, which is not later than the given one.

    Args:
        rule: what the clock must show.
        clock: the clock of a zone.
        instant: UTC epoch seconds.
    """
    end = floor(instant)
    offset = clock.offset(end)
    while (wall := rule.at_or_before(end + offset)) is not None:
        planned = wall - offset
        move = clock.last_move(planned - _DAY, end)
        if move is None:
            return planned
        before = clock.offset(move - 1)
        if wall >= move + (offset if rule.follows_real_time else before):
            return max(move, planned)
        end, offset = move - 1, before
    return None


def _zone(name: str) -> ZoneInfo:
    # Not needed by an application whose rules are all in UTC.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as exc:
        raise ValueError(
            f"{name!r} is not a known time zone: use an IANA name such as 'Europe/Berlin', and "
            "install tzdata if this system has no zones of its own."
        ) from exc
