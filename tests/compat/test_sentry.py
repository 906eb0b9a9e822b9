"""sentry-sdk replaces Huey.enqueue and Huey._execute on the class, and task.execute on tasks.

Its integration runs here as it is: rows 1 to 3 of what the outside leans on.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations import huey as integration
from sentry_sdk.transport import Transport

from huey.api import (
    CancelExecution,
    Huey,
    MemoryHuey,
    PeriodicTask,
    RetryTask,
    Task,
    TaskException,
    TaskLockedException,
    chord,
    crontab,
    group,
)
from tests.behaviour.driving import PATIENCE, gather, run_all, run_next, running


class Mailbox(Transport):
    """Keeps what would be sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.items: list[tuple[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items.extend((str(item.type), item.payload.json) for item in envelope.items)

    def of(self, kind: str) -> list[Any]:
        """What was sent of one kind: event, transaction, check_in."""
        return [payload for found, payload in self.items if found == kind]


@pytest.fixture(scope="module")
def sentry() -> Iterator[Mailbox]:
    """The integration at work; both methods are put back afterwards."""
    mailbox = Mailbox()
    sentry_sdk.init(
        dsn="http://key@localhost/1",
        transport=mailbox,
        integrations=[integration.HueyIntegration(monitor_periodic_tasks=True)],
        default_integrations=False,
        traces_sample_rate=1.0,
    )
    yield mailbox
    sentry_sdk.get_global_scope().set_client(None)
    for name in ("enqueue", "_execute"):
        # They are inherited: what stands on the class itself is the replacement.
        delattr(Huey, name)


@pytest.fixture
def mailbox(sentry: Mailbox) -> Mailbox:
    """What is sent by one test."""
    sentry.items.clear()
    return sentry


@pytest.fixture
def huey(mailbox: Mailbox) -> Huey:
    return MemoryHuey("watched")


def add(a: int, b: int = 0) -> int:
    if a < 0:
        raise ValueError("negative")
    return a + b


def names(transactions: list[Any]) -> list[str]:
    return [transaction["transaction"] for transaction in transactions]


class TestTasks:
    def test_both_methods_were_replaced_on_the_class(self, huey: Huey) -> None:
        assert {"enqueue", "_execute"} <= vars(Huey).keys()

    def test_a_run_is_a_transaction_of_the_callers_trace(
        self, huey: Huey, mailbox: Mailbox
    ) -> None:
        sums = huey.task()(add)
        with sentry_sdk.start_transaction(name="the caller") as caller:
            result = sums(1, b=2)
        run_next(huey)

        assert result.get() == 3
        [first, second] = mailbox.of("transaction")
        assert names([first, second]) == ["the caller", "add"]
        assert [span["op"] for span in first["spans"]] == ["queue.submit.huey"]
        assert second["contexts"]["trace"]["trace_id"] == caller.trace_id
        assert second["contexts"]["trace"]["op"] == "queue.task.huey"
        assert second["contexts"]["trace"]["status"] == "ok"

    def test_the_function_gets_its_own_arguments_only(self, huey: Huey) -> None:
        seen: list[Any] = []

        @huey.task(context=True)
        def look(*args: Any, task: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs, task.kwargs))

        huey.enqueue(look.s(1, word=2))
        assert "sentry_headers" in huey.pending()[0].kwargs
        run_next(huey)

        assert seen == [((1,), {"word": 2}, {"word": 2})]

    def test_an_error_is_an_event(self, huey: Huey, mailbox: Mailbox) -> None:
        result = huey.task()(add)(-1, b=2)
        run_next(huey)

        [event] = mailbox.of("event")
        [error] = event["exception"]["values"]
        assert (error["type"], error["value"]) == ("ValueError", "negative")
        assert error["mechanism"] == {"type": "huey", "handled": False}
        assert event["tags"] == {"huey_task_id": result.id, "huey_task_retry": False}
        assert event["extra"]["huey-job"] == {
            "task": "add",
            "args": "[Filtered]",
            "kwargs": "[Filtered]",
            "retry": 0,
        }
        [transaction] = mailbox.of("transaction")
        assert transaction["contexts"]["trace"]["status"] == "internal_error"
        with pytest.raises(TaskException, match="negative"):
            result.get()

    def test_each_retry_is_an_event_of_its_own(self, huey: Huey, mailbox: Mailbox) -> None:
        huey.task(retries=2)(add)(-1)

        assert run_all(huey) == 3

        events = mailbox.of("event")
        assert [event["extra"]["huey-job"]["retry"] for event in events] == [0, 1, 2]
        assert [event["tags"]["huey_task_retry"] for event in events] == [False, True, True]
        assert len({event["tags"]["huey_task_id"] for event in events}) == 1

    def test_a_retry_in_immediate_mode_too(self, mailbox: Mailbox) -> None:
        MemoryHuey("watched", immediate=True).task(retries=1)(add)(-1)

        assert len(mailbox.of("event")) == len(mailbox.of("transaction")) == 2

    @pytest.mark.parametrize("error", [CancelExecution(), RetryTask(), TaskLockedException()])
    def test_what_steers_a_task_is_no_event(
        self, huey: Huey, mailbox: Mailbox, error: Exception
    ) -> None:
        @huey.task()
        def steer() -> None:
            raise error

        huey.execute(steer.s())

        assert mailbox.of("event") == []
        [transaction] = mailbox.of("transaction")
        assert transaction["contexts"]["trace"]["status"] == "aborted"

    def test_a_consumer_is_watched_too(self, huey: Huey, mailbox: Mailbox) -> None:
        sums = huey.task(retries=1)(add)
        # So that there is no result before the second attempt.
        huey.store_intermediate_errors = False

        with running(huey, workers=2):
            good = [sums(number, 1) for number in range(5)]
            values = [result.get(blocking=True, timeout=PATIENCE) for result in good]
            bad = sums(-1)
            bad.get_raw_result(blocking=True, timeout=PATIENCE)

        assert values == [1, 2, 3, 4, 5]
        assert len(mailbox.of("event")) == 2
        assert names(mailbox.of("transaction")) == ["add"] * 7


class TestWorkflows:
    def test_each_member_of_a_group_and_a_chord_is_enqueued_through_the_class(
        self, huey: Huey, mailbox: Mailbox
    ) -> None:
        sums, gathered = huey.task()(add), huey.task()(gather)

        grouped = huey.enqueue(group([sums.s(1), sums.s(2)]))
        chorded = huey.enqueue(chord([sums.s(3), sums.s(4)], gathered))
        assert all("sentry_headers" in task.kwargs for task in huey.pending())
        assert names(mailbox.of("transaction")) == []
        run_all(huey)

        assert (grouped.get(), chorded.get()) == ([1, 2], [3, 4])
        assert names(mailbox.of("transaction")) == ["add"] * 4 + ["gather"]

    def test_the_enqueueing_of_a_chord_shows_its_members(
        self, huey: Huey, mailbox: Mailbox
    ) -> None:
        sums, gathered = huey.task()(add), huey.task()(gather)

        with sentry_sdk.start_transaction(name="the caller"):
            huey.enqueue(chord([sums.s(3), sums.s(4)], gathered))

        [transaction] = mailbox.of("transaction")
        spans = [span["description"] for span in transaction["spans"]]
        assert spans == ["Huey Chord", "add", "add"]

    def test_pipelines_bulks_and_error_handlers_work(self, huey: Huey, mailbox: Mailbox) -> None:
        sums, handler = huey.task()(add), huey.task(name="handler")(repr)
        results = huey.enqueue(sums.s(1).then(sums, 2).then(sums, -5).then(sums))
        mapped = sums.map([1, 2])
        huey.enqueue(sums.s(-1).error(handler))
        run_all(huey)

        assert [result.get() for result in list(results)[:2]] == [1, 3]
        assert mapped is not None
        assert mapped.get() == [1, 2]
        assert names(mailbox.of("transaction")).count("handler") == 1

    def test_a_unique_task_is_recognised_whatever_headers_it_carries(self, huey: Huey) -> None:
        sums = huey.task(unique=True)(add)

        first, second = sums(1), sums(1)

        assert second.id == first.id
        run_next(huey)
        assert [key for key in huey.all_results() if key.startswith("unique:")] == []


class TestPeriodicTasks:
    def test_a_run_checks_in_with_its_rule(self, huey: Huey, mailbox: Mailbox) -> None:
        @huey.periodic_task(crontab(minute="*/5", hour="8-17"))
        def often() -> None:
            """Run by the clock."""

        [task] = huey.read_periodic(datetime(2030, 1, 1, 12, 5))
        huey.enqueue(task)
        assert huey.pending()[0].kwargs == {}
        run_next(huey)

        started, ended = mailbox.of("check_in")
        assert (started["status"], ended["status"]) == ("in_progress", "ok")
        assert started["monitor_slug"] == "often"
        assert started["monitor_config"] == {
            "schedule": {"type": "crontab", "value": "*/5 8-17 * * *"},
            "timezone": "UTC",
        }

    def test_a_failure_is_told_as_one(self, huey: Huey, mailbox: Mailbox) -> None:
        @huey.periodic_task(crontab())
        def broken() -> None:
            raise ValueError("broken")

        huey.execute(broken.task_class())

        assert [check["status"] for check in mailbox.of("check_in")] == ["in_progress", "error"]
        assert len(mailbox.of("event")) == 1

    @pytest.mark.parametrize(
        ("rule", "shown"),
        [
            (crontab(), "* * * * *"),
            (crontab(minute=0, hour=0), "0 0 * * *"),
            (crontab(minute="0,30", month="1-3", day_of_week="1-5"), "0,30 * * 1-3 1-5"),
            (crontab.hourly(), "0 * * * *"),
            (crontab(day="*/10", minute=1, hour=2), "1 2 */10 * *"),
        ],
    )
    def test_every_crontab_can_be_read(self, huey: Huey, rule: Any, shown: str) -> None:
        task = self.periodic(huey, rule)

        config = integration._get_monitor_config(huey, task)

        assert config is not None
        assert config["schedule"] == {"type": "crontab", "value": shown}

    @pytest.mark.parametrize("rule", [lambda timestamp: True, 60, "*/5 * * * *"])
    def test_other_rules_are_left_alone(self, huey: Huey, rule: Any) -> None:
        assert integration._get_monitor_config(huey, self.periodic(huey, rule)) is None

    @staticmethod
    def periodic(huey: Huey, rule: Any) -> PeriodicTask:
        @huey.periodic_task(rule)
        def task() -> None:
            """Run by the clock."""

        return huey._registry.periodic_tasks[0]

    def test_all_crontabs_are_of_one_code_with_one_free_variable(self) -> None:
        one: Any = crontab()
        other: Any = crontab(minute=3)

        assert one.__code__ is other.__code__
        assert one.__code__.co_freevars == ("cron_settings",)
        [cell] = other.__closure__
        months, days, weekdays, hours, minutes = cell.cell_contents
        assert (months, days) == (list(range(1, 13)), list(range(1, 32)))
        assert (weekdays, hours, minutes) == (list(range(8)), list(range(24)), [3])


class TestWhatItDoesToTasks:
    def test_execute_can_be_replaced_on_one_task(self) -> None:
        huey = MemoryHuey()
        sums = huey.task()(add)
        task: Any = sums.s(1, 2)
        task.execute = lambda: "replaced"

        assert huey.execute(task) == "replaced"
        assert huey.execute(huey.deserialize_task(huey.serialize_task(task))) == 3

    def test_a_replaced_execute_survives_its_own_retry(self) -> None:
        huey = MemoryHuey()
        task: Any = huey.task(retries=1)(add).s(-1)
        task.execute = lambda: (_ for _ in ()).throw(KeyError("replaced"))
        huey.execute(task)

        [again] = huey.pending()
        assert "execute" not in vars(again)

    def test_keywords_may_come_and_go_until_the_call(self) -> None:
        huey = MemoryHuey()

        class Adding(Task):
            def execute(self) -> Any:
                return dict(self.kwargs)

        huey._registry.register(Adding)
        task = Adding()
        task.kwargs["added"] = 1
        huey.enqueue(task)
        queued = huey.dequeue()
        assert queued is not None
        assert queued.kwargs.pop("added") == 1
        queued.kwargs["other"] = 2

        assert huey.execute(queued) == {"other": 2}
