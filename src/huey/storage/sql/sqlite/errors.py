"""SQLite's errors in words: which file, what was expected, what to do."""

from __future__ import annotations

import re
import sqlite3

from huey.exceptions import ConfigurationError, HueyException, StorageError

_FULL, _BUSY, _LOCKED, _READONLY = 13, 5, 6, 8
_CORRUPT, _CANTOPEN, _NOTADB = 11, 14, 26

#: What a person should know and do, by SQLite's primary result code.
_ADVICE = {
    _FULL: "the disk is full: nothing was written; make room, and try again",
    _BUSY: "another process has kept it locked: end long transactions, or raise timeout",
    _LOCKED: "another process has kept it locked: end long transactions, or raise timeout",
    _READONLY: "it cannot be written: check the permissions of the file and of its directory",
    _CORRUPT: "it is damaged: stop all who use it, and restore it with sqlite3's .recover",
    _CANTOPEN: "it cannot be opened: expected a file in a directory that exists, both writable",
    _NOTADB: "it is not an SQLite database: move it away, or choose another filename",
}
#: What only a person can change.
_SETUP = (_CANTOPEN, _NOTADB)


class SqliteFailure(StorageError, sqlite3.OperationalError):
    """SQLite refused an operation; nothing of it was written.

    It is also what sqlite3 would have raised, for applications that expect that.
    """


def explained(error: Exception, filename: str, opening: bool = False) -> HueyException:
    """Translate an error of SQLite.

    Args:
        error: what the driver raised.
        filename: the database, for the message.
        opening: whether the database was just being opened: then the setup is wrong.
    """
    code = _code(error) & 0xFF
    advice = _ADVICE.get(code)
    text = f"SQLite database {filename!r}: {advice} ({error})." if advice else str(error)
    if code in _SETUP or (opening and code == _READONLY):
        return ConfigurationError(text)
    failure = SqliteFailure(text)
    if isinstance(error, sqlite3.Error) and code:
        failure.sqlite_errorcode = error.sqlite_errorcode
        failure.sqlite_errorname = error.sqlite_errorname
    return failure


def _code(error: Exception) -> int:
    """Find SQLite's result code, which sqlite3 has as an attribute and cysqlite in the text."""
    known = getattr(error, "sqlite_errorcode", None)
    if known:
        return int(known)
    found = re.search(r"\(code=(\d+)", str(error))
    if found:
        return int(found[1])
    return _CANTOPEN if "unable to open database" in str(error) else 0
