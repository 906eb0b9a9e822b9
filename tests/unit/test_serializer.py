"""Serializers: the bytes of Huey 3.5.4, compression, signatures, and a change of the format."""

import base64
import gzip
import hashlib
import hmac
import json
import logging
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huey.exceptions import ConfigurationError
from huey.serializer import (
    JsonSerializer,
    MsgpackSerializer,
    Serializer,
    SignedSerializer,
    constant_time_compare,
    is_compressed,
)
from tests.compat.record.serializer import expected, same, serializers, values

RECORDED = Path(__file__).parents[1] / "compat" / "data" / "serializer.json"
CASES = [
    pytest.param(
        case["serializer"],
        case["value"],
        base64.b64decode(case["data"]),
        id=f"{case['serializer']}, {case['value']}",
    )
    for case in json.loads(RECORDED.read_text(encoding="utf-8"))["cases"]
]
UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zlib": zlib.decompress}
WARNING = "compression enabled but message data does not appear to be compressed."
#: Every kind, with and without what wraps the data.
KINDS: dict[str, Serializer] = {
    "pickle": Serializer(),
    "gzip": Serializer(compression=True),
    "zlib": Serializer(compression=True, use_zlib=True),
    "json": JsonSerializer(),
    "msgpack": MsgpackSerializer(),
    "json, gzip": JsonSerializer(compression=True),
    "signed": SignedSerializer("secret"),
    "signed, gzip": SignedSerializer("secret", compression=True),
    "sealed": SignedSerializer("secret", digest="sha256"),
    "sealed, zlib": SignedSerializer("secret", digest="sha256", compression=True, use_zlib=True),
}
every_kind = pytest.mark.parametrize("serializer", KINDS.values(), ids=KINDS)
signed_kinds = pytest.mark.parametrize(
    "serializer", [kind for name, kind in KINDS.items() if name.startswith(("signed", "sealed"))]
)
VALUE = {"a": [1, None, "text"], "b": (2.5, b"bytes")}


class Trap:
    """Sets off when it is unpickled."""

    sprung = False

    def __reduce__(self) -> Any:
        return _spring, ()


def _spring() -> None:
    Trap.sprung = True


@pytest.fixture(autouse=True)
def _trap_is_set() -> None:
    Trap.sprung = False


class TestRecordedBytes:
    @pytest.mark.parametrize(("by", "name", "data"), CASES)
    def test_what_the_original_wrote_is_read(self, by: str, name: str, data: bytes) -> None:
        found = serializers()[by].deserialize(data)

        assert same(found, expected(name))
        assert type(found) is type(expected(name))

    @pytest.mark.parametrize(("by", "name", "data"), CASES)
    def test_what_is_written_unpacks_to_the_bytes_of_the_original(
        self, by: str, name: str, data: bytes
    ) -> None:
        unpack = UNPACK.get(by.split()[-1], bytes)
        recorded = unpack(data)
        pickled = recorded[:-41] if by.startswith("signed") else recorded

        written = unpack(serializers()[by].serialize(values()[name]))

        # Newer versions of Python may write another pickle with the same meaning.
        ours = written[:-41] if by.startswith("signed") else written
        assert same(pickle.loads(ours), expected(name))
        if ours == pickled:
            assert written == recorded

    def test_a_signature_is_that_of_the_original(self) -> None:
        serializer = SignedSerializer("a secret", "a salt")
        recorded = [case.values[2] for case in CASES if case.values[0] == "signed"]

        assert len(recorded) > 10
        for data in recorded:
            assert isinstance(data, bytes)
            assert serializer._sign(data[:-41]) == data


class TestSerializer:
    @every_kind
    def test_a_value_survives_the_way_there_and_back(self, serializer: Serializer) -> None:
        assert serializer.deserialize(serializer.serialize(VALUE)) == VALUE

    @every_kind
    @pytest.mark.parametrize("data", [b"", b"\0", b":", b"\x1f\x8b\x08", b"x\x9c", b"\xc1HS\x01"])
    def test_no_data_and_fragments_are_refused_with_a_reason(
        self, serializer: Serializer, data: bytes
    ) -> None:
        with pytest.raises(ValueError, match=r"Expected|cut short|damaged|mismatch"):
            serializer.deserialize(data)

    @every_kind
    def test_data_that_was_cut_short_anywhere_is_refused(self, serializer: Serializer) -> None:
        data = serializer.serialize(VALUE)

        for length in range(len(data)):
            with pytest.raises(ValueError, match=r"\w+"):
                serializer.deserialize(data[:length])

    def test_the_attributes_have_their_historic_names(self) -> None:
        plain = Serializer(True, 9, True, 2)
        signed = SignedSerializer("secret", "salt")

        assert (plain.comp, plain.comp_level, plain.use_zlib, plain.pickle_protocol) == (
            True,
            9,
            True,
            2,
        )
        assert (signed.secret, signed.salt, signed.separator) == (b"secret", b"salt", b":")
        assert signed._key == hashlib.sha1(b"saltsecret").digest()

    @pytest.mark.parametrize("protocol", [0, None])
    def test_no_pickle_protocol_is_the_highest(self, protocol: int | None) -> None:
        assert Serializer(pickle_protocol=protocol).pickle_protocol == pickle.HIGHEST_PROTOCOL

    def test_a_subclass_may_replace_the_inner_step(self) -> None:
        class Upper(Serializer):
            def _serialize(self, message: Any) -> bytes:
                return str(message).upper().encode()

            def _deserialize(self, data: bytes) -> Any:
                return data.decode()

        serializer = Upper(compression=True)

        assert serializer.deserialize(serializer.serialize("text")) == "TEXT"
        assert gzip.decompress(serializer.serialize("text")) == b"TEXT"

    def test_a_class_that_cannot_be_imported_is_not_called_damage(self) -> None:
        with pytest.raises(ModuleNotFoundError):
            Serializer().deserialize(b"cno_such_module\nThing\n.")

    @pytest.mark.parametrize(
        ("data", "compressed"),
        [
            (b"", False),
            (None, False),
            (b"\x1f", True),
            (b"\x78", True),
            (b"\x80", False),
            (bytearray(b"x"), True),
            (memoryview(b"x"), True),
        ],
    )
    def test_compression_is_recognised_by_the_first_byte(self, data: Any, compressed: bool) -> None:
        assert bool(is_compressed(data)) is compressed

    def test_comparison_accepts_bytes_and_text(self) -> None:
        assert constant_time_compare(b"a", b"a")
        assert not constant_time_compare(b"a", b"b")
        assert constant_time_compare("a", "a")
        assert not constant_time_compare("a", "ab")
        with pytest.raises(TypeError):
            constant_time_compare("a", b"a")


class TestCompression:
    @pytest.mark.parametrize("use_zlib", [False, True])
    @pytest.mark.parametrize("value", [None, 7, b"x" * 1024, [1, 2], {"a": 1}])
    def test_uncompressed_data_is_read_with_a_warning(
        self, value: Any, use_zlib: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        serializer = Serializer(compression=True, use_zlib=use_zlib)

        found = serializer.deserialize(Serializer().serialize(value))

        assert found == value
        assert caplog.record_tuples == [("huey.serializer", logging.WARNING, WARNING)]

    def test_either_compression_is_read_whichever_is_written(self) -> None:
        gzip_, zlib_ = KINDS["gzip"], KINDS["zlib"]

        assert gzip_.deserialize(zlib_.serialize(VALUE)) == VALUE
        assert zlib_.deserialize(gzip_.serialize(VALUE)) == VALUE

    def test_without_compression_compressed_data_is_refused_with_a_hint(self) -> None:
        with pytest.raises(ValueError, match="set compression=True"):
            Serializer().deserialize(KINDS["gzip"].serialize(VALUE))

    def test_a_file_of_several_members_is_read(self) -> None:
        data = pickle.dumps(VALUE)
        members = gzip.compress(data[:10]) + gzip.compress(data[10:]) + b"\0\0"

        assert KINDS["gzip"].deserialize(members) == VALUE

    def test_what_follows_compressed_data_is_not_ignored(self) -> None:
        for kind in ("gzip", "zlib"):
            with pytest.raises(ValueError, match="damaged"):
                KINDS[kind].deserialize(KINDS[kind].serialize(VALUE) + b"xx")

    @given(level=st.integers(0, 9), use_zlib=st.booleans(), value=st.binary(max_size=300))
    def test_every_level_is_read_again(self, level: int, use_zlib: bool, value: bytes) -> None:
        serializer = Serializer(True, level, use_zlib)

        assert serializer.deserialize(serializer.serialize(value)) == value

    @pytest.mark.parametrize("use_zlib", [False, True])
    def test_a_bomb_is_refused_and_its_size_is_the_limit(self, use_zlib: bool) -> None:
        data = Serializer(True, use_zlib=use_zlib).serialize(b"\0" * 100_000)
        size = len(pickle.dumps(b"\0" * 100_000))

        assert len(data) < 1000
        assert Serializer(True, max_size=size).deserialize(data) == b"\0" * 100_000
        with pytest.raises(ValueError, match=f"larger than {size - 1} bytes: raise max_size"):
            Serializer(True, max_size=size - 1).deserialize(data)

    def test_the_limit_holds_before_a_signature_inside_can_be_verified(self) -> None:
        bomb = zlib.compress(b"\0" * 100_000)

        with pytest.raises(ValueError, match="larger than 5000 bytes"):
            SignedSerializer("secret", compression=True, max_size=5000).deserialize(bomb)


class TestSignatures:
    @signed_kinds
    def test_forged_data_is_refused_before_it_is_unpickled(self, serializer: Serializer) -> None:
        trap = pickle.dumps(Trap())
        other = SignedSerializer("another secret").serialize(Trap())
        sealed = SignedSerializer("another secret", digest="sha256").serialize(Trap())
        salted = SignedSerializer("secret", "another salt", digest="sha256").serialize(Trap())

        for data in (trap, trap + b":" + b"0" * 40, gzip.compress(other), other, sealed, salted):
            with pytest.raises(ValueError, match=r"mismatch|Separator|SHA-256"):
                serializer.deserialize(data)

        assert not Trap.sprung

    @settings(max_examples=30)
    @given(position=st.integers(0, 10_000), change=st.integers(1, 255))
    @signed_kinds
    def test_no_byte_can_be_changed(
        self, serializer: Serializer, position: int, change: int
    ) -> None:
        data = bytearray(serializer.serialize(VALUE))
        position %= len(data)
        data[position] ^= change

        try:
            found = serializer.deserialize(bytes(data))
        except ValueError:
            return
        # gzip's header holds a time and a system, which no signature inside can cover.
        assert serializer.comp
        assert position < 10
        assert found == VALUE

    def test_the_layout_is_data_colon_signature_inside_of_compression(self) -> None:
        pickled = pickle.dumps(VALUE, pickle.HIGHEST_PROTOCOL)
        key = hashlib.sha1(b"huey" + b"secret").digest()
        signature = hmac.new(key, pickled, hashlib.sha1).hexdigest().encode()

        plain = SignedSerializer("secret").serialize(VALUE)
        packed = SignedSerializer("secret", compression=True).serialize(VALUE)

        assert plain == pickled + b":" + signature
        assert gzip.decompress(packed) == plain

    def test_a_seal_is_outside_of_compression_and_verified_before_it(self) -> None:
        serializer = SignedSerializer("secret", digest="sha256", compression=True, max_size=10)
        data = bytearray(serializer.serialize(VALUE))

        with pytest.raises(ValueError, match="larger than"):
            serializer.deserialize(bytes(data))
        data[-1] ^= 1
        with pytest.raises(ValueError, match="mismatch"):
            serializer.deserialize(bytes(data))

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"secret": ""},
            {"secret": None},
            {"secret": "a", "salt": ""},
            {"secret": "a", "salt": None},
            {"keys": []},
            {"keys": ["a", ""]},
            {"secret": "a", "keys": ["b"]},
        ],
    )
    def test_a_missing_secret_or_salt_is_a_configuration_error(
        self, arguments: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigurationError, match="secret and salt parameters are required"):
            SignedSerializer(**arguments)

    def test_an_unknown_digest_is_a_configuration_error(self) -> None:
        with pytest.raises(ConfigurationError, match="'sha1' or 'sha256'"):
            SignedSerializer("secret", digest="md5")

    def test_a_subclass_may_sign_a_format_of_its_own(self) -> None:
        class SignedText(SignedSerializer):
            def _serialize(self, message: Any) -> bytes:
                return self._sign(str(message).encode())

            def _deserialize(self, data: bytes) -> Any:
                return self._unsign(data).decode()

        class SignedJson(SignedSerializer):
            format = "json"

        assert SignedText("secret").deserialize(SignedText("secret").serialize("x")) == "x"
        assert SignedJson("secret").serialize(1).startswith(b'["huey",1,1]:')
        assert SignedJson("secret").deserialize(SignedJson("secret").serialize((1,))) == (1,)


class TestChangeOfSecret:
    @pytest.mark.parametrize("digest", ["sha1", "sha256"])
    @pytest.mark.parametrize("compression", [False, True])
    def test_the_first_key_signs_and_all_verify(self, digest: str, compression: bool) -> None:
        options: dict[str, Any] = {"digest": digest, "compression": compression}
        old, new = SignedSerializer("old", **options), SignedSerializer("new", **options)
        rotating = SignedSerializer(keys=["new", "old"], **options)

        assert rotating.deserialize(old.serialize(VALUE)) == VALUE
        assert rotating.deserialize(new.serialize(VALUE)) == VALUE
        assert new.deserialize(rotating.serialize(VALUE)) == VALUE
        with pytest.raises(ValueError, match="mismatch"):
            old.deserialize(rotating.serialize(VALUE))

    @pytest.mark.parametrize("compression", [False, True])
    def test_a_fleet_can_change_from_sha1_to_sha256(self, compression: bool) -> None:
        options: dict[str, Any] = {"secret": "secret", "compression": compression}
        before = SignedSerializer(**options)
        between = SignedSerializer(**options, digest="sha256", accept_sha1=True)
        after = SignedSerializer(**options, digest="sha256")

        for reader in (before, between):
            assert reader.deserialize(before.serialize(VALUE)) == VALUE
        for reader in (before, between, after):
            assert reader.deserialize(between.serialize(VALUE)) == VALUE
        with pytest.raises(ValueError, match="set accept_sha1=True"):
            after.deserialize(before.serialize(VALUE))


class TestChangeOfFormat:
    FORMATS = ("pickle", "json", "msgpack")

    @pytest.mark.parametrize("compression", [False, True])
    @pytest.mark.parametrize("reader", [Serializer, JsonSerializer, MsgpackSerializer])
    @pytest.mark.parametrize("writer", [Serializer, JsonSerializer, MsgpackSerializer])
    def test_all_accepted_formats_are_read_compressed_or_not(
        self, reader: type[Serializer], writer: type[Serializer], compression: bool
    ) -> None:
        data = writer(compression=compression).serialize(VALUE)

        assert reader(accept=self.FORMATS).deserialize(data) == VALUE

    @pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
    def test_every_pickle_protocol_is_recognised(self, protocol: int) -> None:
        for value in (None, 1, "text", VALUE, [VALUE]):
            data = Serializer(pickle_protocol=protocol).serialize(value)

            assert JsonSerializer(accept=self.FORMATS).deserialize(data) == value

    def test_pickles_are_not_read_unless_accepted(self) -> None:
        trap = pickle.dumps(Trap())

        for serializer in (
            JsonSerializer(),
            MsgpackSerializer(),
            JsonSerializer(accept=("json", "msgpack")),
        ):
            with pytest.raises(ValueError, match="Expected"):
                serializer.deserialize(trap)
        assert not Trap.sprung

    def test_a_signature_is_verified_before_the_format_is_looked_at(self) -> None:
        serializer = SignedSerializer("secret", accept=self.FORMATS)

        with pytest.raises(ValueError, match=r"Separator|mismatch"):
            serializer.deserialize(JsonSerializer().serialize("a:b"))
        assert serializer.deserialize(serializer._sign(JsonSerializer().serialize(1))) == 1

    @pytest.mark.parametrize("accept", [(), ("pickle",), ("json", "xml")])
    def test_accepting_nothing_or_the_unknown_is_a_configuration_error(
        self, accept: tuple[str, ...]
    ) -> None:
        with pytest.raises(ConfigurationError, match="Expected accept to name"):
            JsonSerializer(accept=accept)
