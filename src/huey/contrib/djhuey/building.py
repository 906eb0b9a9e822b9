"""From what the settings declare to Huey instances."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from huey.app.huey import Huey
from huey.contrib.djhuey.configuration import DEFAULT_CLASS, Declaration, Declared, plain_path
from huey.contrib.djhuey.problems import REFUSED, WRONG_CLASS, WRONG_VALUE, Problem, same_queue
from huey.exceptions import ConfigurationError
from huey.presets import PostgresHuey, SqliteHuey, from_url

#: Keys that are for us, not for the class.
_OURS = ("huey_class", "backend_class", "consumer", "database", "transactional")


class BadSettings(ImproperlyConfigured):
    """The settings do not describe a queue; ``problem`` says what is wrong."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def build(declaration: Declaration, *, debug: bool) -> Huey:
    """Make the Huey that the settings describe.

    Args:
        declaration: what they say.
        debug: the setting ``DEBUG``, which a dict without ``immediate`` follows.

    Raises:
        BadSettings: they cannot be meant that way.
    """
    if isinstance(declaration.value, Huey):
        return declaration.value
    options = declaration.options
    if not declaration.implied:
        options.setdefault("immediate", debug)
    name = plain_path(options.pop("name", declaration.name))
    try:
        return _make(declaration, name, options)
    except BadSettings:
        raise
    except (ConfigurationError, TypeError, ValueError) as error:
        hint = "Change the settings, or install what is missing."
        text = f"{declaration.origin} is refused: {error}"
        raise BadSettings(Problem(REFUSED, text, hint)) from error


def check_distinct(declared: Declared, hueys: dict[str, Huey]) -> None:
    """Make sure that no two entries of the settings share one queue.

    Raises:
        BadSettings: two do.
    """
    seen: dict[Any, str] = {}
    for key, huey in hueys.items():
        origin = declared.queues[key].origin
        place = repr((type(huey).__name__, huey.name, huey.storage_kwargs))
        first = seen.setdefault(place, origin)
        if first is not origin:
            raise BadSettings(same_queue(first, origin))


def _make(declaration: Declaration, name: str, options: dict[str, Any]) -> Huey:
    ours = {key: options.pop(key, None) for key in _OURS}
    path, database = ours["huey_class"] or ours["backend_class"], ours["database"]
    kind = None if path is None else load_class(declaration, path)
    url = options.pop("url", None)
    if url is not None:
        kind, options = _follow(url, kind, name, options)
    elif kind is None and database is not None:
        kind = _kind_for_database(declaration, database)
    kind = kind or load_class(declaration, DEFAULT_CLASS)
    return _join(kind, name, options | _place(kind, database), _alias(ours), database is not None)


def _follow(url: str, kind: Any, name: str, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Find the class that a URL leads to, and turn the URL into its arguments."""
    if kind is not None and not (_is_class(kind) and kind.storage_class is not None):
        # A class of the project's own, which will know what to do with it.
        return kind, {**options, "url": url}
    choice = {key: options.pop(key) for key in ("priority", "expire_time") if key in options}
    # In immediate mode nothing is connected.
    found = from_url(url, name, immediate=True, **choice)
    if kind is not None and not issubclass(kind, type(found)):
        raise ConfigurationError(
            f'"url" leads to a {type(found).__name__}, "huey_class" says {kind.__name__}: '
            "leave one of the two out."
        )
    return kind or type(found), {**found.storage_kwargs, **options}


def _join(kind: Any, name: str, options: dict[str, Any], alias: str | None, own: bool) -> Huey:
    """Make the Huey, within the transactions of a database if ``alias`` names one."""
    if alias is not None:
        from huey.contrib.djhuey.transactional import transactional

        base = options.get("storage_class") or kind.storage_class
        options["storage_class"] = transactional(base, alias, own=own)
    made = kind(name, **options)
    if not isinstance(made, Huey):
        raise TypeError(f"expected a Huey, {kind!r} made {made!r}.")
    return made


def _alias(ours: dict[str, Any]) -> str | None:
    """Tell in whose transactions messages are to be enqueued."""
    wish, database = ours["transactional"], ours["database"]
    if wish is None:
        return str(database) if database is not None else None
    if wish is True:
        return str(database or "default")
    return str(wish) if wish else None


def _kind_for_database(declaration: Declaration, alias: str) -> type[Huey]:
    from django.db import connections

    match connections[alias].vendor:
        case "postgresql":
            return PostgresHuey
        case "sqlite":
            return SqliteHuey
        case vendor:
            text = (
                f'{declaration.origin}["database"] must be a PostgreSQL or SQLite database, '
                f"{alias!r} is {vendor}."
            )
            hint = 'Use "transactional" with a queue elsewhere: its tasks wait for the commit.'
            raise BadSettings(Problem(WRONG_VALUE, text, hint))


def _place(kind: Any, alias: str | None) -> dict[str, Any]:
    """Give the storage settings that lead to a database of the project."""
    if alias is None:
        return {}
    from huey.contrib.djhuey.transactional import postgres_opener, sqlite_path

    if _is_class(kind) and issubclass(kind, PostgresHuey):
        return {"connection": postgres_opener(alias)}
    if _is_class(kind) and issubclass(kind, SqliteHuey):
        return {"filename": sqlite_path(alias)}
    raise ConfigurationError(
        f'"database" goes with PostgresHuey or SqliteHuey, not with {kind!r}: leave it out, and '
        'say "transactional" to enqueue after the commit.'
    )


def load_class(declaration: Declaration, path: Any) -> Any:
    """Import the class at a dotted path; a class, or another callable, is itself.

    Raises:
        BadSettings: there is none.
    """
    if not isinstance(path, str):
        return path
    try:
        return import_string(path)
    except ImportError as error:
        text = f'{declaration.origin}["huey_class"] must be the path of a Huey class, got {path!r}:'
        hint = 'Example: "huey_class": "huey.RedisHuey".'
        raise BadSettings(Problem(WRONG_CLASS, f"{text} {error}.", hint)) from error


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Huey)
