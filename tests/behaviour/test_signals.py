"""Signals: which ones, in which order, and to whom."""

import logging
import sys
from typing import Any

import pytest

from huey import signals as S
from huey.api import (
    CancelExecution,
    Huey,
    MemoryHuey,
    RetryTask,
    Task,
    TaskTimeout,
    chord,
    group,
)
from huey.signals import Signal
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import News, gather, make_due, run_all, run_next

NAMES = {
    "SIGNAL_CANCELED": "canceled",
    "SIGNAL_COMPLETE": "complete",
    "SIGNAL_ERROR": "error",
    "SIGNAL_EXECUTING": "executing",
    "SIGNAL_EXPIRED": "expired",
    "SIGNAL_LOCKED": "locked",
    "SIGNAL_RETRYING": "retrying",
    "SIGNAL_REVOKED": "revoked",
    "SIGNAL_SCHEDULED": "scheduled",
    "SIGNAL_INTERRUPTED": "interrupted",
    "SIGNAL_ENQUEUED": "enqueued",
    "SIGNAL_TIMEOUT": "timeout",
    "SIGNAL_RATE_LIMITED": "rate-limited",
}


def work(error: BaseException | None = None) -> str:
    if error is not None:
        raise error
    return "done"


@pytest.mark.parametrize("constant", NAMES)
def test_the_names_are_those_of_huey(constant: str) -> None:
    assert getattr(S, constant) == NAMES[constant]


class TestSequences:
    def test_success(self, huey: Huey, news: News) -> None:
        huey.task()(work)()
        run_next(huey)

        assert news.names == ["enqueued", "executing", "complete"]

    def test_a_time_to_come(self, huey: Huey, news: News) -> None:
        huey.task()(work).schedule(delay=60)
        run_next(huey)
        assert news.take() == ["enqueued", "scheduled"]

        [task] = make_due(huey, 61)
        run_next(huey, task.eta)

        assert news.names == ["enqueued", "executing", "complete"]

    def test_an_error(self, huey: Huey, news: News) -> None:
        error = ValueError("broken")
        huey.task()(work)(error)
        run_next(huey)

        assert news.names == ["enqueued", "executing", "error"]
        [_, _, (_, _, args)] = news.sent
        assert repr(args) == "(ValueError('broken'),)"

    def test_an_error_that_is_tried_again(self, huey: Huey, news: News) -> None:
        huey.task(retries=1)(work)(ValueError("broken"))
        run_next(huey)
        assert news.take() == ["enqueued", "executing", "error", "retrying", "enqueued"]

        run_next(huey)
        assert news.names == ["executing", "error"]

    def test_an_error_that_is_tried_again_later(self, huey: Huey, news: News) -> None:
        huey.task(retries=1, retry_delay=10)(work)(ValueError("broken"))
        run_next(huey)

        assert news.names == ["enqueued", "executing", "error", "retrying", "scheduled"]

    def test_a_revoked_task(self, huey: Huey, news: News) -> None:
        result = huey.task()(work)()
        result.revoke()
        run_next(huey)

        assert news.names == ["enqueued", "revoked"]

    def test_an_expired_task(self, huey: Huey, news: News) -> None:
        huey.task(expires=-10)(work)()
        run_next(huey)

        assert news.names == ["enqueued", "expired"]

    def test_a_locked_task(self, huey: Huey, news: News) -> None:
        huey.task()(huey.lock_task("held")(work))()
        with huey.lock_task("held"):
            run_next(huey)

        assert news.names == ["enqueued", "executing", "locked"]

    def test_a_rate_limited_task(self, huey: Huey, news: News) -> None:
        huey.task()(huey.rate_limit("none", limit=0, per=60)(work))()
        run_next(huey)

        assert news.names == ["enqueued", "executing", "rate-limited", "retrying", "scheduled"]

    def test_a_rate_limited_task_that_gives_up(self, huey: Huey, news: News) -> None:
        huey.task()(huey.rate_limit("none", limit=0, per=60, retry=False)(work))()
        run_next(huey)

        assert news.names == ["enqueued", "executing", "rate-limited"]

    def test_a_timeout(self, huey: Huey, news: News) -> None:
        huey.task()(work)(TaskTimeout("timeout 1s"))
        run_next(huey)

        assert news.names == ["enqueued", "executing", "timeout"]

    def test_a_task_that_asks_for_another_try(self, huey: Huey, news: News) -> None:
        retry = huey.task()(work)
        huey.execute(retry.s(RetryTask()))
        assert news.take() == ["executing", "retrying", "enqueued"]

        huey.execute(retry.s(RetryTask(delay=10)))
        assert news.names == ["executing", "retrying", "scheduled"]

    def test_a_task_that_cancels_itself(self, huey: Huey, news: News) -> None:
        huey.execute(huey.task()(work).s(CancelExecution()))

        assert news.names == ["executing", "canceled"]

    def test_a_chord(self, huey: Huey, news: News) -> None:
        member, gathered = huey.task()(work), huey.task()(gather)
        huey.enqueue(chord([member.s(), member.s()], gathered))
        assert news.take() == ["enqueued", "enqueued"]

        run_next(huey)
        run_next(huey)
        assert news.take() == [*["executing", "complete"] * 2, "enqueued"]
        run_next(huey)
        assert news.names == ["executing", "complete"]

    def test_a_group_and_a_pipeline(self, huey: Huey, news: News) -> None:
        member = huey.task()(work)
        huey.enqueue(group([member.s(), member.s().then(huey.task(name="ending")(str))]))
        assert news.take() == ["enqueued", "enqueued"]

        run_all(huey)
        assert news.names == [*["executing", "complete"] * 2, "enqueued", "executing", "complete"]


class TestReceivers:
    def test_who_names_signals_hears_only_those(self, huey: Huey) -> None:
        heard: list[str] = []
        huey.signal(S.SIGNAL_COMPLETE, S.SIGNAL_REVOKED)(lambda signal, task: heard.append(signal))

        huey.task()(work)()
        run_next(huey)

        assert heard == ["complete"]

    def test_who_asked_for_the_signal_is_told_before_who_asked_for_all(self, huey: Huey) -> None:
        order: list[str] = []
        huey.signal()(lambda signal, task: order.append("all"))
        huey.signal(S.SIGNAL_ENQUEUED)(lambda signal, task: order.append("one"))
        huey.signal(S.SIGNAL_ENQUEUED)(lambda signal, task: order.append("two"))

        huey.task()(work)()

        assert order == ["one", "two", "all"]

    def test_the_decorated_function_stays_what_it_was(self, huey: Huey) -> None:
        def receiver(signal: str, task: Task) -> None: ...

        assert huey.signal(S.SIGNAL_ERROR)(receiver) is receiver

    def test_who_connects_twice_is_told_twice(self, huey: Huey) -> None:
        heard: list[str] = []

        def receiver(signal: str, task: Task) -> None:
            heard.append(signal)

        huey.signal(S.SIGNAL_ENQUEUED)(receiver)
        huey.signal(S.SIGNAL_ENQUEUED)(receiver)
        huey.task()(work)()

        assert heard == ["enqueued"] * 2

    def test_disconnecting_from_one_signal_keeps_the_others(self, huey: Huey) -> None:
        heard: list[str] = []

        @huey.signal(S.SIGNAL_ENQUEUED, S.SIGNAL_COMPLETE)
        def receiver(signal: str, task: Task) -> None:
            heard.append(signal)

        huey.disconnect_signal(receiver, S.SIGNAL_ENQUEUED)
        done = huey.task()(work)
        done()
        run_next(huey)
        assert heard == ["complete"]

        huey.disconnect_signal(receiver)
        done()
        run_next(huey)
        assert heard == ["complete"]

    def test_disconnecting_who_was_never_connected_does_nothing(self, huey: Huey) -> None:
        huey.disconnect_signal(work)
        huey.disconnect_signal(work, S.SIGNAL_ERROR)
        huey.disconnect_signal(work, "never heard of")

        assert huey._signal.receivers["any"] == []

    def test_a_failing_receiver_is_logged_by_name_and_stops_nobody(
        self, huey: Huey, caplog: pytest.LogCaptureFixture
    ) -> None:
        heard: list[str] = []

        @huey.signal(S.SIGNAL_COMPLETE)
        def broken_receiver(signal: str, task: Task) -> None:
            raise ValueError("broken")

        huey.signal(S.SIGNAL_COMPLETE)(lambda signal, task: heard.append("second"))
        result = huey.task()(work)()
        run_next(huey)

        assert heard == ["second"]
        assert result.get() == "done"
        errors = [r for r in caplog.records if r.levelno == logging.ERROR and r.name == "huey"]
        [record] = errors
        assert "broken_receiver" in record.getMessage()
        assert "complete" in record.getMessage()

    def test_an_exception_that_is_no_error_gets_through(self) -> None:
        signals = Signal()

        def stop(signal: str, task: Any) -> None:
            raise KeyboardInterrupt

        signals.connect(stop)

        with pytest.raises(KeyboardInterrupt):
            signals.send("any name will do", None)

    def test_extra_arguments_are_passed_on(self) -> None:
        heard: list[Any] = []
        signals = Signal()
        signals.connect(lambda *args, **kwargs: heard.append((args, kwargs)), "special")

        signals.send("special", "task", 1, two=2)

        assert heard == [(("special", "task", 1), {"two": 2})]

    def test_a_signal_is_named_by_text(self) -> None:
        with pytest.raises(TypeError, match="parentheses"):
            MemoryHuey().signal(work)  # type: ignore[arg-type]  # that is the mistake


class TestWhatReceiversSee:
    def test_the_result_is_there_when_a_task_is_complete(self, huey: Huey) -> None:
        seen: list[Any] = []
        huey.signal(S.SIGNAL_COMPLETE)(
            lambda signal, task: seen.append(huey.result(task.id, preserve=True))
        )

        huey.task()(work)()
        run_next(huey)

        assert seen == ["done"]

    @pytest.mark.parametrize(
        ("error", "signal"),
        [
            (ValueError("x"), "error"),
            (TaskTimeout("x"), "timeout"),
            (CancelExecution("x"), "canceled"),
            (SystemExit(3), "error"),
        ],
    )
    def test_a_failure_is_told_while_it_is_handled(
        self, huey: Huey, error: BaseException, signal: str
    ) -> None:
        handled: list[BaseException | None] = []
        huey.signal(signal)(lambda *args: handled.append(sys.exc_info()[1]))

        huey.execute(huey.task()(work).s(error))

        assert handled == [error]

    def test_what_follows_a_failure_is_not_inside_of_it(self, huey: Huey) -> None:
        handled: list[BaseException | None] = []
        huey.signal("retrying")(lambda *args: handled.append(sys.exc_info()[1]))

        huey.execute(huey.task(retries=1)(work).s(ValueError("x")))

        assert handled == [None]

    def test_a_receiver_may_still_alter_a_task_that_is_enqueued(self, huey: Huey) -> None:
        @huey.signal(S.SIGNAL_ENQUEUED)
        def alter(signal: str, task: Task) -> None:
            task.kwargs["added"] = 1
            task.priority = 5

        @huey.task()
        def look(**kwargs: int) -> dict[str, int]:
            return kwargs

        result = look()
        task = huey.pending()[0]
        run_next(huey)

        assert (task.kwargs, task.priority) == ({"added": 1}, 5)
        assert result.get() == {"added": 1}

    def test_a_receiver_may_enqueue_and_wait_for_nothing(self, huey: Huey) -> None:
        done = huey.task()(work)
        sizes: list[int] = []

        @huey.signal(S.SIGNAL_COMPLETE)
        def more(signal: str, task: Task) -> None:
            if not sizes:
                done()
                sizes.append(len(huey))

        done()
        run_next(huey)

        assert sizes == [1]

    def test_a_write_that_fails_is_told_after_the_announcement(self, make_huey: MakeHuey) -> None:
        huey = make_huey()
        news = News(huey)
        done = huey.task()(work)

        with pytest.raises(TypeError):
            done(sys)  # type: ignore[arg-type]  # a module cannot travel

        assert news.names == ["enqueued", "enqueue_failed"]
        [_, (_, _, (error,))] = news.sent
        assert isinstance(error, TypeError)
        assert len(huey) == 0

    def test_a_batch_that_fails_is_told_task_by_task(self, huey: Huey, news: News) -> None:
        done = huey.task()(work)

        with pytest.raises(TypeError):
            huey.enqueue(group([done.s(), done.s(sys), done.s()]))

        assert news.names == ["enqueued"] * 2 + ["enqueue_failed"] * 2
        assert len(huey) == 0


def test_interrupted_is_sent_for_what_is_still_in_flight(huey: Huey, news: News) -> None:
    tasks = [huey.task()(work).s(), huey.task(name="other")(work).s()]
    huey._tasks_in_flight.update(tasks)

    huey.notify_interrupted_tasks()

    assert news.names == ["interrupted"] * 2
    assert {task.id for _, task, _ in news.sent} == {task.id for task in tasks}
    assert huey._tasks_in_flight == set()
