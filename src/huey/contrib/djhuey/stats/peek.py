"""Read a stored message for display, without running anything that it names.

Unpickling runs what the data says, and whoever can write to the storage would run code in the web
process. Here nothing but plain data and our own Message is rebuilt; each other class or function is
replaced by a stand-in that does nothing.
"""

from __future__ import annotations

import io
import pickle
import reprlib
from collections.abc import Callable
from typing import Any

from huey.registry import Message
from huey.serializer import Serializer, SignedSerializer
from huey.utils import Error

#: Larger messages are shown by their size only.
MAX_SIZE = 64 * 1024

_HARMLESS: dict[tuple[str, str], Any] = {
    ("huey.registry", "Message"): Message,
    ("huey.utils", "Error"): Error,
}
_HARMLESS_NAMES = {
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("collections", "OrderedDict"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
}

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
_short.maxtuple = _short.maxlist = _short.maxdict = _short.maxset = 6
_short.maxlevel = 3


class _StandIn:
    """Takes the place of an object whose class is not rebuilt."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _StandIn:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def _ignore(self, *args: Any) -> None: ...

    # What a pickle may do with an object that it has built.
    __setstate__ = __setitem__ = append = extend = add = update = _ignore

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__}>"


# The one written in Python: its memo is a dict, so that a forged index allocates nothing.
class _Reader(pickle._Unpickler):
    dispatch = {**pickle._Unpickler.dispatch}  # noqa: RUF012  # that of the base is no other
    # It would allocate as much as the data claims to hold.
    del dispatch[pickle.BYTEARRAY8[0]]

    def find_class(self, module: str, name: str) -> Any:
        """Give a harmless class, or a stand-in that has the name."""
        if (module, name) in _HARMLESS:
            return _HARMLESS[module, name]
        if (module, name) in _HARMLESS_NAMES:
            return super().find_class(module, name)
        return type(str(name), (_StandIn,), {"__module__": str(module)})


def read_message(serializer: Serializer, data: bytes) -> Message | None:
    """Read a message; None if that cannot be done safely, or at all."""
    if len(data) > MAX_SIZE or not _is_ours(serializer):
        return None
    try:
        found = _read(serializer, data)
    except Exception:
        # Whatever is wrong with it: it is shown by its size.
        return None
    return found if isinstance(found, Message) else None


def shown(value: Any) -> str:
    """Put a value in one short line."""
    return _short.repr(value)


def _read(serializer: Serializer, data: bytes) -> Any:
    if "pickle" not in serializer.accept:
        return serializer.deserialize(data)
    return _Reader(io.BytesIO(_payload(serializer, data))).load()


def _payload(serializer: Serializer, data: bytes) -> bytes:
    """Decompress data, and check its signature if it has one."""
    if not isinstance(serializer, SignedSerializer):
        return serializer._decompress(data)
    if serializer.digest == "sha256" and not serializer.accept_sha1:
        return serializer._decompress(serializer._unseal(data))
    return serializer._unsign(serializer._decompress(data))


def _is_ours(serializer: Serializer) -> bool:
    """Tell whether how it reads is known: a subclass may do anything."""
    names = ("deserialize", "_deserialize", "_decompress")
    methods: list[Callable[..., Any]] = [getattr(type(serializer), name) for name in names]
    return all(method.__module__ == Serializer.__module__ for method in methods)
