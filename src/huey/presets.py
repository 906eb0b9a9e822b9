"""RedisHuey, SqliteHuey and so on: a Huey with its storage chosen; and from_url()."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import Any

from huey import storage
from huey.app.huey import Huey
from huey.exceptions import ConfigurationError
from huey.storage.base import BaseStorage


class _StorageNamed:
    """A class attribute that is imported when it is first looked at, with its driver."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> type[BaseStorage]:
        found: type[BaseStorage] = getattr(storage, self._name)
        return found


def _storage(name: str) -> Any:
    # Typed as Any: to a type checker the attribute is the storage class itself.
    return _StorageNamed(name)


class RedisHuey(Huey):
    """A queue on Redis or Valkey, without priorities."""

    storage_class = _storage("RedisStorage")


class RedisExpireHuey(RedisHuey):
    """A queue on Redis or Valkey whose results expire."""

    storage_class = _storage("RedisExpireStorage")


class PriorityRedisHuey(RedisHuey):
    """A queue on Redis or Valkey with priorities."""

    storage_class = _storage("PriorityRedisStorage")


class PriorityRedisExpireHuey(RedisHuey):
    """A queue on Redis or Valkey with priorities, whose results expire."""

    storage_class = _storage("PriorityRedisExpireStorage")


class SqliteHuey(Huey):
    """A queue in an SQLite file: ``filename``, "huey.db" by default."""

    storage_class = _storage("SqliteStorage")


class CySqliteHuey(Huey):
    """A queue in an SQLite file, with the constructor of Huey's cysqlite storage."""

    storage_class = _storage("CySqliteStorage")


class PostgresHuey(Huey):
    """A queue in a PostgreSQL database."""

    storage_class = _storage("PostgresStorage")


class FileHuey(Huey):
    """A queue in a directory: ``path``."""

    storage_class = _storage("FileStorage")


class MemoryHuey(Huey):
    """A queue in the memory of this process, for tests and trials."""

    storage_class = _storage("MemoryStorage")


class BlackHoleHuey(Huey):
    """A queue that forgets everything at once."""

    storage_class = _storage("BlackHoleStorage")


def from_url(url: str, name: str = "huey", **options: Any) -> Huey:
    """Build a Huey from one URL.

    Args:
        url: ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://``, ``unix://``,
            ``redis+sentinel://``, ``postgresql://``, ``sqlite:///relative``,
            ``sqlite:////absolute``, ``file:///path`` or ``memory://``.
        name: the queue.
        options: arguments of the class; ``priority=True`` and ``expire_time=<seconds>`` choose
            among the classes for Redis.

    Raises:
        ConfigurationError: the URL names no storage that there is.
    """
    parts = urllib.parse.urlsplit(url)
    build = _SCHEMES.get(parts.scheme)
    if build is None:
        raise ConfigurationError(
            f"Expected a URL that begins with one of {', '.join(f'{s}://' for s in _SCHEMES)}, "
            f"got {_without_password(parts)!r}."
        )
    return build(url, parts, name, options)


def _redis(url: str, parts: urllib.parse.SplitResult, name: str, options: dict[str, Any]) -> Huey:
    expires = "expire_time" in options
    if options.pop("priority", False):
        kind: type[Huey] = PriorityRedisExpireHuey if expires else PriorityRedisHuey
    else:
        kind = RedisExpireHuey if expires else RedisHuey
    return kind(name, url=url, **options)


def _postgres(
    url: str, parts: urllib.parse.SplitResult, name: str, options: dict[str, Any]
) -> Huey:
    return PostgresHuey(name, dsn=url, **options)


def _sqlite(url: str, parts: urllib.parse.SplitResult, name: str, options: dict[str, Any]) -> Huey:
    return SqliteHuey(name, filename=_path(url, parts), **_query(parts), **options)


def _file(url: str, parts: urllib.parse.SplitResult, name: str, options: dict[str, Any]) -> Huey:
    path = urllib.parse.unquote(parts.netloc + parts.path)
    return FileHuey(name, path=path, **_query(parts), **options)


def _memory(url: str, parts: urllib.parse.SplitResult, name: str, options: dict[str, Any]) -> Huey:
    return MemoryHuey(name, **options)


_SCHEMES: dict[str, Callable[..., Huey]] = {
    "redis": _redis,
    "rediss": _redis,
    "valkey": _redis,
    "valkeys": _redis,
    "unix": _redis,
    "redis+sentinel": _redis,
    "postgresql": _postgres,
    "postgres": _postgres,
    "sqlite": _sqlite,
    "file": _file,
    "memory": _memory,
}


def _path(url: str, parts: urllib.parse.SplitResult) -> str:
    """Read the path of an SQLite URL: three slashes for a relative one, four for an absolute."""
    if parts.netloc or not parts.path.startswith("/") or len(parts.path) < 2:
        raise ConfigurationError(
            "Expected sqlite:///relative/path.db, sqlite:////absolute/path.db "
            f"or sqlite:///:memory:, got {url!r}."
        )
    return urllib.parse.unquote(parts.path[1:])


def _query(parts: urllib.parse.SplitResult) -> dict[str, Any]:
    return {key: _value(text) for key, text in urllib.parse.parse_qsl(parts.query)}


def _value(text: str) -> Any:
    """Read a setting in a URL as true, false or a number where it looks like one."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _without_password(parts: urllib.parse.SplitResult) -> str:
    if parts.password is None:
        return parts.geturl()
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{host}").geturl()
