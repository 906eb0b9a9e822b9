"""crontab() reads its fields, and decides about a minute, like the one it replaces."""

import inspect
import json
import types
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huey.tasks.crontab import crontab

RECORDED = Path(__file__).parents[1] / "compat" / "data" / "crontab.json"
CASES = json.loads(RECORDED.read_text(encoding="utf-8"))["cases"]
ORDER = ["month", "day", "day_of_week", "hour", "minute"]
#: Minutes of four years, a leap year among them.
minutes = st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31))


def cron_settings(predicate: Callable[[datetime], bool]) -> list[list[int]]:
    assert isinstance(predicate, types.FunctionType)
    (settings,) = inspect.getclosurevars(predicate).nonlocals.values()
    return settings  # type: ignore[no-any-return]


def outcome(rule: dict[str, Any]) -> dict[str, list[int]] | None:
    try:
        predicate = crontab(**rule)
    except ValueError:
        return None
    lists = dict(zip(ORDER, cron_settings(predicate), strict=True))
    return {name: lists[name] for name in ORDER if name in rule or rule == {}}


class TestRecordedRules:
    def test_there_are_hundreds_accepted_and_refused(self) -> None:
        refused = sum(case["settings"] is None for case in CASES)

        assert refused > 300
        assert len(CASES) - refused > 300

    def test_each_is_refused_or_gives_the_recorded_lists(self) -> None:
        different = [
            (case["rule"], found, case["settings"])
            for case in CASES
            if (found := outcome(case["rule"])) != case["settings"]
        ]

        assert different == []


class TestFields:
    @pytest.mark.parametrize("field", [None, 5.0, b"5", [5], (5, 10)])
    def test_a_field_is_a_number_or_text(self, field: Any) -> None:
        with pytest.raises(TypeError, match=r"crontab\(hour=\.\.\.\) must be an int or a str"):
            crontab(hour=field)

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            ({"hour": 24}, "values go from 0 to 23"),
            ({"day": "0-5"}, "values go from 1 to 31"),
            ({"minute": "*/0"}, "a step must be at least 1"),
            ({"day_of_week": "*/2"}, "steps need a range here"),
            ({"month": "jan"}, "matches no values"),
            ({"month": "1,jan", "strict": True}, "'jan' is not a valid input"),
        ],
    )
    def test_a_refusal_says_what_was_expected(self, rule: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            crontab(**rule)

    def test_the_month_is_looked_at_first_and_the_minute_last(self) -> None:
        with pytest.raises(ValueError, match="month"):
            crontab(minute="x", hour="x", day="x", month="x", day_of_week="x")
        with pytest.raises(ValueError, match="hour"):
            crontab(minute="x", hour="x")

    def test_fields_can_be_given_by_position(self) -> None:
        assert cron_settings(crontab(1, 2, 3, 4, 5)) == [[4], [3], [5], [2], [1]]


class TestPredicate:
    @given(when=minutes)
    def test_it_holds_when_all_five_fields_match(self, when: datetime) -> None:
        rule = crontab("*/7", "6-20", "1-20", "2-11/3", "1-4")

        expected = (
            when.minute % 7 == 0
            and 6 <= when.hour <= 20
            and when.day <= 20
            and when.month in (2, 5, 8, 11)
            and when.weekday() < 4
        )
        assert rule(when) is expected

    @given(when=minutes)
    def test_seconds_do_not_matter(self, when: datetime) -> None:
        rule = crontab(minute="*/2")

        assert rule(when) == rule(when.replace(second=0, microsecond=0))

    def test_day_and_weekday_must_both_match(self) -> None:
        friday_13th = crontab(day=13, day_of_week=5)

        assert friday_13th(datetime(2026, 11, 13))
        assert not friday_13th(datetime(2026, 11, 20))
        assert not friday_13th(datetime(2026, 12, 13))

    @pytest.mark.parametrize("sunday", [0, 7, "0", "7", "7-0"])
    def test_sunday_is_0_and_7(self, sunday: int | str) -> None:
        monday = datetime(2026, 11, 23)

        week = [crontab(day_of_week=sunday)(monday + timedelta(days=day)) for day in range(7)]

        assert week == [False] * 6 + [True]


class TestShapeThatMonitoringToolsReadFrom:
    def test_all_share_one_code_object_with_one_free_variable(self) -> None:
        one, other = crontab(), crontab("*/5", strict=True)

        assert isinstance(one, types.FunctionType)
        assert isinstance(other, types.FunctionType)
        assert one.__code__ is other.__code__
        assert one.__code__.co_freevars == ("cron_settings",)
        assert isinstance(crontab, types.FunctionType)

    def test_it_holds_five_sorted_lists_in_the_order_month_to_minute(self) -> None:
        settings = cron_settings(crontab("50,1", "3,2", "9,8", "12,11", "6,7,1"))

        assert settings == [[11, 12], [8, 9], [0, 1, 6], [2, 3], [1, 50]]
        assert all(type(values) is list for values in settings)

    def test_every_weekday_is_written_as_0_to_7(self) -> None:
        assert cron_settings(crontab())[2] == list(range(8))


class TestShortcuts:
    def test_they_are_partials_that_accept_overrides(self) -> None:
        assert isinstance(crontab.hourly, partial)
        assert isinstance(crontab.daily, partial)
        assert cron_settings(crontab.hourly())[4] == [0]
        assert cron_settings(crontab.daily(hour=3))[3:] == [[3], [0]]
        assert cron_settings(crontab.daily())[3:] == [[0], [0]]
