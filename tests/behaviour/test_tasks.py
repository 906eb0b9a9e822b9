"""One call: its attributes, its text, what makes two tasks equal, how it travels."""

import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from huey.api import ChordConfig, Huey, MemoryHuey, Message, PeriodicTask, Task, crontab
from huey.serializer import SignedSerializer
from tests.behaviour.conftest import MakeHuey
from tests.behaviour.driving import dequeued


class Pair(NamedTuple):
    left: int
    right: int


def add(a: int, b: int = 0, **more: int) -> int:
    return a + b + sum(more.values())


@pytest.fixture
def sums(huey: Huey) -> Any:
    return huey.task()(add)


def test_the_order_of_the_arguments_is_that_of_huey() -> None:
    eta, expires = datetime(2030, 1, 1), datetime(2031, 1, 1)
    after, error, chord = Task(), Task(), ChordConfig("c", 1, 0, None)

    task = Task((1,), {"b": 2}, "i", eta, 3, 4, 5, 6, after, error, expires, 7, chord, 8)

    assert (task.args, task.kwargs, task.id, task.eta) == ((1,), {"b": 2}, "i", eta)
    assert (task.retries, task.retry_delay, task.priority, task.expires) == (3, 4, 5, 6)
    assert task.on_complete is after
    assert task.on_error is error
    assert (task.expires_resolved, task.timeout, task.chord_config) == (expires, 7, chord)
    assert task.retry_backoff == 8


def test_a_bare_task_has_the_defaults_of_its_class() -> None:
    task = Task()

    assert (task.args, task.kwargs, task.data) == ((), {}, ((), {}))
    assert (task.retries, task.retry_delay, task.retry_backoff) == (0, 0, 0)
    assert (task.priority, task.expires, task.timeout) == (None, None, None)
    assert (task.eta, task.expires_resolved, task.chord_config, task._deadline) == (None,) * 4
    assert (task.on_complete, task.on_error) == (None, None)
    assert task.name == "Task"
    assert not hasattr(task, "context")


def test_an_id_is_the_text_of_a_random_uuid() -> None:
    first, second = Task(), Task()

    assert uuid.UUID(first.id).version == 4
    assert str(uuid.UUID(first.id)) == first.id != second.id
    assert first.revoke_id == f"r:{first.id}"


def test_a_subclass_may_make_ids_its_own_way() -> None:
    class Numbered(Task):
        def create_id(self) -> str:
            return "mine"

    assert (Numbered().id, Numbered(id="given").id) == ("mine", "given")


def test_zero_overrides_the_default_of_the_class() -> None:
    class Eager(Task):
        default_retries = 3
        default_retry_delay = 3
        default_priority = 3
        default_expires = 3
        default_timeout = 3
        default_retry_backoff = 3

    task = Eager(retries=0, retry_delay=0, priority=0, expires=0, timeout=0, retry_backoff=0)

    assert (task.retries, task.retry_delay, task.priority, task.expires) == (0, 0, 0, 0)
    assert (task.timeout, task.retry_backoff) == (0, 0)


def test_arguments_are_taken_as_they_are() -> None:
    args, kwargs = [1, 2], {"a": 1}

    task = Task(args, kwargs)

    assert task.args is args
    assert task.kwargs is kwargs


def test_a_bare_task_has_nothing_to_execute() -> None:
    with pytest.raises(NotImplementedError):
        Task().execute()


def test_a_task_takes_new_attributes(sums: Any) -> None:
    task = sums.s(1, 2)
    task.marked = True

    assert task.marked is True


class TestEquality:
    def test_it_takes_the_same_id_time_and_class(self, huey: Huey) -> None:
        first, other = huey.task()(add), huey.task(name="other")(add)
        eta = datetime(2030, 1, 1)
        task = first.task_class(id="a", eta=eta)

        assert task == first.task_class(id="a", eta=eta)
        assert task != first.task_class(id="b", eta=eta)
        assert task != first.task_class(id="a")
        assert task != other.task_class(id="a", eta=eta)
        assert task != "a"

    def test_equal_tasks_hash_alike(self) -> None:
        assert hash(Task(id="a")) == hash(Task(id="a")) == hash("a")


class TestText:
    def test_it_names_module_class_and_id(self, sums: Any) -> None:
        task = sums.s(1, id="the-id")

        assert repr(task) == str(task) == f"{__name__}.add: the-id"

    def test_it_tells_what_is_special(self, sums: Any) -> None:
        eta = datetime(2030, 1, 2, 3, 4, 5)
        task = sums.task_class(
            id="a", eta=eta, retries=2, priority=3, expires=60, timeout=9, expires_resolved=eta
        )
        task.then(sums.s(id="b")).error(sums.s(id="c"))
        task.chord_config = ChordConfig("cid", 2, 0, None)

        name = f"{__name__}.add"
        assert repr(task) == (
            f"{name}: a @{eta} exp=60 ({eta}) p=3 2 retries timeout=9 "
            f"-> {name}: b, on error {name}: c, chord cid"
        )

    def test_an_expiry_that_is_an_instant_is_told_once(self, sums: Any) -> None:
        eta = datetime(2030, 1, 2)

        task = sums.task_class(id="a", expires=eta, expires_resolved=eta)

        assert repr(task) == f"{__name__}.add: a exp={eta}"


class TestExtending:
    @pytest.mark.parametrize(
        ("data", "args", "kwargs"),
        [
            (None, (1,), {"b": 2}),
            ((), (1,), {"b": 2}),
            ((2, 3), (1, 2, 3), {"b": 2}),
            (Pair(2, 3), (1, 2, 3), {"b": 2}),
            ({"b": 9, "c": 3}, (1,), {"b": 2, "c": 3}),
            ([2, 3], (1, [2, 3]), {"b": 2}),
            (0, (1, 0), {"b": 2}),
            (False, (1, False), {"b": 2}),
        ],
    )
    def test_what_a_value_becomes(
        self, data: object, args: tuple[object, ...], kwargs: dict[str, int]
    ) -> None:
        task = Task((1,), {"b": 2})

        task.extend_data(data)

        assert (task.args, task.kwargs) == (args, kwargs)


class TestSignatures:
    def test_the_options_of_a_call_are_no_arguments(self, sums: Any) -> None:
        options = {"id": "i", "retries": 3, "retry_delay": 4, "retry_backoff": 2, "priority": 5}

        task = sums.s(1, b=2, **options, expires=60, timeout=9)

        assert (task.args, task.kwargs) == ((1,), {"b": 2})
        assert {name: getattr(task, name) for name in options} == options
        assert (task.expires, task.timeout, task.eta) == (60, 9, None)

    def test_a_delay_becomes_an_eta(self, sums: Any) -> None:
        by_number, by_delta = sums.s(1, delay=60), sums.s(1, delay=timedelta(minutes=1))

        assert abs(by_number.eta - by_delta.eta) < timedelta(seconds=30)
        assert sums.s(1, delay=0).eta is not None

    def test_eta_and_delay_exclude_each_other(self, huey: Huey, sums: Any) -> None:
        with pytest.raises(ValueError, match="delay"):
            sums(1, eta=datetime(2030, 1, 1), delay=3)
        with pytest.raises(ValueError, match="delay"):
            sums.options(eta=datetime(2030, 1, 1), delay=3)(1)
        with pytest.raises(ValueError, match="delay"):
            sums.schedule((1,), eta=datetime(2030, 1, 1), delay=3)
        assert len(huey) == 0

    @pytest.mark.parametrize(
        "option",
        [
            {"id": uuid.uuid4()},
            {"retries": "3"},
            {"retries": -1},
            {"retry_delay": timedelta(1)},
            {"priority": "high"},
            {"timeout": "1s"},
            {"expires": "now"},
            {"eta": "now"},
            {"delay": "soon"},
        ],
    )
    def test_an_option_that_cannot_be_meant_is_refused(
        self, huey: Huey, sums: Any, option: dict[str, Any]
    ) -> None:
        with pytest.raises((TypeError, ValueError), match=next(iter(option))):
            sums(1, **option)
        with pytest.raises((TypeError, ValueError), match=next(iter(option))):
            sums.schedule((1,), **{"delay": 1, **option})
        assert len(huey) == 0

    def test_options_are_set_before_the_arguments(self, sums: Any, huey: Huey) -> None:
        sums.options(priority=3, id="i")(1, b=2)

        task = dequeued(huey)
        assert (task.args, task.kwargs, task.priority, task.id) == ((1,), {"b": 2}, 3, "i")

    def test_an_unknown_option_is_refused(self, sums: Any) -> None:
        with pytest.raises(TypeError, match="colour"):
            sums.options(colour="red")

    def test_a_signature_runs_here_with_execute(self, sums: Any) -> None:
        assert sums.s(1, b=2, c=3).execute() == 6


class TestTravelling:
    @pytest.mark.parametrize("signed", [False, True])
    def test_a_task_arrives_as_it_was_sent(self, make_huey: MakeHuey, signed: bool) -> None:
        huey = make_huey(serializer=SignedSerializer("secret") if signed else None)
        sums = huey.task()(add)
        eta = datetime(2030, 1, 2, 3, 4, 5, 678901)
        task = sums.task_class((1,), {"b": 2}, eta=eta, retries=2, priority=3, timeout=4)
        task.then(sums, 5).error(sums, 6)

        arrived = huey.deserialize_task(huey.serialize_task(task))

        assert arrived == task
        assert type(arrived) is sums.task_class
        assert (arrived.data, arrived.retries, arrived.timeout) == (((1,), {"b": 2}), 2, 4)
        assert arrived.on_complete == task.on_complete
        assert arrived.on_error == task.on_error

    def test_a_periodic_task_arrives_too(self, huey: Huey) -> None:
        nightly = huey.periodic_task(crontab(hour=1))(_nothing)
        task = nightly.s()

        arrived = huey.deserialize_task(huey.serialize_task(task))

        assert arrived == task
        assert isinstance(arrived, PeriodicTask)

    def test_a_message_that_leaves_options_open_gets_those_of_the_consumer(self) -> None:
        huey = MemoryHuey()
        huey.task(retries=3, retry_delay=4, priority=5, timeout=6, expires=7)(add)

        task = huey._registry.create_task(Message(id="i", name=f"{__name__}.add", args=(1,)))

        assert (task.retries, task.retry_delay, task.priority) == (3, 4, 5)
        assert (task.timeout, task.expires, task.retry_backoff) == (6, 7, 0)

    def test_a_message_never_has_more_than_fifteen_fields(self) -> None:
        assert Message._fields == (
            "id",
            "name",
            "eta",
            "retries",
            "retry_delay",
            "priority",
            "args",
            "kwargs",
            "on_complete",
            "on_error",
            "expires",
            "expires_resolved",
            "timeout",
            "chord_config",
            "retry_backoff",
        )

    def test_only_the_task_itself_is_left_out_of_its_keywords(self, huey: Huey) -> None:
        sums = huey.task()(add)
        task = sums.s(1)
        task.kwargs["task"] = task
        other = sums.s(1)
        other.kwargs["task"] = "a value"

        assert huey._registry.create_message(task).kwargs == {}
        assert huey._registry.create_message(other).kwargs == {"task": "a value"}
        assert task.kwargs["task"] is task


def _nothing() -> None:
    """A task that does nothing."""
