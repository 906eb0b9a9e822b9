"""Messages and results as JSON or MessagePack: readable elsewhere, and unable to run code.

Both carry the same tree: ``["huey", 1, value]``, where 1 is the version of the format. None, bool,
int, float, str, list and dict stand for themselves; everything else is an object with the key ``$``
that names its type, such as ``{"$": "tuple", "v": [1, 2]}``. A message is an object with ``$`` set
to ``message`` and those of its fields that are not None; its ``args`` are a plain list.
"""

from __future__ import annotations

import base64
import importlib
import json
import math
import traceback
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from huey.exceptions import ConfigurationError
from huey.utils import SKIPPED, ChordConfig, Error

__all__ = ["from_json", "from_msgpack", "sniff", "to_json", "to_msgpack"]

_VERSION = 1
_NAME = "huey"
_JSON_START = b'["huey",'
_MSGPACK_START = b"\x93\xa4huey"
#: Begins every pickle since protocol 2; the older ones are known by their last byte only.
_PICKLE_START = b"\x80"
_PICKLE_END = b"."
_TAG = "$"
_INT64 = range(-(2**63), 2**63)

Coder = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]


def to_json(value: Any) -> bytes:
    """Write a message or a result as JSON.

    Raises:
        TypeError: if a value in it has no form outside of Python.
        ValueError: if a text in it has no form in UTF-8.
    """
    encode, _ = _json()
    return encode([_NAME, _VERSION, _JSON.pack(value)])


def from_json(data: bytes) -> Any:
    """Read what `to_json` wrote.

    Raises:
        ValueError: if it did not.
    """
    _, decode = _json()
    return _read(data, decode, "JSON")


def to_msgpack(value: Any) -> bytes:
    """Write a message or a result as MessagePack.

    Raises:
        TypeError: if a value in it has no form outside of Python.
        ValueError: if a text in it has no form in UTF-8.
        ConfigurationError: if msgspec is not installed.
    """
    encode, _ = _msgpack()
    return encode([_NAME, _VERSION, _MSGPACK.pack(value)])


def from_msgpack(data: bytes) -> Any:
    """Read what `to_msgpack` wrote.

    Raises:
        ValueError: if it did not.
        ConfigurationError: if msgspec is not installed.
    """
    _, decode = _msgpack()
    return _read(data, decode, "MessagePack")


def sniff(data: bytes) -> str | None:
    """Tell ``json``, ``msgpack`` and ``pickle`` apart; None is none of these."""
    if data.startswith(_JSON_START):
        return "json"
    if data.startswith(_MSGPACK_START):
        return "msgpack"
    if data.startswith(_PICKLE_START) or data.endswith(_PICKLE_END):
        return "pickle"
    return None


@cache
def _json() -> Coder:
    try:
        import msgspec.json as quick
    except ImportError:
        return _slow_json_encode, _slow_json_decode
    return quick.encode, quick.decode


def _slow_json_encode(tree: Any) -> bytes:
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _slow_json_decode(data: bytes) -> Any:
    return json.loads(data)


@cache
def _msgpack() -> Coder:
    try:
        import msgspec.msgpack as quick
    except ImportError as exc:
        raise ConfigurationError(
            "MessagePack needs msgspec, which is not installed: pip install 'huey[msgpack]'."
        ) from exc
    return quick.encode, quick.decode


def _read(data: bytes, decode: Callable[[bytes], Any], format_name: str) -> Any:
    try:
        name, version, tree = decode(data)
        if (name, version) != (_NAME, _VERSION):
            raise ValueError(f"expected version {_VERSION} of the format, got {version!r}")
        return _unpack(tree)
    except _MALFORMED as exc:
        reason = str(exc) or type(exc).__name__
        raise ValueError(
            f"Expected {format_name} that Huey wrote, got something else ({reason}): it was cut "
            "short, or written by another program."
        ) from exc


#: What reading something else may run into. msgspec's own errors are ValueErrors.
_MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


# ── value → tree ────────────────────────────────────────────────────────────────────────────────


class _Packer:
    """Turns values into a tree of what the format knows by itself."""

    def __init__(self, *, binary: bool) -> None:
        self._by_type: dict[type, Callable[[Any], Any]] = {
            type(None): _same,
            bool: _same,
            str: _same,
            int: _pack_int,
            float: _same if binary else _pack_float,
            bytes: _same if binary else _pack_bytes,
            list: lambda value: [self.pack(item) for item in value],
            dict: self._pack_dict,
            tuple: self._pack_items("tuple"),
            set: self._pack_items("set"),
            frozenset: self._pack_items("frozenset"),
            datetime: _pack_datetime,
            date: lambda value: _tagged("date", value.isoformat()),
            time: lambda value: _tagged("time", value.isoformat()),
            timedelta: lambda value: _tagged(
                "timedelta", [value.days, value.seconds, value.microseconds]
            ),
            Decimal: lambda value: _tagged("decimal", str(value)),
            UUID: lambda value: _tagged("uuid", str(value)),
            Error: lambda value: _tagged("error", self.pack(value.metadata)),
            ChordConfig: self._pack_items("chord"),
            type(SKIPPED): lambda value: {_TAG: "skipped"},
        }

    def pack(self, value: Any) -> Any:
        """Turn a value into a tree."""
        kind = type(value)
        packer = self._by_type.get(kind)
        if packer is not None:
            return packer(value)
        if kind.__module__ == "huey.registry" and kind.__name__ == "Message":
            return self._pack_message(value)
        if isinstance(value, BaseException):
            return _tagged("error", self.pack(_describe(value)))
        raise TypeError(
            f"A {kind.__module__}.{kind.__qualname__} cannot travel as JSON or MessagePack, got "
            f"{value!r:.200}: pass plain values, or use the pickle serializer."
        )

    def _pack_items(self, tag: str) -> Callable[[Any], dict[str, Any]]:
        return lambda value: _tagged(tag, [self.pack(item) for item in value])

    def _pack_dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        if _TAG not in value and all(type(key) is str for key in value):
            return {key: self.pack(item) for key, item in value.items()}
        pairs = [[self.pack(key), self.pack(item)] for key, item in value.items()]
        return _tagged("dict", pairs)

    def _pack_message(self, message: Any) -> dict[str, Any]:
        fields = {
            name: self.pack(value) for name, value in message._asdict().items() if value is not None
        }
        # Other languages have no tuples, and should be able to write messages.
        if type(message.args) is tuple:
            fields["args"] = [self.pack(item) for item in message.args]
        elif type(message.args) is list:
            fields["args"] = _tagged("list", fields["args"])
        return {_TAG: "message", **fields}


def _same(value: Any) -> Any:
    return value


def _tagged(tag: str, value: Any) -> dict[str, Any]:
    return {_TAG: tag, "v": value}


def _pack_int(value: int) -> Any:
    return value if value in _INT64 else _tagged("int", hex(value))


def _pack_float(value: float) -> Any:
    return value if math.isfinite(value) else _tagged("float", repr(value))


def _pack_bytes(value: bytes) -> dict[str, Any]:
    return _tagged("bytes", base64.b64encode(value).decode("ascii"))


def _pack_datetime(value: datetime) -> dict[str, Any]:
    tree = _tagged("datetime", value.isoformat())
    return {**tree, "fold": 1} if value.fold else tree


def _describe(exception: BaseException) -> dict[str, Any]:
    """Describe an exception with the keys of a stored error; rebuilding it would run code."""
    kind = type(exception)
    try:
        text = repr(exception)
    except Exception:
        # A repr of the user's own may fail, and must not hide the failure that it describes.
        text = f"{kind.__name__}(...)"
    return {
        "error": text,
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "retries": None,
        "traceback": "".join(traceback.format_exception(exception)),
        "task_id": None,
    }


# ── tree → value ────────────────────────────────────────────────────────────────────────────────


def _unpack(tree: Any) -> Any:
    if type(tree) is list:
        return [_unpack(item) for item in tree]
    if type(tree) is not dict:
        return tree
    if _TAG not in tree:
        return {key: _unpack(value) for key, value in tree.items()}
    return _UNPACKERS[tree[_TAG]](tree)


def _unpack_message(tree: Mapping[str, Any]) -> Any:
    fields = {name: _unpack(value) for name, value in tree.items() if name != _TAG}
    if type(tree.get("args")) is list:
        fields["args"] = tuple(fields["args"])
    # By name, because the registry is above this module; whoever reads messages has loaded it.
    return importlib.import_module("huey.registry").Message(**fields)


def _items(tree: Mapping[str, Any]) -> list[Any]:
    return [_unpack(item) for item in tree["v"]]


_UNPACKERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "message": _unpack_message,
    "chord": lambda tree: ChordConfig(*_items(tree)),
    "error": lambda tree: Error(_unpack(tree["v"])),
    "skipped": lambda tree: SKIPPED,
    "int": lambda tree: int(tree["v"], 16),
    "float": lambda tree: float(tree["v"]),
    "bytes": lambda tree: base64.b64decode(tree["v"], validate=True),
    "list": _items,
    "tuple": lambda tree: tuple(_items(tree)),
    "set": lambda tree: set(_items(tree)),
    "frozenset": lambda tree: frozenset(_items(tree)),
    "dict": lambda tree: {_unpack(key): _unpack(value) for key, value in tree["v"]},
    "datetime": lambda tree: datetime.fromisoformat(tree["v"]).replace(fold=tree.get("fold", 0)),
    "date": lambda tree: date.fromisoformat(tree["v"]),
    "time": lambda tree: time.fromisoformat(tree["v"]),
    "timedelta": lambda tree: timedelta(*tree["v"]),
    "decimal": lambda tree: Decimal(tree["v"]),
    "uuid": lambda tree: UUID(tree["v"]),
}

_JSON = _Packer(binary=False)
_MSGPACK = _Packer(binary=True)
