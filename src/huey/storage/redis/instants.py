"""Due times as scores: our own can be told from those of Huey 3, which may be local time.

Huey 3 files under whole microseconds. We file half a microsecond earlier: far less than anybody can
notice, but more than a float rounds in this century, so that no list of our own entries is needed.
"""

from __future__ import annotations

import math

_MICRO = 1_000_000
#: Epoch seconds from which a float is too coarse for the mark: the year 2106.
_TOO_COARSE = 2.0**32
#: How far from a whole microsecond a score of ours lies at least; ``unverified.lua`` says the same.
_MARK = 0.25


def filed(due: float) -> str:
    """Write a due time, in epoch seconds, as the score under which we file it."""
    if not abs(due) < _TOO_COARSE:
        return repr(float(due))
    return repr((round(due * _MICRO) - 0.5) / _MICRO)


def is_ours(score: float) -> bool:
    """Tell whether we have filed something under this score."""
    if not abs(score) < _TOO_COARSE:
        return False
    # Of the fraction alone: the microseconds of the whole would be rounded once more.
    micros = (score - math.floor(score)) * _MICRO
    return abs(micros - math.floor(micros + 0.5)) >= _MARK


def due_of(score: float) -> float:
    """Give the due time, in epoch seconds, that a score stands for."""
    if not is_ours(score):
        return score
    seconds = math.floor(score)
    return (seconds * _MICRO + round((score - seconds) * _MICRO + 0.5)) / _MICRO
