"""Under which time a message is filed in the schedule, and how to tell who filed it.

Huey 3.5.4 files whole microseconds, perhaps in local time. We file true UTC, always half a
microsecond later than a whole one: the table stays as it is, and no row of ours is mistaken.
"""

from __future__ import annotations

_MICROSECONDS = 1_000_000


def filed(due: float) -> float:
    """Give the time under which a message is filed: never before it is due."""
    return (round(due * _MICROSECONDS) + 0.5) / _MICROSECONDS


def is_foreign(timestamp: float) -> bool:
    """Tell whether a row of the schedule was filed by somebody else.

    Rows of ours are within a quarter of a microsecond of the half until the year 2106, when floats
    become too coarse to tell.
    """
    return abs((timestamp % 1.0) * _MICROSECONDS % 1.0 - 0.5) > 0.25


def unfiled(timestamp: float) -> float:
    """Give the due time, to the microsecond, of a message that is filed under a time."""
    if is_foreign(timestamp):
        return timestamp
    return round(timestamp * _MICROSECONDS - 0.5) / _MICROSECONDS
