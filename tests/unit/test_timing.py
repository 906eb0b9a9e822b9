"""Instants keep their meaning on the way between naive datetimes, zones and epoch seconds."""

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huey.timing import (
    aware_to_utc,
    from_epoch,
    is_naive,
    local_to_utc,
    make_naive,
    normalize_expire_time,
    normalize_time,
    now,
    to_epoch,
    utcnow,
)
from tests.unit.zones import ZONES, new_york, process_zone, zone

__all__ = ["new_york", "zone"]

#: Floats tell microseconds apart within 272 years of 1970.
EXACT_FROM = datetime(1698, 1, 1)
EXACT_UNTIL = datetime(2242, 1, 1)
MICROSECOND = timedelta(microseconds=1)
PARIS = ZoneInfo("Europe/Paris")

# The zone is a fixture of the function, on purpose the same for all examples of one run.
relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)

exact_datetimes = st.datetimes(EXACT_FROM, EXACT_UNTIL)
exact_microseconds = st.integers(
    calendar.timegm((1902, 1, 1, 0, 0, 0)) * 10**6,
    calendar.timegm(EXACT_UNTIL.timetuple()) * 10**6,
)


def frozen_at(utc: datetime) -> time_machine.travel:
    # As a number: from an aware datetime time-machine would also take over the zone.
    return time_machine.travel(to_epoch(utc), tick=False)


class TestEpochSeconds:
    @given(naive=exact_datetimes)
    def test_a_utc_datetime_survives_the_way_to_epoch_seconds_and_back(
        self, naive: datetime
    ) -> None:
        assert from_epoch(to_epoch(naive)) == naive

    @given(naive=exact_datetimes)
    def test_a_utc_datetime_means_the_same_epoch_seconds_in_every_zone(
        self, naive: datetime
    ) -> None:
        seconds = set()
        for name in ZONES:
            with process_zone(name):
                seconds.add(to_epoch(naive, utc=True))

        assert len(seconds) == 1

    @relaxed
    @given(microseconds=exact_microseconds)
    def test_epoch_seconds_survive_the_way_through_a_local_datetime(
        self, zone: str, microseconds: int
    ) -> None:
        epoch = microseconds / 10**6

        naive = from_epoch(epoch, utc=False)

        assert is_naive(naive)
        assert to_epoch(naive, utc=False) == epoch

    @given(one=exact_datetimes, other=exact_datetimes)
    def test_a_later_datetime_has_more_epoch_seconds(self, one: datetime, other: datetime) -> None:
        assert (to_epoch(one) < to_epoch(other)) == (one < other)

    @pytest.mark.parametrize(
        ("naive", "epoch"),
        [
            (datetime(1970, 1, 1), 0.0),
            (datetime(1969, 12, 31, 23, 59, 59, 999_999), -0.000001),
            (datetime(1900, 3, 1), -2203891200.0),
            (datetime(2000, 2, 29, 12), 951825600.0),
            (datetime(2024, 2, 29, 23, 59, 59, 1), 1709251199.000001),
            (datetime(2038, 1, 19, 3, 14, 8), 2147483648.0),
            (datetime(2106, 2, 7, 6, 28, 16), 4294967296.0),
            (datetime(2100, 3, 1), 4107542400.0),
            (datetime(9999, 12, 31, 23, 59, 59), 253402300799.0),
            (datetime(1, 1, 1), -62135596800.0),
        ],
    )
    def test_known_instants(self, naive: datetime, epoch: float) -> None:
        assert to_epoch(naive) == epoch
        assert from_epoch(epoch) == naive

    def test_an_aware_datetime_gives_its_own_instant(self, new_york: None) -> None:
        noon_in_paris = datetime(2026, 7, 1, 12, tzinfo=PARIS)

        assert to_epoch(noon_in_paris, utc=True) == noon_in_paris.timestamp()
        assert to_epoch(noon_in_paris, utc=False) == noon_in_paris.timestamp()

    def test_both_passes_of_a_repeated_hour_are_told_apart(self, new_york: None) -> None:
        first = datetime(2026, 11, 1, 1, 30)

        assert to_epoch(first.replace(fold=1), utc=False) - to_epoch(first, utc=False) == 3600
        assert from_epoch(to_epoch(first, utc=False) + 3600, utc=False).fold == 1

    def test_a_skipped_local_time_is_the_same_stretch_after_the_jump(self, new_york: None) -> None:
        skipped = datetime(2026, 3, 8, 2, 30)

        assert from_epoch(to_epoch(skipped, utc=False), utc=False) == datetime(2026, 3, 8, 3, 30)

    @pytest.mark.parametrize("end", [datetime.min, datetime.max])
    def test_the_ends_of_the_calendar_can_be_stored_from_every_zone(
        self, zone: str, end: datetime
    ) -> None:
        assert abs(to_epoch(end, utc=False) - to_epoch(end, utc=True)) <= 86_400


class TestConversions:
    @relaxed
    @given(dt=st.datetimes(datetime(1902, 1, 2), datetime(9999, 1, 1), timezones=st.timezones()))
    def test_an_aware_datetime_becomes_naive_without_moving(self, zone: str, dt: datetime) -> None:
        instant = dt.astimezone(UTC)

        assert aware_to_utc(dt).replace(tzinfo=UTC) == instant
        assert make_naive(dt).astimezone(UTC) == instant
        assert is_naive(aware_to_utc(dt))
        assert is_naive(make_naive(dt))

    @relaxed
    @given(naive=st.datetimes(datetime(1902, 1, 2), EXACT_UNTIL))
    def test_local_to_utc_undoes_make_naive(self, zone: str, naive: datetime) -> None:
        assert local_to_utc(make_naive(naive.replace(tzinfo=UTC))) == naive

    def test_both_passes_of_a_repeated_hour_survive_every_conversion(self, new_york: None) -> None:
        for hour in (5, 6):
            utc = datetime(2026, 11, 1, hour, 30, 0, 7, tzinfo=UTC)

            assert make_naive(utc) == datetime(2026, 11, 1, 1, 30, 0, 7)
            assert local_to_utc(make_naive(utc)).replace(tzinfo=UTC) == utc

    def test_a_datetime_is_naive_when_it_knows_no_offset(self) -> None:
        assert is_naive(datetime(2026, 1, 1))
        assert not is_naive(datetime(2026, 1, 1, tzinfo=UTC))

    def test_the_clocks_show_the_same_instant(self, zone: str) -> None:
        before = datetime.now(UTC).timestamp()

        shown = [to_epoch(utcnow()), to_epoch(now(True)), to_epoch(now(False), utc=False)]

        assert all(before <= epoch <= datetime.now(UTC).timestamp() for epoch in shown)


class TestNormalizeTime:
    @pytest.mark.parametrize("utc", [True, False])
    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"eta": None, "delay": None},
            {"eta": datetime(2026, 1, 1), "delay": 3},
            {"eta": datetime(2026, 1, 1), "delay": 0},
            {"eta": 0, "delay": 3},
            {"eta": 0},
            {"eta": "2026-01-01"},
            {"eta": date(2026, 1, 1)},
        ],
    )
    def test_exactly_one_of_eta_and_delay_is_needed(
        self, arguments: dict[str, Any], utc: bool
    ) -> None:
        with pytest.raises(ValueError, match="eta"):
            normalize_time(**arguments, utc=utc)

    @pytest.mark.parametrize("delay", ["5", [], datetime(2026, 1, 1), date(2026, 1, 1)])
    def test_a_delay_must_be_a_length_of_time(self, delay: Any) -> None:
        with pytest.raises(TypeError, match="number of seconds or a timedelta"):
            normalize_time(delay=delay)

    @pytest.mark.parametrize("delay", [0, 0.0, 1.5, -3, timedelta(0), timedelta(days=-1), True])
    def test_a_delay_counts_from_now(self, zone: str, delay: Any) -> None:
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay

        with frozen_at(datetime(2026, 5, 5, 10)):
            there = normalize_time(delay=delay)
            here = normalize_time(delay=delay, utc=False)

        expected = datetime(2026, 5, 5, 10) + timedelta(seconds=seconds)
        assert there == expected
        assert here == make_naive(expected.replace(tzinfo=UTC))

    def test_a_naive_eta_is_local_time(self, new_york: None) -> None:
        noon = datetime(2026, 7, 1, 12)

        assert normalize_time(eta=noon, utc=True) == datetime(2026, 7, 1, 16)
        assert normalize_time(eta=noon, utc=False) is noon

    def test_an_aware_eta_is_converted(self, new_york: None) -> None:
        noon_in_paris = datetime(2026, 7, 1, 12, 0, 0, 999_999, tzinfo=PARIS)

        assert normalize_time(noon_in_paris) == datetime(2026, 7, 1, 10, 0, 0, 999_999)
        assert normalize_time(noon_in_paris, utc=False) == datetime(2026, 7, 1, 6, 0, 0, 999_999)

    @relaxed
    @given(
        eta=st.datetimes(
            datetime(1902, 1, 2), EXACT_UNTIL, timezones=st.one_of(st.none(), st.timezones())
        ),
        utc=st.booleans(),
    )
    def test_no_eta_loses_a_part_of_a_second(self, zone: str, eta: datetime, utc: bool) -> None:
        assert normalize_time(eta=eta, utc=utc).microsecond == eta.microsecond

    @relaxed
    @given(eta=exact_microseconds.map(lambda microseconds: microseconds / 10**6), utc=st.booleans())
    def test_a_local_eta_is_due_at_its_instant(self, zone: str, eta: float, utc: bool) -> None:
        naive = from_epoch(eta, utc=False)

        assert to_epoch(normalize_time(eta=naive, utc=utc), utc=utc) == eta

    @pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(hours=2)])
    @pytest.mark.parametrize("change", [datetime(2026, 3, 8, 7), datetime(2026, 11, 1, 6)])
    def test_a_delay_across_a_change_of_the_clock_is_real_time(
        self, new_york: None, change: datetime, ahead: timedelta
    ) -> None:
        start = change - timedelta(minutes=5)
        for minutes in range(0, 90, 7):
            with frozen_at(start + timedelta(minutes=minutes)):
                due = normalize_time(delay=ahead, utc=False)
                waited = to_epoch(due, utc=False) - to_epoch(now(False), utc=False)

            assert waited == ahead.total_seconds()

    @pytest.mark.parametrize("utc", [True, False])
    @pytest.mark.parametrize("end", [datetime.min, datetime.max])
    def test_the_ends_of_the_calendar_mean_always_and_never_in_every_zone(
        self, zone: str, end: datetime, utc: bool
    ) -> None:
        for offset in (None, timezone(timedelta(hours=-14)), timezone(timedelta(hours=14))):
            instant = normalize_time(eta=end.replace(tzinfo=offset), utc=utc)

            assert abs(instant - end) <= timedelta(days=2)


class TestExpiry:
    @pytest.fixture
    def frozen(self) -> Any:
        with frozen_at(datetime(2026, 5, 5, 10)):
            yield datetime(2026, 5, 5, 10)

    @pytest.mark.parametrize("utc", [True, False])
    @pytest.mark.parametrize("make", [lambda s: s, float, lambda s: timedelta(seconds=s)])
    def test_a_length_of_time_counts_from_now(
        self, new_york: None, frozen: datetime, make: Callable[[int], Any], utc: bool
    ) -> None:
        due = normalize_expire_time(make(90), utc=utc)

        assert due == normalize_time(delay=90, utc=utc)

    def test_an_instant_is_read_like_an_eta(self, new_york: None) -> None:
        noon = datetime(2026, 7, 1, 12, 0, 0, 5)

        assert normalize_expire_time(noon) == datetime(2026, 7, 1, 16, 0, 0, 5)
        assert normalize_expire_time(noon, utc=False) == noon

    @pytest.mark.parametrize("nothing", [0, 0.0, timedelta(0)])
    def test_an_expiry_of_zero_is_over_already(self, frozen: datetime, nothing: Any) -> None:
        assert normalize_expire_time(nothing) == frozen - MICROSECOND

    def test_no_expiry_cannot_be_resolved(self) -> None:
        with pytest.raises(ValueError, match="exactly one"):
            normalize_expire_time(None)  # type: ignore[arg-type]
