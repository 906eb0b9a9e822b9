"""Errors of psycopg, translated once at the boundary; no text ever shows a password."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from huey.exceptions import ConfigurationError, HueyException, StorageError, UnknownOutcome

if TYPE_CHECKING:
    import psycopg

#: SQLSTATEs after which the whole transaction was rolled back and may simply be tried again:
#: serialization failure, deadlock.
_TRY_AGAIN = frozenset({"40001", "40P01"})
#: The server ends the session: shutdown, crash, not up yet, idle for too long.
_FAREWELLS = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
#: A table, or a column of it, is missing.
_NOT_OURS = frozenset({"42P01", "42703", "3F000"})


class ConnectionLost(StorageError):
    """The connection broke while a statement was under way: it may or may not have been done."""


class Unstorable(HueyException, ValueError):
    """PostgreSQL has no room for a value: NUL in a key, a number that is too large."""


class InDoubt(UnknownOutcome):
    """The reply to a commit was lost, and the server cannot be asked yet what became of it.

    Args:
        reason: for the operator.
        signature: what the transaction has written if it was committed.
        result: what the transaction led to, if it was committed.
    """

    def __init__(self, reason: str, signature: Any, result: Any) -> None:
        super().__init__(f"The reply to a commit was lost: {reason}")
        self.signature = signature
        self.result = result


def is_lost(error: psycopg.Error, connection: psycopg.Connection[Any]) -> bool:
    """Tell whether the connection broke, so that it is open what the server has done."""
    import psycopg

    if connection.closed:
        return True
    if error.sqlstate is not None:
        return error.sqlstate in _FAREWELLS or error.sqlstate.startswith("08")
    # Without a code it does not come from the server: a connection on its way out shows itself in
    # many ways, and some of them while it still counts as open.
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def may_try_again(error: psycopg.Error) -> bool:
    """Tell whether the server rolled the transaction back for a reason that passes by itself."""
    return error.sqlstate in _TRY_AGAIN


def translate(error: psycopg.Error, connection: psycopg.Connection[Any]) -> HueyException:
    """Name an error of the driver in the words of Huey."""
    import psycopg

    text = " ".join(str(error).split())
    if error.sqlstate in _NOT_OURS:
        return ConfigurationError(
            f"A table of this storage is missing ({text}): call initialize_schema() once, "
            "with a database user that may create tables."
        )
    if isinstance(error, psycopg.DataError):
        # The caller's fault and no outage: trying again would never help.
        return Unstorable(f"PostgreSQL cannot store this: {text}")
    if is_lost(error, connection):
        return ConnectionLost(f"The connection to PostgreSQL broke: {text}")
    return StorageError(f"PostgreSQL refused: {text}")


def secrets_of(dsn: str, settings: dict[str, object]) -> list[str]:
    """Collect the passwords in connection settings, in order to keep them out of texts."""
    from psycopg import ProgrammingError, conninfo

    found = [settings.get("password"), settings.get("sslpassword")]
    # An unreadable dsn is reported when it is used.
    with contextlib.suppress(ProgrammingError):
        parts = conninfo.conninfo_to_dict(dsn)
        found += [parts.get("password"), parts.get("sslpassword")]
    return [str(secret) for secret in found if secret]


def without(secrets: list[str], text: str) -> str:
    """Blot out secrets in a text."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
