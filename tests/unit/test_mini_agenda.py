"""What MiniHuey plans when, without a clock."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huey.contrib.mini.agenda import Agenda, Call, MinuteRule, to_rule
from huey.contrib.mini.greenlets import objection_to_greenlets
from huey.contrib.mini.threads import MiniFuture
from huey.tasks.cron import CronSchedule, CrontabSchedule, IntervalSchedule
from huey.tasks.crontab import crontab

MINUTE = 60.0
#: Noon of some day, a whole minute.
NOON = datetime(2026, 3, 3, 12).timestamp()


def call(name: str = "f") -> Call:
    return Call(name, print, (), {}, MiniFuture[Any]())


def names(calls: list[Call]) -> list[str]:
    return [found.name for found in calls]


def agenda_with(rule: Any, now: float = NOON) -> Agenda:
    agenda = Agenda(now)
    agenda.add_periodic(to_rule(rule), "tick", print, now)
    return agenda


class TestCalls:
    @given(st.lists(st.floats(0, 100), max_size=30), st.floats(0, 100))
    def test_no_call_is_given_out_early_and_none_is_kept_back(
        self, dues: list[float], now: float
    ) -> None:
        agenda = Agenda(0)
        for number, due in enumerate(dues):
            agenda.add_call(due, call(str(number)))

        given_out = names(agenda.due_calls(now))

        expected = sorted((due, number) for number, due in enumerate(dues) if due <= now)
        assert given_out == [str(number) for _, number in expected]

    def test_calls_of_one_instant_keep_their_order(self) -> None:
        agenda = Agenda(0)
        for name in "abc":
            agenda.add_call(5, call(name))

        assert names(agenda.due_calls(5)) == ["a", "b", "c"]

    def test_only_a_call_that_is_now_the_first_needs_the_scheduler_to_be_rung(self) -> None:
        agenda = Agenda(0)

        assert [agenda.add_call(due, call()) for due in (5, 7, 3)] == [True, False, True]

    def test_the_pause_ends_with_the_first_call_or_tick(self) -> None:
        agenda = agenda_with("*/5 * * * *")
        assert agenda.pause(NOON + 1) == 299

        agenda.add_call(NOON + 3, call())

        assert agenda.pause(NOON + 1) == 2
        assert agenda.pause(NOON + 4) == 0


class TestTicks:
    @pytest.mark.parametrize(
        ("rule", "kind"),
        [
            (crontab(minute="*/5"), CrontabSchedule),
            ("*/5 * * * *", CronSchedule),
            ("* * * * * *", CronSchedule),
            (timedelta(minutes=5), IntervalSchedule),
            (10, IntervalSchedule),
            (lambda now: True, MinuteRule),
            (IntervalSchedule(timedelta(seconds=5)), IntervalSchedule),
        ],
    )
    def test_a_rule_has_every_form_that_huey_knows(self, rule: Any, kind: type) -> None:
        assert isinstance(to_rule(rule), kind)

    def test_what_is_no_rule_is_refused(self) -> None:
        with pytest.raises(TypeError, match="needs crontab"):
            to_rule(object())

    @pytest.mark.parametrize(
        "rule", [crontab(), "* * * * *", timedelta(minutes=1), lambda now: True]
    )
    def test_the_first_tick_is_at_the_next_change_of_the_minute(self, rule: Any) -> None:
        agenda = agenda_with(rule, NOON + 10)
        agenda.begin(NOON + 20)

        assert not agenda.due_ticks(NOON + 59.9)
        assert len(agenda.due_ticks(NOON + MINUTE)) == 1
        assert not agenda.due_ticks(NOON + MINUTE + 1)

    @pytest.mark.parametrize("rule", [crontab(), lambda now: True])
    def test_a_tick_of_the_minute_in_which_the_scheduler_starts_is_not_missed(
        self, rule: Any
    ) -> None:
        agenda = agenda_with(rule, NOON - 30)

        agenda.begin(NOON + 5)

        assert len(agenda.due_ticks(NOON + 6)) == 1

    def test_ticks_from_before_the_start_are_over(self) -> None:
        agenda = agenda_with(crontab(minute="0"), NOON - 30)

        agenda.begin(NOON + MINUTE)

        assert not agenda.due_ticks(NOON + MINUTE + 1)

    def test_ticks_that_pass_while_the_process_is_busy_are_made_up_for_once(self) -> None:
        agenda = agenda_with(10)

        assert len(agenda.due_ticks(NOON + 45)) == 1
        assert not agenda.due_ticks(NOON + 46)

    def test_a_function_is_asked_once_a_minute_with_the_local_time(self) -> None:
        asked: list[datetime] = []
        agenda = agenda_with(asked.append)

        for second in range(150):
            agenda.due_ticks(NOON + second + 0.25)

        assert asked == [
            datetime.fromtimestamp(NOON + 60.25),
            datetime.fromtimestamp(NOON + 120.25),
        ]

    def test_a_rule_that_fails_stops_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        agenda = agenda_with(lambda now: 1 / 0)
        agenda.add_periodic(to_rule(crontab()), "healthy", print, NOON)

        due = agenda.due_ticks(NOON + MINUTE)

        assert [entry.name for entry in due] == ["healthy"]
        assert "ZeroDivisionError" in caplog.text
        assert "periodic task tick" in caplog.text

    def test_a_clock_that_is_put_back_plans_ticks_anew(self) -> None:
        agenda = agenda_with(crontab())

        assert not agenda.due_ticks(NOON - 3600)

        assert len(agenda.due_ticks(NOON - 3600 + MINUTE)) == 1

    def test_a_clock_that_is_corrected_by_a_moment_repeats_no_tick(self) -> None:
        agenda = agenda_with(crontab())
        agenda.due_ticks(NOON + MINUTE + 0.1)

        agenda.due_ticks(NOON + MINUTE - 0.5)

        assert not agenda.due_ticks(NOON + MINUTE + 0.2)

    @given(st.lists(st.floats(0.01, 90), min_size=1, max_size=40))
    def test_looking_more_or_less_often_never_runs_a_tick_twice(self, steps: list[float]) -> None:
        agenda = agenda_with(30)
        now, runs = NOON, 0

        for step in steps:
            now += step
            runs += len(agenda.due_ticks(now))

        assert runs <= (now - NOON) // 30


class TestObjection:
    def test_greenlets_are_fine_on_an_ordinary_python_without_a_loop(self) -> None:
        assert objection_to_greenlets(free_threaded=False, loop_is_running=False) is None

    def test_a_python_without_the_lock_has_no_gevent(self) -> None:
        objection = objection_to_greenlets(free_threaded=True, loop_is_running=False)

        assert "interpreter lock" in str(objection)

    def test_a_running_loop_would_be_blocked(self) -> None:
        objection = objection_to_greenlets(free_threaded=False, loop_is_running=True)

        assert "event loop is running" in str(objection)
