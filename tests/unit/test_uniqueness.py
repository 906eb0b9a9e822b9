"""The key of a unique task: equal for equal calls, in every process, and for those alone."""

import datetime
import enum
import pickle
import random
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huey.api import MemoryHuey
from huey.tasks.uniqueness import canonical, take_uniqueness

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.datetimes()
    | st.timedeltas()
    | st.uuids()
)
DATA = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def shuffled(value: Any) -> Any:
    """The same data, with the entries of each dict in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(item)) for key, item in value.items()]
        random.Random(3).shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    return value


@given(DATA)
def test_the_text_survives_a_journey_and_does_not_know_the_order_of_entries(value: Any) -> None:
    journeyed = pickle.loads(pickle.dumps(shuffled(value)))

    assert canonical(journeyed) == canonical(value)


@given(DATA, DATA)
def test_equal_text_means_equal_data(one: Any, other: Any) -> None:
    assert (canonical(one) != canonical(other)) or one == other


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((1, 2), [1, 2], True),
        ({1, 2, 3}, frozenset({3, 2, 1}), True),
        (1, "1", False),
        ("None", None, False),
        (b"a", "a", False),
        ([1, 2], ["1, 2"], False),
        ([[1], 2], [1, [2]], False),
        ({"a": 1}, [("a", 1)], False),
        (Colour.RED, Colour.BLUE, False),
        (Colour.RED, pickle.loads(pickle.dumps(Colour.RED)), True),
        (PurePosixPath("/a"), "/a", False),
        (Decimal("1.0"), Decimal("1.00"), False),
        (uuid.UUID(int=1), str(uuid.UUID(int=1)), False),
        (datetime.date(2030, 1, 1), datetime.datetime(2030, 1, 1), False),
    ],
)
def test_what_counts_as_the_same(one: Any, other: Any, same: bool) -> None:
    assert (canonical(one) == canonical(other)) is same


@pytest.mark.parametrize("value", [object(), len, [object()], {"a": object()}])
def test_what_has_no_stable_text_is_refused_by_type(value: Any) -> None:
    with pytest.raises(TypeError, match=r"(object|builtin_function)\w* cannot tell"):
        canonical(value)


def test_a_call_that_does_not_fit_the_function_has_a_key_all_the_same() -> None:
    def work(number: int) -> None: ...

    huey = MemoryHuey()
    task_class = huey.task(unique=True)(work).task_class
    rule = take_uniqueness(work, {"unique": True})
    assert rule is not None

    one, other = task_class((1, 2)), task_class((1, 2, 3))

    assert rule.key(one) == rule.key(task_class((1, 2)))
    assert rule.key(one) != rule.key(other) != rule.key(task_class((1,)))


def test_the_key_names_its_task() -> None:
    def work(number: int) -> None: ...

    task = MemoryHuey().task(unique=True)(work).s(1)

    assert task.uniqueness is not None
    assert task.uniqueness.key(task).startswith(f"{__name__}.work:")
