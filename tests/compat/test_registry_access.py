"""Public projects reach for the registry and for messages: row 8 of what the outside leans on."""

import json
from typing import Any

from huey.api import Huey, MemoryHuey, crontab
from huey.registry import Message, Registry
from huey.serializer import Serializer
from tests.behaviour.driving import run_next


def add(a: int = 0, b: int = 0) -> int:
    return a + b


class MessagesAsJson(Serializer):
    """As projects write it: messages by `_asdict`, and back by `Message(**fields)`."""

    def _serialize(self, message: Any) -> bytes:
        if isinstance(message, Message):
            return json.dumps({"message": message._asdict()}).encode()
        return json.dumps({"value": message}).encode()

    def _deserialize(self, data: bytes) -> Any:
        found = json.loads(data)
        if "message" in found:
            fields = found["message"]
            fields["args"] = tuple(fields["args"])
            return Message(**fields)
        value = found["value"]
        return tuple(value) if isinstance(value, list) else value


def test_the_registry_is_a_dict_of_classes() -> None:
    huey = MemoryHuey()
    sums = huey.task()(add)
    nightly = huey.periodic_task(crontab(), name="nightly")(add)

    assert isinstance(huey._registry, Registry)
    assert huey._registry._registry == {
        f"{__name__}.add": sums.task_class,
        f"{__name__}.nightly": nightly.task_class,
    }
    assert huey._registry.string_to_task(f"{__name__}.add") is sums.task_class
    assert [type(task) for task in huey._registry.periodic_tasks] == [nightly.task_class]


def test_tasks_can_be_taken_out_and_put_back() -> None:
    huey = MemoryHuey()
    sums = huey.task()(add)

    assert huey._registry.unregister(sums.task_class) is True
    assert huey._registry._registry == {}
    assert huey._registry.register(sums.task_class) is True
    sums(1, 2)
    assert run_next(huey) == 3


def test_a_task_is_found_by_its_text_and_run_by_hand() -> None:
    huey = MemoryHuey()
    huey.task()(add)

    task_class = huey._registry.string_to_task(f"{__name__}.add")
    result = huey.enqueue(task_class((1, 2)))

    assert run_next(huey) == 3
    assert result.get() == 3


def test_a_message_has_the_methods_of_a_named_tuple() -> None:
    message = Message("i", "name", args=(1,), kwargs={})

    fields = message._asdict()

    assert list(fields)[:2] == ["id", "name"]
    assert len(fields) == 15
    assert Message(**fields) == message
    assert message._replace(id="j").id == "j"


def test_a_serializer_of_ones_own_writes_messages_and_values() -> None:
    huey = MemoryHuey(serializer=MessagesAsJson())
    sums = huey.task()(add)
    result = sums(1, b=2)

    assert json.loads(huey.storage.enqueued_items()[0])["message"]["kwargs"] == {"b": 2}
    assert run_next(huey) == 3
    assert json.loads(huey.all_results()[result.id]) == {"value": 3}
    assert result.get() == 3
    result = sums(1)
    result.revoke()
    assert run_next(huey) is None


def test_a_serializer_may_replace_the_outer_methods_instead() -> None:
    class Marked(Serializer):
        def serialize(self, data: Any) -> bytes:
            return b"mark" + super().serialize(data)

        def deserialize(self, data: bytes) -> Any:
            assert data.startswith(b"mark")
            return super().deserialize(data.removeprefix(b"mark"))

    huey: Huey = MemoryHuey(serializer=Marked())
    result = huey.task()(add)(1, 2)

    assert run_next(huey) == 3
    assert result.get() == 3
