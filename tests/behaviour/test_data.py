"""Small data of the application beside the results of tasks."""

from typing import Any

import pytest

from huey.api import EmptyData, Huey


@pytest.mark.parametrize("value", [None, 0, {1, 2}, (1, "a"), {"a": [1]}, b"\x00", "é"])
def test_a_value_comes_back_as_it_was_and_once(huey: Huey, value: Any) -> None:
    huey.put("key", value)

    assert huey.get("key", peek=True) == value
    assert huey.get("key") == value
    assert huey.get_raw("key") is EmptyData


def test_what_is_not_there_is_none(huey: Huey) -> None:
    assert huey.get("key") is None
    assert huey.get("key", peek=True) is None
    assert huey.get_raw("key") is huey.get_raw("key", peek=True) is EmptyData


def test_raw_values_are_the_stored_bytes(huey: Huey) -> None:
    huey.put("key", [1])

    assert huey.get_raw("key", peek=True) == huey.serializer.serialize([1])
    assert huey.get_raw("key") == huey.serializer.serialize([1])
    assert huey.get("key") is None


def test_a_second_value_replaces_the_first(huey: Huey) -> None:
    huey.put("key", 1)
    huey.put("key", 2)

    assert (huey.get("key"), huey.result_count()) == (2, 0)


def test_a_result_can_be_put_by_hand(huey: Huey) -> None:
    huey.put_result("id", 3)

    assert huey.result("id", blocking=True, timeout=1) == 3


def test_put_if_empty_lets_the_first_win(huey: Huey) -> None:
    assert huey.put_if_empty("key", 1) is True
    assert huey.put_if_empty("key", 2) is False
    assert huey.get("key") == 1
    assert huey.put_if_empty("key", 3) is True


def test_a_value_may_vanish_by_itself(huey: Huey) -> None:
    assert huey.put_if_empty("gone", 1, ttl=0.001) is True
    assert huey.put_if_empty("kept", 1, ttl=60) is True

    huey.storage.wait_result("never", timeout=0.05)

    assert huey.get("gone", peek=True) is None
    assert huey.get("kept", peek=True) == 1
    assert huey.put_if_empty("gone", 2) is True


def test_delete_tells_whether_there_was_something(huey: Huey) -> None:
    huey.put("key", 1)

    assert huey.delete("key")
    assert not huey.delete("key")


def test_keys_are_listed_as_text(huey: Huey) -> None:
    huey.put("key", 1)

    assert list(huey.all_results()) == ["key"]
