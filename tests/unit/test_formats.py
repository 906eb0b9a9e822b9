"""JSON and MessagePack carry messages without loss, and nothing that could run code."""

import json
import math
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huey import formats
from huey.exceptions import ConfigurationError
from huey.formats import from_json, from_msgpack, sniff, to_json, to_msgpack
from huey.registry import Message
from huey.utils import SKIPPED, ChordConfig, Error
from tests.compat.record.serializer import MESSAGE

Writer = Callable[[Any], bytes]
Reader = Callable[[bytes], Any]

both = pytest.mark.parametrize(
    ("write", "read"),
    [(to_json, from_json), (to_msgpack, from_msgpack)],
    ids=["json", "msgpack"],
)


def message_of(**fields: Any) -> Message:
    return Message(**fields)


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.one_of(
    texts, st.integers(), st.booleans(), st.binary(max_size=5), st.tuples(texts, texts), st.uuids()
)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    texts,
    st.binary(),
    st.datetimes(timezones=st.one_of(st.none(), offsets)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.just(SKIPPED),
    st.sampled_from(["$", "v", "message"]),
)
data_values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(keys, st.just("$")), inner, max_size=4),
        st.dictionaries(texts, inner, max_size=4).map(Error),
        st.frozensets(keys, max_size=4),
        st.sets(keys, max_size=4),
    ),
    max_leaves=12,
)
messages = st.recursive(
    st.builds(
        message_of,
        id=texts,
        name=texts,
        eta=st.none() | st.datetimes(),
        args=st.one_of(st.lists(data_values, max_size=3).map(tuple), data_values),
        kwargs=st.dictionaries(texts, data_values, max_size=3),
        expires=st.one_of(st.none(), st.integers(), st.timedeltas(), st.datetimes()),
    ),
    lambda inner: st.builds(
        message_of,
        args=st.tuples(inner),
        on_complete=st.none() | inner,
        on_error=inner,
        chord_config=st.tuples(texts, st.integers(), st.integers(), inner),
    ),
    max_leaves=3,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if isinstance(one, datetime):
        return (one, one.fold, one.utcoffset()) == (other, other.fold, other.utcoffset())
    return one == other or repr(one) == repr(other) == "nan"


class TestValues:
    @settings(max_examples=50, deadline=None)
    @given(value=data_values)
    @both
    def test_a_value_arrives_as_it_was(self, write: Writer, read: Reader, value: Any) -> None:
        assert same(read(write(value)), value)

    @settings(max_examples=20, deadline=None)
    @given(message=messages)
    @both
    def test_a_message_arrives_as_it_was(self, write: Writer, read: Reader, message: Any) -> None:
        assert same(read(write(message)), message)

    @pytest.mark.parametrize(
        "value",
        [
            MESSAGE,
            Message(args=[1, (2,)]),
            Message(args=3),
            ("id", 2, 0, MESSAGE),
            ChordConfig("id", 2, 0, MESSAGE),
            Error({"error": "ValueError()", "nested": (1, {2})}),
            SKIPPED,
            [SKIPPED, Error({})],
            (datetime(2026, 1, 1), True),
            datetime(2026, 11, 1, 1, 30, fold=1),
            datetime(2026, 1, 1, tzinfo=UTC),
            date(2026, 1, 1),
            time(1, 2, 3, 4),
            -(2**63),
            2**63 - 1,
            2**63,
            -(2**63) - 1,
            10**5000,
            0.1,
            -0.0,
            1e300,
            5e-324,
            1e16,
            math.inf,
            -math.inf,
            math.nan,
            "\0\u2028\U0001f41d",
            {"$": "tuple", "v": [1]},
            {1: "a", None: "b", (2, 3): "c"},
            {"": {}},
            Decimal("1.10"),
            UUID(int=5),
        ],
        ids=lambda value: type(value).__name__,
    )
    @both
    def test_the_hard_cases_arrive_too(self, write: Writer, read: Reader, value: Any) -> None:
        assert same(read(write(value)), value)

    @both
    def test_a_zone_arrives_as_its_offset(self, write: Writer, read: Reader) -> None:
        noon = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))

        found = read(write(noon))

        assert found == noon
        assert found.utcoffset() == timedelta(hours=2)

    @both
    def test_an_exception_arrives_as_the_error_that_describes_it(
        self, write: Writer, read: Reader
    ) -> None:
        try:
            raise ValueError("no", object)
        except ValueError as exception:
            (found,) = read(write(Message(args=(exception,)))).args

        assert type(found) is Error
        assert found.metadata["error"] == "ValueError('no', <class 'object'>)"
        assert found.metadata["type"] == "builtins.ValueError"
        assert "raise ValueError" in found.metadata["traceback"]

    @both
    def test_an_exception_without_a_repr_is_described_all_the_same(
        self, write: Writer, read: Reader
    ) -> None:
        class Unspeakable(Exception):
            def __repr__(self) -> str:
                raise RuntimeError

        assert read(write(Unspeakable())).metadata["error"] == "Unspeakable(...)"

    Point = namedtuple("Point", "x y")

    @dataclass
    class Thing:
        name: str

    @pytest.mark.parametrize(
        "value",
        [Point(1, 2), Thing("a"), OrderedDict(), object(), len, 1j, type("Text", (str,), {})("a")],
        ids=lambda value: type(value).__name__,
    )
    @both
    def test_what_would_arrive_as_something_else_is_refused(
        self, write: Writer, read: Reader, value: Any
    ) -> None:
        with pytest.raises(TypeError, match="cannot travel as JSON or MessagePack"):
            write(Message(args=(1, {"key": [value]})))

    @both
    def test_text_without_a_form_in_utf_8_is_refused(self, write: Writer, read: Reader) -> None:
        with pytest.raises(ValueError, match="surrogates"):
            write("\ud800")


class TestLayout:
    def test_a_message_is_an_object_that_other_languages_can_write(self) -> None:
        by_hand = b"""["huey", 1, {"$": "message", "id": "1", "name": "app.add",
                       "args": [1, {"$": "timedelta", "v": [0, 5, 0]}], "kwargs": {"b": [2]}}]"""

        # Other writers may put spaces: the format is then known, not sniffed.
        assert from_json(by_hand) == Message(
            "1", "app.add", args=(1, timedelta(seconds=5)), kwargs={"b": [2]}
        )

    def test_fields_without_a_value_take_no_room(self) -> None:
        tree = json.loads(to_json(Message("1", "app.add", args=(), kwargs={})))

        assert tree == [
            "huey",
            1,
            {"$": "message", "id": "1", "name": "app.add", "args": [], "kwargs": {}},
        ]

    def test_both_formats_carry_the_same_tree(self) -> None:
        value = [MESSAGE._replace(args=(1, "two")), Error({"a": (1,)}), SKIPPED, 2**80]

        assert msgspec.msgpack.decode(to_msgpack(value)) == json.loads(to_json(value))

    def test_each_format_is_recognised_by_its_first_bytes(self) -> None:
        assert sniff(to_json(MESSAGE)) == "json"
        assert sniff(to_msgpack(MESSAGE)) == "msgpack"
        assert sniff(b"\x80\x05N.") == "pickle"
        assert sniff(b"N.") == "pickle"
        assert sniff(b"{}") is None
        assert sniff(b"") is None


class TestForeignData:
    @pytest.mark.parametrize(
        "tree",
        [
            None,
            5,
            "text",
            [],
            {},
            ["huey", 1],
            ["huey", 2, None],
            ["other", 1, None],
            ["huey", "1", None],
            ["huey", 1, None, None],
            ["huey", 1, {"$": "unknown"}],
            ["huey", 1, {"$": ["list"]}],
            ["huey", 1, {"$": "tuple"}],
            ["huey", 1, {"$": "tuple", "v": 5}],
            ["huey", 1, {"$": "set", "v": [[]]}],
            ["huey", 1, {"$": "message", "no_such_field": 1}],
            ["huey", 1, {"$": "chord", "v": [1]}],
            ["huey", 1, {"$": "datetime", "v": "yesterday"}],
            ["huey", 1, {"$": "datetime", "v": "2026-01-01", "fold": 7}],
            ["huey", 1, {"$": "timedelta", "v": [10**12]}],
            ["huey", 1, {"$": "decimal", "v": "x"}],
            ["huey", 1, {"$": "uuid", "v": 5}],
            ["huey", 1, {"$": "bytes", "v": "%%%"}],
            ["huey", 1, {"$": "int", "v": None}],
            ["huey", 1, {"$": "dict", "v": [1]}],
        ],
        ids=repr,
    )
    def test_what_huey_did_not_write_is_refused(self, tree: Any) -> None:
        with pytest.raises(ValueError, match="Expected JSON that Huey wrote"):
            from_json(json.dumps(tree).encode())
        with pytest.raises(ValueError, match="Expected MessagePack that Huey wrote"):
            from_msgpack(msgspec.msgpack.encode(tree))

    @settings(max_examples=30)
    @given(data=st.binary())
    @both
    def test_noise_is_refused_and_nothing_else_happens(
        self, write: Writer, read: Reader, data: bytes
    ) -> None:
        with pytest.raises(ValueError, match="Expected"):
            read(data)

    @pytest.mark.parametrize(
        ("read", "data"),
        [(from_json, b'["huey",1,' + b"[" * 200_000), (from_msgpack, b"\x91" * 200_000)],
    )
    def test_endless_nesting_is_refused(self, read: Reader, data: bytes) -> None:
        with pytest.raises(ValueError, match="Expected"):
            read(data)


class TestWithoutMsgspec:
    @pytest.fixture
    def _no_msgspec(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        for name in ("msgspec", "msgspec.json", "msgspec.msgpack"):
            monkeypatch.setitem(sys.modules, name, None)
        formats._json.cache_clear()
        formats._msgpack.cache_clear()
        yield
        formats._json.cache_clear()
        formats._msgpack.cache_clear()

    @pytest.mark.usefixtures("_no_msgspec")
    def test_messagepack_says_which_extra_to_install(self) -> None:
        with pytest.raises(ConfigurationError, match=r"pip install 'huey\[msgpack\]'"):
            to_msgpack(1)

    @pytest.mark.usefixtures("_no_msgspec")
    @settings(max_examples=30, deadline=None)
    @given(value=data_values)
    def test_json_is_written_and_read_by_the_standard_library(self, value: Any) -> None:
        assert same(from_json(to_json(value)), value)

    def test_json_of_either_is_read_by_the_other(self, request: pytest.FixtureRequest) -> None:
        quick = to_json([MESSAGE, 1e16, "ü"])
        request.getfixturevalue("_no_msgspec")
        slow = to_json([MESSAGE, 1e16, "ü"])

        assert same(from_json(quick), [MESSAGE, 1e16, "ü"])
        formats._json.cache_clear()
        assert same(from_json(slow), [MESSAGE, 1e16, "ü"])

    @pytest.mark.usefixtures("_no_msgspec")
    def test_endless_nesting_is_refused_by_the_standard_library_too(self) -> None:
        with pytest.raises(ValueError, match="Expected JSON"):
            from_json(b'["huey",1,' + b"[" * 200_000)
