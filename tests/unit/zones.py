"""The zone of this process, changed for a while."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

#: Zones whose clocks do something unusual, and one that does nothing at all.
ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # shifts by half an hour
    "America/Santiago",  # shifts at midnight
    "Asia/Kathmandu",  # +05:45
    "Africa/Casablanca",  # its daylight saving time is negative
    "Pacific/Apia",  # skipped a whole day in 2011
]


@contextmanager
def process_zone(name: str) -> Iterator[None]:
    """Let the local time of this process be that of a zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The zone of this process, each in its turn."""
    with process_zone(request.param):
        yield request.param


@pytest.fixture
def new_york() -> Iterator[None]:
    """New York as the zone of this process."""
    with process_zone("America/New_York"):
        yield
