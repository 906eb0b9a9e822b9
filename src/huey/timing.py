"""Clocks, and the arithmetic of ETA, delay and expiry.

An app keeps its instants as naive datetimes, either all in UTC (``utc=True``, the default) or all
in the local zone of the process. Storages keep them as UTC epoch seconds; `to_epoch` and
`from_epoch` are the only bridge. Where the local clock repeats an hour, ``datetime.fold`` tells the
two passes apart, so it is kept wherever a local datetime is made.
"""

from __future__ import annotations

from calendar import timegm
from datetime import UTC, datetime, timedelta

__all__ = [
    "aware_to_utc",
    "from_epoch",
    "is_naive",
    "local_to_utc",
    "make_naive",
    "normalize_expire_time",
    "normalize_time",
    "now",
    "to_epoch",
    "utcnow",
]

_EPOCH = datetime(1970, 1, 1)
_MICROSECONDS = 1_000_000


def utcnow() -> datetime:
    """Return the present instant as a naive datetime in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def now(utc: bool = True) -> datetime:
    """Return the present instant as a naive datetime: in UTC, or in the local zone."""
    return utcnow() if utc else datetime.now()


def is_naive(dt: datetime) -> bool:
    """Tell whether a datetime carries no offset from UTC."""
    return dt.utcoffset() is None


def make_naive(dt: datetime) -> datetime:
    """Turn an aware datetime into a naive one in the local zone, to the microsecond."""
    if is_naive(dt):
        return dt
    try:
        # astimezone() would forget which pass of a repeated hour it is.
        return datetime.fromtimestamp(_utc_seconds(dt)).replace(microsecond=dt.microsecond)
    except (OverflowError, ValueError, OSError):
        return _nearest_end(dt)


def aware_to_utc(dt: datetime) -> datetime:
    """Turn an aware datetime into a naive one in UTC, to the microsecond."""
    try:
        return dt.astimezone(UTC).replace(tzinfo=None)
    except (OverflowError, ValueError):
        return _nearest_end(dt)


def local_to_utc(dt: datetime) -> datetime:
    """Turn a naive datetime in the local zone into a naive one in UTC, to the microsecond.

    A time that the local clock skips counts as the same stretch of time after the jump; one that it
    shows twice is the first, unless ``fold=1``.
    """
    return aware_to_utc(dt)


def normalize_time(
    eta: datetime | None = None, delay: float | timedelta | None = None, utc: bool = True
) -> datetime:
    """Turn an ETA or a delay into a naive datetime in the convention of the app.

    Args:
        eta: an instant. A naive one is in the local zone, whatever ``utc`` says.
        delay: from now, in seconds or as a timedelta; zero and negative values are fine.
        utc: whether the app keeps its instants in UTC, or in the local zone.

    Raises:
        ValueError: if not exactly one of the two is given, or ``eta`` is not a datetime.
        TypeError: if ``delay`` is neither a number nor a timedelta.
        OverflowError: if the instant lies outside of the years 1 to 9999.
    """
    if (eta is None) == (delay is None):
        raise ValueError(
            f"Expected either an eta (datetime) or a delay (seconds), got eta={eta!r} and "
            f"delay={delay!r}: give exactly one of them."
        )
    if delay is not None:
        return _after(delay, utc)
    if not isinstance(eta, datetime):
        raise ValueError(
            f"eta must be a datetime instance, got {eta!r}: for seconds from now use delay."
        )
    if utc:
        return aware_to_utc(eta)
    return eta if is_naive(eta) else make_naive(eta)


def normalize_expire_time(expires: datetime | float | timedelta, utc: bool = True) -> datetime:
    """Turn an expiry into a naive datetime in the convention of the app.

    Args:
        expires: an instant, read like an ETA; or a time from now, in seconds or as a timedelta.
        utc: whether the app keeps its instants in UTC, or in the local zone.

    Raises:
        ValueError: if ``expires`` is None.
        TypeError: if ``expires`` is neither a datetime, nor a number, nor a timedelta.
    """
    if isinstance(expires, datetime):
        return normalize_time(eta=expires, utc=utc)
    resolved = normalize_time(delay=expires, utc=utc)
    if not expires:
        # A task may run at exactly its expiry, and this one has to be over already.
        resolved -= timedelta.resolution
    return resolved


def to_epoch(naive: datetime, utc: bool = True) -> float:
    """Turn a naive datetime in the convention of the app into UTC epoch seconds.

    With ``utc`` the zone of the process plays no part. Exact to the microsecond within 272 years
    of 1970: beyond, floats cannot tell two microseconds apart. An aware datetime keeps its instant.
    """
    seconds = _local_seconds(naive) if is_naive(naive) and not utc else _utc_seconds(naive)
    # Integers until the last division: one rounding, so that `from_epoch` finds the way back.
    return (seconds * _MICROSECONDS + naive.microsecond) / _MICROSECONDS


def from_epoch(epoch: float, utc: bool = True) -> datetime:
    """Turn UTC epoch seconds into a naive datetime in the convention of the app.

    Raises:
        OverflowError, ValueError: if the instant lies outside of the years 1 to 9999.
    """
    return _EPOCH + timedelta(seconds=epoch) if utc else datetime.fromtimestamp(epoch)


def _after(delay: float | timedelta, utc: bool) -> datetime:
    if not isinstance(delay, timedelta):
        try:
            delay = timedelta(seconds=delay)
        except TypeError as exc:
            raise TypeError(
                f"A delay must be a number of seconds or a timedelta, got {delay!r}."
            ) from exc
    # Adding on the local clock would be an hour wrong across a change of its offset.
    instant = datetime.now(UTC) + delay
    return aware_to_utc(instant) if utc else make_naive(instant)


def _utc_seconds(dt: datetime) -> int:
    return timegm(dt.utctimetuple())


def _local_seconds(dt: datetime) -> int:
    try:
        return int(dt.replace(microsecond=0).timestamp())
    except (OverflowError, ValueError):
        # At either end of the calendar, which stands for always or never, no zone matters.
        return _utc_seconds(dt)


def _nearest_end(dt: datetime) -> datetime:
    """Clamp an instant that no datetime can hold in the other zone: `max` is written for never."""
    return datetime.max if dt.year > 1 else datetime.min
