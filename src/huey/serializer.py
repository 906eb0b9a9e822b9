"""Message ⇄ bytes: pickle, JSON or MessagePack, on request compressed and signed."""

from __future__ import annotations

import hashlib
import hmac
import logging
import pickle
import zlib
from collections.abc import Iterable
from typing import Any

from huey.exceptions import ConfigurationError
from huey.utils import encode

__all__ = [
    "JsonSerializer",
    "MsgpackSerializer",
    "Serializer",
    "SignedSerializer",
    "constant_time_compare",
    "is_compressed",
    "logger",
]

logger = logging.getLogger("huey.serializer")

#: How large data may become when it is decompressed, in bytes.
DEFAULT_MAX_SIZE = 512 * 1024 * 1024

_FORMATS = ("pickle", "json", "msgpack")
_GZIP_WRITE = 31
_GZIP_OR_ZLIB_READ = 47
#: Begins sealed data: no pickle, JSON, MessagePack or compressed data starts like this.
_SEAL = b"\xc1HS\x01"
_SEAL_SIZE = len(_SEAL) + hashlib.sha256().digest_size


def is_compressed(data: Any) -> Any:
    """Tell by its first byte whether data is compressed; falsy for no data."""
    return data and data[0] in (0x1F, 0x78)


def constant_time_compare(s1: Any, s2: Any) -> bool:
    """Compare two bytes or ASCII strings in a time that does not tell where they differ."""
    return hmac.compare_digest(s1, s2)


class Serializer:
    """Turns messages and results into bytes and back.

    Subclasses may replace `_serialize` and `_deserialize`, or set `format`.

    Args:
        compression: whether to compress what is written. Uncompressed data is still read.
        compression_level: 0 (none) to 9 (smallest).
        use_zlib: compress in the format of zlib instead of that of gzip.
        pickle_protocol: of what is written; 0 and None are the highest.
        accept: the formats that are read: ``pickle``, ``json``, ``msgpack``. By default only the
            one that is written. Name the old one as well while a queue changes its serializer:
            each message is then read by its looks, compressed or not.
        max_size: how large data may become when it is decompressed, in bytes.

    Raises:
        ConfigurationError: if a format is not known, or the one that is written is not accepted.
    """

    #: The format that is written.
    format = "pickle"

    def __init__(
        self,
        compression: bool = False,
        compression_level: int = 6,
        use_zlib: bool = False,
        pickle_protocol: int | None = pickle.HIGHEST_PROTOCOL,
        *,
        accept: Iterable[str] | None = None,
        max_size: int = DEFAULT_MAX_SIZE,
    ) -> None:
        self.comp = compression
        self.comp_level = compression_level
        self.use_zlib = use_zlib
        self.pickle_protocol = pickle_protocol or pickle.HIGHEST_PROTOCOL
        self.accept = (self.format,) if accept is None else tuple(accept)
        self.max_size = max_size
        if self.format not in self.accept or not set(self.accept) <= set(_FORMATS):
            raise ConfigurationError(
                f"Expected accept to name some of {', '.join(_FORMATS)}, and {self.format}, which "
                f"this serializer writes, among them; got {accept!r}."
            )

    def serialize(self, data: Any) -> bytes:
        """Turn a value into bytes."""
        written = self._serialize(data)
        return self._compress(written) if self.comp else written

    def deserialize(self, data: bytes) -> Any:
        """Turn bytes into a value.

        Raises:
            ValueError: if the bytes are empty, cut short, too large, or in another format.
        """
        return self._deserialize(self._decompress(data))

    def _serialize(self, message: Any) -> bytes:
        if self.format == "pickle":
            return pickle.dumps(message, self.pickle_protocol)
        return _write(message, self.format)

    def _deserialize(self, data: bytes) -> Any:
        if not data:
            raise ValueError("Expected a message, got no bytes at all: the data was cut short.")
        if len(self.accept) == 1:
            return _read(data, self.format)
        return _read(data, _recognise(data, self.accept))

    def _compress(self, data: bytes) -> bytes:
        if self.use_zlib:
            return zlib.compress(data, self.comp_level)
        return zlib.compress(data, self.comp_level, wbits=_GZIP_WRITE)

    def _decompress(self, data: bytes) -> bytes:
        if not self.comp and len(self.accept) == 1:
            return data
        if is_compressed(data):
            return _inflate(data, self.max_size)
        if self.comp:
            logger.warning("compression enabled but message data does not appear to be compressed.")
        return data


class JsonSerializer(Serializer):
    """Writes JSON: readable in other languages, and unable to run code when it is read.

    Exceptions arrive as the `huey.utils.Error` that describes them. See `huey.formats`.
    """

    format = "json"


class MsgpackSerializer(Serializer):
    """Writes MessagePack: like JSON, but smaller. Needs ``huey[msgpack]``. See `huey.formats`."""

    format = "msgpack"


class SignedSerializer(Serializer):
    """Refuses data that was not written with the secret, before anything is unpickled.

    A signature is not encryption: everybody can read the data.

    By default the signature is the one of Huey 3.5.4, an HMAC with SHA-1 *inside* of compression,
    so that data is decompressed, up to `max_size`, before it is verified. ``digest="sha256"``
    signs the outermost bytes, and nothing at all is done with bytes that are not verified. To
    change over: let all consumers be of this version, switch with ``accept_sha1=True``, and drop
    that when the old messages are gone.

    Args:
        secret: what others must not know.
        salt: separates uses of the same secret.
        keys: secrets, instead of one: the first signs, all verify. To change a secret put the new
            one in front, and drop the old one when its messages are gone.
        digest: ``sha1`` or ``sha256``, for what is written. SHA-256 is always read.
        accept_sha1: whether SHA-1 signatures are read; by default only if they are written.
        **kwargs: those of `Serializer`.

    Raises:
        ConfigurationError: if there is no secret, an empty one, or no salt.
    """

    def __init__(
        self,
        secret: Any = None,
        salt: Any = "huey",
        *,
        keys: Iterable[Any] | None = None,
        digest: str = "sha1",
        accept_sha1: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        secrets = [secret] if keys is None else list(keys)
        if not secrets or not all(secrets) or not salt or (secret and keys is not None):
            raise ConfigurationError(
                "The secret and salt parameters are required by "
                f"{type(self)}: give either secret= or keys=, and leave none of them empty."
            )
        if digest not in ("sha1", "sha256"):
            raise ConfigurationError(f"digest must be 'sha1' or 'sha256', got {digest!r}.")
        self.secret = encode(secrets[0]) or b""
        self.salt = encode(salt) or b""
        self.separator = b":"
        self.digest = digest
        self.accept_sha1 = digest == "sha1" if accept_sha1 is None else accept_sha1
        self._keys = [_sha1_key(self.salt, encode(key) or b"") for key in secrets]
        self._key = self._keys[0]
        self._seal_keys = [_seal_key(self.salt, encode(key) or b"") for key in secrets]

    def serialize(self, data: Any) -> bytes:
        """Turn a value into signed bytes."""
        written = super().serialize(data)
        return self._seal(written) if self.digest == "sha256" else written

    def deserialize(self, data: bytes) -> Any:
        """Turn signed bytes into a value.

        Raises:
            ValueError: if the bytes are forged, empty, cut short, too large, or in another format.
        """
        if data.startswith(_SEAL):
            return super()._deserialize(self._decompress(self._unseal(data)))
        if not self.accept_sha1:
            raise ValueError(
                "Expected data signed with SHA-256, got something else: if it comes from before "
                "the change of digest=, set accept_sha1=True until it is gone."
            )
        return super().deserialize(data)

    def _serialize(self, message: Any) -> bytes:
        written = super()._serialize(message)
        return written if self.digest == "sha256" else self._sign(written)

    def _deserialize(self, data: bytes) -> Any:
        return super()._deserialize(self._unsign(data))

    def _signature(self, message: bytes) -> bytes:
        return _sha1_signature(self._key, message)

    def _sign(self, message: bytes) -> bytes:
        return message + self.separator + self._signature(message)

    def _unsign(self, signed: bytes) -> bytes:
        message, separator, signature = signed.rpartition(self.separator)
        if not separator:
            raise ValueError("Separator not found: the data is not signed, or was cut short.")
        for key in self._keys:
            if constant_time_compare(signature, _sha1_signature(key, message)):
                return message
        raise _mismatch()

    def _seal(self, message: bytes) -> bytes:
        return _SEAL + _seal_signature(self._seal_keys[0], message) + message

    def _unseal(self, sealed: bytes) -> bytes:
        signature, message = sealed[len(_SEAL) : _SEAL_SIZE], sealed[_SEAL_SIZE:]
        for key in self._seal_keys:
            if constant_time_compare(signature, _seal_signature(key, message)):
                return message
        raise _mismatch()


# The formats besides pickle are imported when they are used: most applications never do.


def _write(message: Any, format_name: str) -> bytes:
    from huey.formats import to_json, to_msgpack

    return to_json(message) if format_name == "json" else to_msgpack(message)


def _read(data: bytes, format_name: str) -> Any:
    if format_name == "pickle":
        return _unpickle(data)
    from huey.formats import from_json, from_msgpack

    return from_json(data) if format_name == "json" else from_msgpack(data)


def _recognise(data: bytes, accepted: tuple[str, ...]) -> str:
    from huey.formats import sniff

    found = sniff(data)
    if found is None or found not in accepted:
        raise ValueError(
            f"Expected data in one of the formats {', '.join(accepted)}, got "
            f"{found or 'something else'}: name its format in accept=, if it can be trusted."
        )
    return found


def _unpickle(data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except (pickle.UnpicklingError, EOFError) as exc:
        hint = " it is compressed; set compression=True." if is_compressed(data) else ""
        raise ValueError(
            f"Expected a pickle, got {len(data)} bytes which are none ({exc}): they were cut "
            f"short, or written by another serializer.{hint}"
        ) from exc


def _inflate(data: bytes, max_size: int) -> bytes:
    """Decompress gzip or zlib, and stop as soon as the result is too large."""
    parts: list[bytes] = []
    room = max_size
    while data:
        stream = zlib.decompressobj(_GZIP_OR_ZLIB_READ)
        try:
            part = stream.decompress(data, room + 1)
        except zlib.error as exc:
            raise ValueError(f"The compressed data is damaged ({exc}).") from exc
        room -= len(part)
        if room < 0:
            raise ValueError(
                f"The compressed data is larger than {max_size} bytes: raise max_size if it is "
                "meant to be."
            )
        if not stream.eof:
            raise ValueError("The compressed data was cut short.")
        parts.append(part)
        # gzip files may have several members, and zeros behind the last one.
        data = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _sha1_key(salt: bytes, secret: bytes) -> bytes:
    return hashlib.sha1(salt + secret).digest()


def _sha1_signature(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha1").hex().encode("ascii")


def _seal_key(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, _SEAL + salt, "sha256")


def _seal_signature(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, _SEAL + message, "sha256")


def _mismatch() -> ValueError:
    return ValueError(
        "Signature mismatch: the data was forged or cut short, or signed with another secret."
    )
