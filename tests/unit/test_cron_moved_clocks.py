"""Cron strings and crontabs where the clock of a zone is moved."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from huey.tasks.cron import (
    CronSchedule,
    Schedule,
    to_schedule,
)
from huey.tasks.crontab import crontab
from tests.unit.zones import new_york

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


def shown(instants: list[float], zone: ZoneInfo) -> list[str]:
    return [f"{datetime.fromtimestamp(instant, zone):%d %H:%M:%S %Z}" for instant in instants]


def days_of(schedule: Schedule, year: int, month: int, day: int, *, days: int = 2) -> list[float]:
    begin = datetime(year, month, day, tzinfo=NEW_YORK).timestamp()
    return schedule.all_between(begin - 1, begin + days * DAY, 10_000)


def real_time(zone: ZoneInfo, walls: set[datetime], low: int, high: int) -> set[int]:
    """Look at the clock in every minute."""
    return {
        instant
        for instant in range(low, high, 60)
        if datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0) in walls
    }


def once_per_wall(zone: ZoneInfo, walls: set[datetime], low: int, high: int) -> set[int]:
    """Find for each wall the first minute at which the clock shows it, or more."""
    found = set()
    waiting = sorted(walls, reverse=True)
    for instant in range(low, high, 60):
        shows = datetime.fromtimestamp(instant, zone).replace(tzinfo=None)
        while waiting and waiting[-1] <= shows:
            waiting.pop()
            found.add(instant)
    return found


def walls_of(expression: str, center: datetime) -> set[datetime]:
    """What the clock shows when the expression holds, by cronsim, within some days."""
    start, end = center - timedelta(days=5), center + timedelta(days=5)
    walls: set[datetime] = set()
    for wall in CronSim(expression, start):
        if wall > end:
            return walls
        walls.add(wall)
    raise AssertionError("endless")


def instants_around(center: int) -> st.SearchStrategy[list[float]]:
    """Half seconds, and whole half hours, most of them near the move."""
    near = st.integers(-4 * HOUR, 4 * HOUR).map(lambda halves: center + halves / 2)
    steps = st.integers(-95, 95).map(lambda steps: center + steps * HOUR / 2)
    return st.lists(st.one_of(near, steps, steps.map(lambda step: step - 0.5)), min_size=5)


minute_fields = st.sampled_from(["*", "*/7", "*/30", "0", "30", "5,35", "0-59/20", "45"])
hour_fields = st.sampled_from(["*", "*/2", "*/3", "0", "1", "2", "1,2", "0-3", "2,3,23", "23"])
day_fields = st.sampled_from(["*", "*/2", "1-15", "1", "8"])
weekday_fields = st.sampled_from(["*", "0", "SUN", "1-5", "6,7"])
expressions = st.builds(
    "{} {} {} * {}".format, minute_fields, hour_fields, day_fields, weekday_fields
)


class TestWhereTheClockIsMoved:
    @settings(max_examples=8, deadline=None)
    @given(data=st.data(), expression=expressions)
    @pytest.mark.parametrize(("name", "move"), MOVES)
    def test_the_planned_instants_are_those_found_by_looking_at_the_clock(
        self, name: str, move: datetime, expression: str, data: st.DataObject
    ) -> None:
        zone = ZoneInfo(name)
        schedule = CronSchedule(expression, zone)
        center = int(move.replace(tzinfo=UTC).timestamp())
        low, high = center - 2 * DAY, center + 2 * DAY
        follows_real_time = any(part.startswith("*") for part in expression.split()[:2])
        look = real_time if follows_real_time else once_per_wall
        # What an earlier wall leads to is found too, and does not count.
        expected = sorted(
            instant
            for instant in look(zone, walls_of(expression, move), low - DAY, high + 1)
            if low < instant <= high
        )

        assert schedule.all_between(low, high, 10_000) == expected

        drawn = data.draw(instants_around(center))
        for instant in (center - 1, center - 0.5, center, *drawn):
            later = [planned for planned in expected if planned > instant]
            earlier = [planned for planned in expected if planned <= instant]
            assert not later or schedule.next_after(instant) == later[0]
            assert schedule.last_between(low, instant) == (earlier[-1] if earlier else None)

    @pytest.mark.parametrize("kind", ["cron string", "crontab"])
    def test_a_skipped_time_runs_right_after_the_jump_and_a_repeated_one_once(
        self, kind: str
    ) -> None:
        rule: Any = "30 2 * * *" if kind == "cron string" else crontab(30, 2)
        skipped = to_schedule(rule, tz="America/New_York")
        rule = "30 1 * * *" if kind == "cron string" else crontab(30, 1)
        repeated = to_schedule(rule, tz="America/New_York")

        assert shown(days_of(skipped, 2026, 3, 7, days=3), NEW_YORK) == [
            "07 02:30:00 EST",
            "08 03:00:00 EDT",
            "09 02:30:00 EDT",
        ]
        assert shown(days_of(repeated, 2026, 10, 31, days=3), NEW_YORK) == [
            "31 01:30:00 EDT",
            "01 01:30:00 EDT",
            "02 01:30:00 EST",
        ]

    @pytest.mark.parametrize("rule", ["*/30 * * * *", crontab("*/30")])
    def test_a_wildcard_follows_real_time(self, rule: Any) -> None:
        for start in [(2026, 3, 8), (2026, 11, 1)]:
            planned = days_of(to_schedule(rule, tz=NEW_YORK), *start)

            assert {after - before for before, after in pairwise(planned)} == {1800}

    def test_half_an_hour_of_lord_howe_is_skipped_and_repeated(self) -> None:
        zone = ZoneInfo("Australia/Lord_Howe")
        schedule = CronSchedule("40 1,2 * * *", zone)

        autumn = schedule.all_between(utc(2026, 4, 4, 12), utc(2026, 4, 4, 18), 9)
        spring = CronSchedule("15 2 * * *", zone).all_between(
            utc(2026, 10, 3, 12), utc(2026, 10, 3, 18), 9
        )

        assert shown(autumn, zone) == ["05 01:40:00 +11", "05 02:40:00 +1030"]
        assert shown(spring, zone) == ["04 02:30:00 +11"]

    @pytest.mark.parametrize("minute", range(0, 120, 5))
    def test_no_answer_is_earlier_than_the_start_within_a_repeated_hour(self, minute: int) -> None:
        start = utc(2026, 11, 1, 5) + 60 * minute

        for rule in ("30 1 * * *", "0,30 0-3 * * *", "*/10 * * * *", "0 30 1 * * *"):
            planned = CronSchedule(rule, NEW_YORK).next_after(start)

            assert planned is not None
            assert planned > start

    def test_seconds_do_not_make_a_fixed_time_a_wildcard(self) -> None:
        schedule = CronSchedule("*/20 30 1 * * *", NEW_YORK)

        assert shown(days_of(schedule, 2026, 11, 1, days=1), NEW_YORK) == [
            "01 01:30:00 EDT",
            "01 01:30:20 EDT",
            "01 01:30:40 EDT",
        ]

    def test_the_seam_itself_is_planned_for_what_was_skipped(self) -> None:
        seam = utc(2026, 3, 8, 7)
        schedule = CronSchedule("30 2 * * *", NEW_YORK)

        assert [schedule.next_after(seam - before) for before in (1, 0.5)] == [seam, seam]
        assert schedule.next_after(seam) == utc(2026, 3, 9, 6, 30)

    def test_the_local_zone_of_the_process_is_a_zone_like_any_other(self, new_york: None) -> None:
        for rule in ("30 2 * * *", "*/7 1-3 * * *", "0 * * * *"):
            for start in [(2026, 3, 7), (2026, 10, 31)]:
                local = to_schedule(rule, utc=False)

                assert days_of(local, *start) == days_of(CronSchedule(rule, NEW_YORK), *start)
