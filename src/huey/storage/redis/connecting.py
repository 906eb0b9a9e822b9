"""From the constructor's arguments to a connection pool. Nothing here contacts the server.

The pools are built here, with time limits and without retries: the driver's own clients send a
command again when its reply was lost, and a message would then be enqueued twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from huey.exceptions import ConfigurationError
from huey.storage import drivers

if TYPE_CHECKING:
    from redis.connection import ConnectionPool

#: Seconds that a reply may take; a blocking command waits at most half of it by itself.
PATIENCE = 10.0
#: Seconds that a connection may take to be made.
CONNECT_PATIENCE = 5.0

#: Schemes under which the same servers are known elsewhere.
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "redis+unix": "unix",
    "valkey+unix": "unix",
}
_SENTINEL_SCHEMES = {"redis+sentinel": False, "rediss+sentinel": True}
_SENTINEL_PORT = 26379


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what is None among host, port and db: presets pass all three."""
    loose = ("host", "port", "db")
    return {key: value for key, value in params.items() if value is not None or key not in loose}


def make_pool(
    *,
    url: str | None,
    connection_pool: Any,
    params: Mapping[str, Any],
    read_timeout: float,
    client_name: str | None,
) -> ConnectionPool:
    """Build a pool, or take the one that is given.

    Args:
        url: such as ``redis://host:6379/0``; also ``rediss``, ``valkey``, ``unix`` and
            ``redis+sentinel://host1:26379,host2:26379/service/0``.
        connection_pool: a pool of the driver, left as it is.
        params: keyword arguments of the driver's connection.
        read_timeout: seconds for which the classic ``dequeue`` blocks.
        client_name: how our connections are listed by the server.

    Raises:
        ConfigurationError: if more than one of the three is given, or one is no good.
    """
    drivers.require("redis", extra="redis", purpose="A Redis storage")
    chosen = [
        name
        for name, value in (
            ("url", url is not None),
            ("connection_pool", connection_pool is not None),
            ("connection parameters", bool(params)),
        )
        if value
    ]
    if len(chosen) > 1:
        raise ConfigurationError(
            f"The connection is over-determined: expected one of url, connection_pool and "
            f"connection parameters, got {' and '.join(chosen)} ({', '.join(params) or 'no'} "
            "parameters). Leave out all but one."
        )
    if connection_pool is not None:
        pool: ConnectionPool = connection_pool
    elif url is not None:
        pool = _pool_of_url(url, _defaults(read_timeout, client_name))
    else:
        pool = _pool_of_params(_defaults(read_timeout, client_name) | dict(params))
    _refuse_text(pool)
    return pool


def describe(pool: Any) -> str:
    """Name the server of a pool, for messages; never with a password."""
    settings = getattr(pool, "connection_kwargs", {})
    if "path" in settings:
        return f"the server at {settings['path']}"
    service = getattr(pool, "service_name", None)
    if service is not None:
        return f"the master of {service}"
    address = f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    # Against a server without TLS nothing happens, until time is over.
    encrypted = "SSL" in getattr(pool.connection_class, "__name__", "")
    return f"the server at {address}{' (over TLS)' if encrypted else ''}"


def _defaults(read_timeout: float, client_name: str | None) -> dict[str, Any]:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        # A reply that comes after the limit is lost, and with it what a blocking pop removed.
        "socket_timeout": max(PATIENCE, read_timeout + PATIENCE / 2),
        "socket_connect_timeout": CONNECT_PATIENCE,
        "retry": Retry(NoBackoff(), 0),
        # Some versions of the driver allow 100, and fail in the thread that comes next.
        "max_connections": 2**31,
        "protocol": 2,
        "client_name": client_name,
    }


def _pool_of_params(params: dict[str, Any]) -> ConnectionPool:
    from redis.connection import (
        Connection,
        ConnectionPool,
        SSLConnection,
        UnixDomainSocketConnection,
    )

    path = params.pop("unix_socket_path", None)
    if path is not None:
        params["path"] = path
    encrypted = params.pop("ssl", False)
    if "connection_class" not in params:
        if "path" in params:
            params["connection_class"] = UnixDomainSocketConnection
        else:
            params["connection_class"] = SSLConnection if encrypted else Connection
    if "path" not in params:
        # Else a connection whose other end vanished without a word is never missed.
        params.setdefault("socket_keepalive", True)
    pool = ConnectionPool(**params)
    _check_settings(pool)
    return pool


def _pool_of_url(url: str, params: dict[str, Any]) -> ConnectionPool:
    scheme, separator, rest = url.partition("://")
    if scheme in _SENTINEL_SCHEMES:
        return _pool_of_sentinel(url, params, encrypted=_SENTINEL_SCHEMES[scheme])
    if not separator or scheme not in _SCHEMES:
        known = ", ".join(sorted({*_SCHEMES, *_SENTINEL_SCHEMES}))
        raise ConfigurationError(
            f"Expected a Redis URL with one of the schemes {known}, "
            f'got "{scheme if separator else "no scheme at all"}".'
        )
    from redis.connection import parse_url

    try:
        settings = parse_url(f"{_SCHEMES[scheme]}://{rest}")  # type: ignore[no-untyped-call]
    except ValueError as exc:
        # The driver's text may quote the URL, and the URL may hold a password.
        raise ConfigurationError(
            f"The Redis URL cannot be read: expected {scheme}://user:password@host:port/db?option="
            f"value with a number as port, and a value of the right kind for each option "
            f"({type(exc).__name__}). Special characters in the password must be escaped, as %40."
        ) from None
    return _pool_of_params(params | dict(settings))


def _pool_of_sentinel(url: str, params: dict[str, Any], encrypted: bool) -> ConnectionPool:
    from redis.sentinel import Sentinel, SentinelConnectionPool

    # Several hosts in one URL: not even the port can be read off it the usual way.
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    path = [unquote(piece) for piece in parts.path.split("/") if piece]
    if not hosts or not path or len(path) > 2 or not all(p.isdigit() for p in path[1:]):
        raise ConfigurationError(
            f"Expected {parts.scheme}://user:password@host1:26379,host2:26379/service/db, got a "
            "URL without hosts or service, or with a db that is not a number."
        )
    username, _, password = credentials.partition(":")
    params |= {"username": unquote(username) or None, "password": unquote(password) or None}
    params["db"] = int(path[1]) if len(path) == 2 else 0
    limits = {key: params[key] for key in ("socket_timeout", "socket_connect_timeout")}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_sentinel_address(host) for host in hosts.split(",")], sentinel_kwargs=limits
    )
    pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
        path[0], sentinel, ssl=encrypted, **params
    )
    return pool


def _sentinel_address(text: str) -> tuple[str, int]:
    host, _, port = text.strip().partition(":")
    if port and not port.isdigit():
        raise ConfigurationError(f"Expected a number as port of the Sentinel {host}, got {port!r}.")
    return host, int(port or _SENTINEL_PORT)


def _check_settings(pool: ConnectionPool) -> None:
    """Build, but do not open, a connection: a wrong setting shows now, not with the first task."""
    try:
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(
            f"The driver's connections do not take these settings: {exc}. Expected host, port, db, "
            "username, password, and others that its documentation names."
        ) from None


def _refuse_text(pool: Any) -> None:
    if getattr(pool, "connection_kwargs", {}).get("decode_responses"):
        raise ConfigurationError(
            "Messages are bytes, but the connection turns replies into text: leave out "
            "decode_responses=True, or give this queue a pool of its own."
        )
