"""The caller's own connection: what psycopg connection is behind the object that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey.exceptions import ConfigurationError

if TYPE_CHECKING:
    from psycopg import Connection


def borrow(given: object) -> Connection[Any]:
    """Find the psycopg connection in what an application has at hand.

    Args:
        given: a psycopg connection, a connection or session of SQLAlchemy, or a connection of
            Django. Its transaction, if it has none yet, is begun as its own statements would.

    Raises:
        ConfigurationError: there is no psycopg 3 connection in it.
    """
    import psycopg

    inner: Any = given
    if hasattr(inner, "ensure_connection"):
        inner = _of_django(inner)
    elif callable(getattr(inner, "connection", None)):
        inner = _of_sqlalchemy(inner.connection())
    elif hasattr(inner, "in_transaction") and hasattr(inner, "connection"):
        inner = _of_sqlalchemy(inner)
    if not isinstance(inner, psycopg.Connection):
        raise ConfigurationError(
            "connection must be a psycopg 3 connection, or one of SQLAlchemy or Django that uses "
            f"psycopg 3 for PostgreSQL, got {type(given).__name__} with {type(inner).__name__}."
        )
    return inner


def _of_django(wrapper: Any) -> object:
    wrapper.ensure_connection()
    return wrapper.connection


def _of_sqlalchemy(connection: Any) -> object:
    # SQLAlchemy commits only what it has begun itself.
    if not connection.in_transaction():
        connection.begin()
    return getattr(connection.connection, "driver_connection", None)
