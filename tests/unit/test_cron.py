"""Schedules plan the right instants, and refuse rules that have no meaning."""

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huey.tasks.cron import (
    CronSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PredicateSchedule,
    to_schedule,
)
from huey.tasks.crontab import crontab
from tests.unit.zones import new_york, process_zone

__all__ = ["new_york"]

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3600
DAY = 86_400
#: A zone, and a UTC instant near which its clock is moved.
MOVES = [
    ("America/New_York", datetime(2026, 3, 8, 7)),
    ("America/New_York", datetime(2026, 11, 1, 6)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30)),
    ("America/Santiago", datetime(2026, 4, 5, 3)),
    ("America/Santiago", datetime(2026, 9, 6, 4)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2)),
    ("Africa/Casablanca", datetime(2026, 3, 22, 2)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10)),
]


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


minute_fields = st.sampled_from(["*", "*/7", "*/30", "0", "30", "5,35", "0-59/20", "45"])
hour_fields = st.sampled_from(["*", "*/2", "*/3", "0", "1", "2", "1,2", "0-3", "2,3,23", "23"])
day_fields = st.sampled_from(["*", "*/2", "1-15", "1", "8"])
weekday_fields = st.sampled_from(["*", "0", "SUN", "1-5", "6,7"])
expressions = st.builds(
    "{} {} {} * {}".format, minute_fields, hour_fields, day_fields, weekday_fields
)


class TestCronStrings:
    @pytest.mark.parametrize(
        ("alias", "expression"),
        [
            ("@hourly", "0 * * * *"),
            ("@daily", "0 0 * * *"),
            ("@Midnight", "0 0 * * *"),
            ("@weekly", "0 0 * * 0"),
            (" @monthly ", "0 0 1 * *"),
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
        ],
    )
    def test_an_alias_stands_for_an_expression(self, alias: str, expression: str) -> None:
        start = utc(2026, 5, 5, 5)

        planned = CronSchedule(alias).all_between(start, start + 800 * DAY, 30)

        assert planned == CronSchedule(expression).all_between(start, start + 800 * DAY, 30)
        assert planned

    def test_the_first_of_six_fields_is_the_second(self) -> None:
        schedule = CronSchedule("15,45 30 12 * * *")

        planned = schedule.all_between(utc(2026, 5, 5), utc(2026, 5, 6), 9)

        assert planned == [utc(2026, 5, 5, 12, 30, 15), utc(2026, 5, 5, 12, 30, 45)]

    def test_a_day_that_satisfies_day_or_weekday_will_do(self) -> None:
        schedule = CronSchedule("0 0 13 * FRI")

        planned = schedule.all_between(utc(2026, 11, 1), utc(2026, 12, 14), 9)

        days = [datetime.fromtimestamp(instant, UTC).day for instant in planned]
        assert days == [6, 13, 20, 27, 4, 11, 13]

    @pytest.mark.parametrize(
        ("expression", "planned"),
        [
            ("0 0 29 2 *", utc(2028, 2, 29)),
            ("0 0 29 2 1", utc(2027, 2, 1)),
            ("0 0 * 2 MON#5", utc(2044, 2, 29)),
            ("0 0 L * *", utc(2026, 5, 31)),
            ("0 0 * * 5L", utc(2026, 5, 29)),
            ("0 0 LW * *", utc(2026, 5, 29)),
        ],
    )
    def test_rare_and_relative_days_are_found(self, expression: str, planned: float) -> None:
        schedule = CronSchedule(expression)

        assert schedule.next_after(utc(2026, 5, 5)) == planned
        assert schedule.last_between(0, planned) == planned
        assert schedule.last_between(planned, planned + 1) is None

    @pytest.mark.parametrize(
        "expression",
        ["", "*", "* * * *", "* * * * * * *", "60 * * * *", "a b c d e", "*/0 * * * *", "@reboot"],
    )
    def test_a_malformed_expression_is_refused_when_it_is_declared(self, expression: str) -> None:
        with pytest.raises(ValueError, match="is not a cron string") as caught:
            CronSchedule(expression)

        assert repr(expression) in str(caught.value)

    @pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 * 2 MON#5,TUE#9"])
    def test_an_impossible_date_is_refused_when_it_is_declared(self, expression: str) -> None:
        with pytest.raises(ValueError, match="0 0"):
            CronSchedule(expression)

    @pytest.mark.parametrize("expression", [None, 5, b"* * * * *"])
    def test_an_expression_is_text(self, expression: Any) -> None:
        with pytest.raises(TypeError, match="must be text"):
            CronSchedule(expression)

    @pytest.mark.parametrize("tz", ["Europe/Atlantis", "", "America", "../etc/passwd", "a\0b"])
    def test_an_unknown_zone_is_refused(self, tz: str) -> None:
        with pytest.raises(ValueError, match="not a known time zone"):
            CronSchedule("@daily", tz)

    def test_a_zone_is_a_name_or_a_tzinfo(self) -> None:
        with pytest.raises(TypeError, match="must be a name or a tzinfo"):
            CronSchedule("@daily", 5)  # type: ignore[arg-type]

    def test_a_fixed_offset_is_a_zone(self) -> None:
        kathmandu = timezone(timedelta(hours=5, minutes=45))

        assert CronSchedule("@daily", kathmandu).next_after(utc(2026, 5, 5)) == utc(
            2026, 5, 5, 18, 15
        )

    @settings(max_examples=25, deadline=None)
    @given(expression=expressions, instant=st.floats(-2e9, 1e10))
    def test_what_comes_next_is_later_and_what_was_last_is_not(
        self, expression: str, instant: float
    ) -> None:
        schedule = CronSchedule(expression, NEW_YORK)

        following = schedule.next_after(instant)
        last = schedule.last_between(float("-inf"), instant)

        assert following is not None
        assert last is not None
        assert last <= instant < following
        assert schedule.next_after(last) == following
        assert schedule.last_between(last, following) == following

    @pytest.mark.parametrize("tz", ["UTC", "America/New_York", "local"])
    def test_nothing_is_planned_outside_of_the_calendar(self, tz: str) -> None:
        schedule = CronSchedule("@yearly", tz)

        assert schedule.next_after(1e15) is None
        assert schedule.next_after(utc(9999, 12, 30)) is None
        assert schedule.last_between(-1e16, -1e15) is None

    def test_equal_rules_are_equal_and_survive_pickling(self) -> None:
        schedule = CronSchedule("30 2 * * *", "America/New_York")

        copy = pickle.loads(pickle.dumps(schedule))

        assert copy == schedule
        assert hash(copy) == hash(schedule)
        assert copy.next_after(0) == schedule.next_after(0)
        assert schedule != CronSchedule("30 2 * * *")


class TestCrontabs:
    @settings(max_examples=25, deadline=None)
    @given(
        fields=st.tuples(
            st.sampled_from(["*", "*/7", "0", "30-10/9"]),
            st.sampled_from(["*", "*/5", "22-2", "1"]),
            st.sampled_from(["*", "*/2", "29", "31", "5-9"]),
            st.sampled_from(["*", "2", "11-3"]),
            st.sampled_from(["*", "1-5", "0"]),
        ),
        start=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    )
    def test_the_lists_plan_the_minutes_at_which_the_predicate_holds(
        self, fields: tuple[str, str, str, str, str], start: datetime
    ) -> None:
        predicate = crontab(*fields)
        low = start.replace(tzinfo=UTC).timestamp()

        read = CrontabSchedule(predicate).all_between(low, low + DAY, 2_000)
        asked = PredicateSchedule(predicate).all_between(low, low + DAY, 2_000)

        assert read == asked

    @settings(max_examples=25, deadline=None)
    @given(
        fields=st.tuples(
            st.sampled_from(["*/20", "0", "30-10/9"]),
            st.sampled_from(["23", "*/5", "0"]),
            st.sampled_from(["1", "*/2", "27-29", "28"]),
            st.sampled_from(["*", "2", "1,3", "12"]),
            st.sampled_from(["*", "1-5", "0"]),
        ),
        start=st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1)),
    )
    def test_looking_back_finds_what_looking_ahead_plans(
        self, fields: tuple[str, str, str, str, str], start: datetime
    ) -> None:
        schedule = CrontabSchedule(crontab(*fields))
        low = start.replace(tzinfo=UTC).timestamp()

        planned = schedule.all_between(low, low + 9_000 * DAY, 20)

        assert len(planned) > 1
        for before, after in pairwise(planned):
            assert schedule.last_between(low, after) == after
            assert schedule.last_between(low, after - 1) == before
            assert schedule.last_between(before, after - 1) is None

    def test_looking_ahead_skips_no_day_of_the_months_that_are_named(self) -> None:
        year = [datetime(2027, 1, 1) + timedelta(days=day) for day in range(365)]

        for month in range(1, 13):
            schedule = CrontabSchedule(crontab("0", "0", month=month))
            found = schedule.all_between(utc(2026, 12, 31, 23), utc(2027, 12, 31), 40)

            assert found == [
                day.replace(tzinfo=UTC).timestamp() for day in year if day.month == month
            ]

    @pytest.mark.parametrize(
        ("predicate", "planned"),
        [
            (crontab(day=29, month=2, hour=0, minute=0), utc(2028, 2, 29)),
            (crontab(day=29, month=2, day_of_week=1, hour=0, minute=0), utc(2044, 2, 29)),
            (crontab(day=31, month="4-12", hour=0, minute=0), utc(2026, 5, 31)),
            (crontab(day=30, month=2), None),
        ],
    )
    def test_day_and_weekday_must_both_match_however_far_away(
        self, predicate: Callable[[datetime], bool], planned: float | None
    ) -> None:
        schedule = CrontabSchedule(predicate)

        assert schedule.next_after(utc(2026, 5, 5)) == planned
        assert schedule.last_between(0, utc(2060, 1, 1)) is None or planned is not None
        if planned is not None:
            assert schedule.last_between(0, planned + 59) == planned

    def test_another_function_is_refused(self) -> None:
        with pytest.raises(ValueError, match="made by crontab"):
            CrontabSchedule(lambda when: True)


class TestIntervals:
    @given(
        every=st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)),
        instant=st.floats(-1e9, 4e9),
    )
    def test_what_comes_next_is_the_next_multiple_since_1970(
        self, every: timedelta, instant: float
    ) -> None:
        schedule = IntervalSchedule(every)
        seconds = every.total_seconds()

        following = schedule.next_after(instant)
        last = schedule.last_between(float("-inf"), instant)

        assert following is not None
        assert last is not None
        assert last <= instant < following
        assert following - last == pytest.approx(seconds, abs=1e-5)
        assert following == pytest.approx(round(following / seconds) * seconds, abs=1e-5)
        assert schedule.next_after(last) == following
        assert schedule.all_between(last, following, 5) == [following]
        assert schedule.last_between(last, instant) is None

    @given(every=st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)))
    def test_each_instant_leads_to_a_later_one(self, every: timedelta) -> None:
        schedule = IntervalSchedule(every)
        start = utc(2026, 5, 5)

        planned = schedule.all_between(start, start + 20.5 * every.total_seconds(), 100)

        assert len(planned) in (20, 21)
        assert planned == sorted(set(planned))
        assert [schedule.last_between(0, instant) for instant in planned] == planned

    @pytest.mark.parametrize("every", [timedelta(0), timedelta(days=-1), timedelta(microseconds=9)])
    def test_an_interval_has_a_length(self, every: timedelta) -> None:
        with pytest.raises(ValueError, match="or longer"):
            IntervalSchedule(every)


class TestPredicates:
    def test_a_function_is_asked_once_about_each_whole_minute_that_has_come(self) -> None:
        asked: list[datetime] = []

        def at_noon(when: datetime) -> bool:
            asked.append(when)
            return (when.hour, when.minute) == (12, 0)

        schedule = PredicateSchedule(at_noon)
        instant, planned = utc(2026, 5, 5, 11, 57) + 0.5, []
        while instant < utc(2026, 5, 5, 12, 2):
            following = schedule.next_after(instant)
            assert following is not None
            if schedule.last_between(instant, following):
                planned.append(following)
            instant = following

        assert planned == [utc(2026, 5, 5, 12)]
        assert asked == [datetime(2026, 5, 5, 11, 57 + minute) for minute in (1, 2)] + [
            datetime(2026, 5, 5, 12, minute) for minute in (0, 1, 2)
        ]

    @given(instant=st.floats(-1e9, 4e9))
    def test_looking_ahead_asks_nothing_and_ends_at_the_next_minute(self, instant: float) -> None:
        def fail(when: datetime) -> bool:
            raise AssertionError("asked about the future")

        following = PredicateSchedule(fail).next_after(instant)

        assert following is not None
        assert instant < following <= instant + 60
        assert following % 60 == 0

    def test_the_past_is_looked_at_for_a_week(self) -> None:
        schedule = PredicateSchedule(lambda when: when == datetime(2026, 5, 5))
        planned = utc(2026, 5, 5)

        assert schedule.last_between(0, planned + 6 * DAY) == planned
        assert schedule.all_between(0, planned + 6 * DAY, 5) == [planned]
        assert schedule.last_between(0, planned + 8 * DAY) is None
        assert schedule.all_between(0, planned + 8 * DAY, 5) == []

    @pytest.mark.parametrize("low", [float("-inf"), 0.0, utc(2026, 5, 5) - 60, utc(2026, 5, 5) - 1])
    def test_the_end_of_a_span_belongs_to_it_and_its_start_does_not(self, low: float) -> None:
        schedule = PredicateSchedule(lambda when: True)
        planned = utc(2026, 5, 5)

        assert schedule.last_between(low, planned) == planned
        assert schedule.last_between(planned, planned + 59) is None
        assert schedule.all_between(planned, planned + 600, 3) == [
            planned + 60,
            planned + 120,
            planned + 180,
        ]

    def test_a_function_sees_the_clock_of_its_zone(self) -> None:
        with process_zone("America/New_York"):
            local = PredicateSchedule(lambda when: when.hour == 2, utc=False)
            named = PredicateSchedule(lambda when: when.hour == 2, tz="Europe/Berlin")

            day = utc(2026, 5, 5), utc(2026, 5, 6)
            assert local.all_between(*day, 1) == [utc(2026, 5, 5, 6)]
            assert named.all_between(*day, 2)[1:] == [utc(2026, 5, 5, 0, 2)]
            # In this zone the hour is skipped on that day.
            assert local.all_between(utc(2026, 3, 8), utc(2026, 3, 9), 5) == []

    def test_what_a_function_raises_reaches_the_caller(self) -> None:
        schedule = PredicateSchedule(lambda when: 1 // 0 > 0)

        with pytest.raises(ZeroDivisionError):
            schedule.last_between(0, 60)


class TestToSchedule:
    def test_each_kind_of_rule_becomes_its_schedule(self) -> None:
        def predicate(when: datetime) -> bool:
            return True

        every_minute = crontab()

        assert to_schedule("@daily") == CronSchedule("@daily")
        assert to_schedule("@daily", tz="Asia/Tokyo") == CronSchedule("@daily", "Asia/Tokyo")
        assert to_schedule("@daily", utc=False) == CronSchedule("@daily", "local")
        assert to_schedule(timedelta(minutes=5)) == IntervalSchedule(timedelta(minutes=5))
        assert to_schedule(0.5) == IntervalSchedule(timedelta(seconds=0.5))
        assert to_schedule(every_minute) == CrontabSchedule(every_minute)
        assert to_schedule(every_minute, utc=False) == CrontabSchedule(every_minute, "local")
        assert to_schedule(predicate, utc=False) == PredicateSchedule(predicate, utc=False)
        assert to_schedule(predicate, tz="Asia/Tokyo") == PredicateSchedule(
            predicate, tz="Asia/Tokyo"
        )

    def test_a_schedule_of_ones_own_stays(self) -> None:
        class EveryFullMoon:
            def next_after(self, instant: float) -> float | None:
                return None

            def last_between(self, low: float, high: float) -> float | None:
                return None

            def all_between(self, low: float, high: float, limit: int) -> list[float]:
                return []

        schedule = EveryFullMoon()

        assert to_schedule(schedule) is schedule
        with pytest.raises(ValueError, match="has a zone of its own"):
            to_schedule(schedule, tz="Asia/Tokyo")

    @pytest.mark.parametrize("rule", [None, True, b"* * * * *", [], object(), CronSchedule])
    def test_anything_else_is_refused(self, rule: Any) -> None:
        with pytest.raises(TypeError, match="A periodic task needs"):
            to_schedule(rule)

    @pytest.mark.parametrize("rule", [float("nan"), float("inf"), 0, -5, 1e-9])
    def test_a_number_of_seconds_must_be_a_length_of_time(self, rule: float) -> None:
        with pytest.raises(ValueError, match="must be"):
            to_schedule(rule)
