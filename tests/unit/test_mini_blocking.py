"""MiniHuey and ThreadMiniHuey: what both promise, on real greenlets and real threads."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import gevent.event
import pytest

from huey.contrib.mini import MiniHuey, ThreadMiniHuey
from huey.exceptions import ConfigurationError, ResultTimeout
from huey.tasks.crontab import crontab

#: Seconds after which a test has failed; none waits as long.
PATIENCE = 30


#: To a type checker the fixture is one of the two: they have the same interface.
Mini = ThreadMiniHuey


@dataclass
class Environment:
    """How greenlets and threads differ for a test."""

    make: Callable[..., Any]
    event: Callable[[], Any]
    timeout: type[BaseException]
    aside: Callable[[Callable[[], Any]], Any]


def in_thread(function: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


GREENLETS = Environment(MiniHuey, gevent.event.Event, gevent.Timeout, gevent.spawn)
THREADS = Environment(ThreadMiniHuey, threading.Event, ResultTimeout, in_thread)


@pytest.fixture(params=[GREENLETS, THREADS], ids=["greenlets", "threads"])
def env(request: pytest.FixtureRequest) -> Environment:
    found: Environment = request.param
    return found


@pytest.fixture
def mini(env: Environment) -> Iterator[Mini]:
    # A long interval: what starts in time does so because the scheduler knows when it is due.
    mini: Mini = env.make(interval=3600)
    yield mini
    if mini._is_running():
        mini.stop(timeout=PATIENCE)


class TestCalling:
    def test_a_call_runs_although_the_scheduler_was_not_started(self, mini: Mini) -> None:
        @mini.task()
        def add(a: int, b: int = 2) -> int:
            return a + b

        result = add(1)

        assert result.get(timeout=PATIENCE) == 3
        assert result() == 3
        assert add(1, b=4).get(timeout=PATIENCE) == 5

    def test_a_task_keeps_the_face_of_its_function(self, mini: Mini) -> None:
        def fetch(url: str) -> str:
            """Fetch a page."""
            return url

        task = mini.task()(fetch)

        assert (task.__name__, task.__doc__, task.__wrapped__) == ("fetch", "Fetch a page.", fetch)

    def test_the_caller_goes_on_while_the_task_runs(self, mini: Mini, env: Environment) -> None:
        release = env.event()

        @mini.task()
        def wait() -> str:
            release.wait(PATIENCE)
            return "done"

        result = wait()
        assert not result.ready()

        release.set()
        assert result.get(timeout=PATIENCE) == "done"
        assert result.ready()
        assert result.successful()

    def test_get_raises_what_the_task_raised_and_the_log_has_the_traceback(
        self, mini: Mini, caplog: pytest.LogCaptureFixture
    ) -> None:
        @mini.task()
        def fail() -> None:
            raise ZeroDivisionError("on purpose")

        result = fail()

        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="on purpose"):
                result.get(timeout=PATIENCE)
        (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert record.name == "huey.mini"
        assert record.getMessage() == "task fail failed"
        assert "in fail" in caplog.text

    def test_a_task_that_exits_fails_and_nothing_else_happens(self, mini: Mini) -> None:
        @mini.task()
        def leave() -> None:
            raise SystemExit(3)

        with pytest.raises(SystemExit):
            leave().get(timeout=PATIENCE)

    def test_get_gives_up_with_its_timeout(self, mini: Mini, env: Environment) -> None:
        release = env.event()
        result = mini.task()(lambda: release.wait(PATIENCE))()

        with pytest.raises(env.timeout):
            result.get(timeout=0.01)
        with pytest.raises(env.timeout):
            result.get(block=False)
        release.set()

    def test_no_more_tasks_run_at_once_than_the_pool_has_places(self, env: Environment) -> None:
        mini: Mini = env.make(pool_size=2)
        both, lock = env.event(), threading.Lock()
        running: set[object] = set()
        most = [0]

        @mini.task()
        def meet() -> None:
            me = object()
            with lock:
                running.add(me)
                most[0] = max(most[0], len(running))
            if len(running) == 2:
                both.set()
            assert both.wait(PATIENCE)
            running.discard(me)

        results = [meet() for _ in range(6)]

        for result in results:
            result.get(timeout=PATIENCE)
        assert most == [2]

    def test_a_call_waits_for_a_place(self, env: Environment) -> None:
        mini: Mini = env.make(pool_size=1)
        release, called = env.event(), env.event()
        order: list[str] = []

        @mini.task()
        def note(what: str) -> None:
            release.wait(PATIENCE)
            order.append(what)

        def call_second() -> None:
            called.set()
            result = note("second")
            order.append("the call returned")
            result.get(timeout=PATIENCE)

        first = note("first")
        caller = env.aside(call_second)
        called.wait(PATIENCE)
        release.set()
        caller.join()

        assert first.ready()
        assert order.index("first") < order.index("the call returned")


class TestScheduling:
    def test_a_scheduled_task_starts_when_it_is_due_and_not_before(self, mini: Mini) -> None:
        mini.start()
        began = time.time()

        result = mini.task()(time.time).schedule(delay=0.05)

        assert result.get(timeout=PATIENCE) >= began + 0.05

    def test_one_that_is_due_earlier_overtakes(self, mini: Mini) -> None:
        order: list[str] = []
        note = mini.task()(order.append)
        mini.start()

        late = note.schedule(("late",), delay=0.2)
        note.schedule(("early",), delay=0.05)

        late.get(timeout=PATIENCE)
        assert order == ["early", "late"]

    @pytest.mark.parametrize(
        "when",
        [
            {"delay": 0},
            {"delay": timedelta(milliseconds=5)},
            {"eta": datetime(2020, 1, 1)},
            {"eta": datetime(2020, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_the_time_has_many_forms(self, mini: Mini, when: dict[str, Any]) -> None:
        mini.start()

        result = mini.task()(lambda a, b: (a, b)).schedule((1,), {"b": 2}, **when)

        assert result.get(timeout=PATIENCE) == (1, 2)

    @pytest.mark.parametrize("when", [{}, {"delay": 1, "eta": datetime(2020, 1, 1)}])
    def test_exactly_one_time_is_needed(self, mini: Mini, when: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="exactly one"):
            mini.task()(print).schedule(("x",), **when)
        assert mini._scheduled_tasks == []

    def test_what_is_scheduled_waits_for_the_start(self, mini: Mini) -> None:
        result = mini.task()(lambda: "ran").schedule(delay=0)
        assert len(mini._scheduled_tasks) == 1

        mini.start()

        assert result.get(timeout=PATIENCE) == "ran"
        assert mini._scheduled_tasks == []


class TestPeriodic:
    @pytest.mark.parametrize("decorator", ["task", "periodic_task"])
    def test_a_periodic_task_runs_by_the_clock_and_stays_a_function(
        self, mini: Mini, env: Environment, decorator: str
    ) -> None:
        ran = env.event()

        def tick() -> str:
            ran.set()
            return "called here"

        assert getattr(mini, decorator)(timedelta(milliseconds=10))(tick) is tick
        mini.start()

        assert ran.wait(PATIENCE)

    def test_a_crontab_is_looked_at_when_the_minute_has_changed(
        self, mini: Mini, env: Environment
    ) -> None:
        ran = env.event()
        mini.task(crontab())(ran.set)
        mini._last_check -= timedelta(minutes=1)

        mini.start()

        assert ran.wait(PATIENCE)

    def test_a_rule_that_fails_does_not_stop_the_scheduler(self, mini: Mini) -> None:
        mini.task(lambda now: 1 / 0)(print)
        mini._last_check -= timedelta(minutes=1)

        mini.start()

        result = mini.task()(lambda: "alive").schedule(delay=0.01)
        assert result.get(timeout=PATIENCE) == "alive"

    def test_a_periodic_task_that_fails_runs_again(self, mini: Mini, env: Environment) -> None:
        runs, twice = [0], env.event()

        @mini.task(timedelta(milliseconds=10))
        def fail() -> None:
            runs[0] += 1
            if runs[0] == 2:
                twice.set()
            raise ZeroDivisionError

        mini.start()

        assert twice.wait(PATIENCE)


class TestStartAndStop:
    def test_it_starts_again_after_a_stop(self, mini: Mini) -> None:
        ping = mini.task()(lambda: "pong")
        mini.start()
        mini.stop()
        waiting = ping.schedule(delay=0)

        mini.start()

        assert waiting.get(timeout=PATIENCE) == "pong"

    def test_starting_twice_is_an_error(self, mini: Mini) -> None:
        mini.start()

        with pytest.raises(Exception, match="already running"):
            mini.start()

    def test_stopping_what_does_not_run_is_an_error(self, mini: Mini) -> None:
        with pytest.raises(Exception, match="not appear to have started"):
            mini.stop()

    def test_stop_waits_for_running_tasks_if_told(self, mini: Mini, env: Environment) -> None:
        release = env.event()
        mini.start()
        result = mini.task()(lambda: release.wait(PATIENCE))()
        assert mini.stop(timeout=0.01) is False

        mini.start()
        release.set()

        assert mini.stop(wait=True) is True
        assert result.ready()

    def test_stop_does_not_wait_for_running_tasks_by_itself(
        self, mini: Mini, env: Environment
    ) -> None:
        release = env.event()
        mini.start()
        result = mini.task()(lambda: release.wait(PATIENCE))()

        mini.stop()

        assert not result.ready()
        release.set()

    @pytest.mark.parametrize("settings", [{"interval": 0}, {"pool_size": 0}, {"pool_size": -1}])
    def test_a_setting_without_meaning_is_refused(
        self, env: Environment, settings: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigurationError, match="above 0"):
            env.make(**settings)
