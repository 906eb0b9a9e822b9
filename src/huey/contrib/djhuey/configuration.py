"""Which queues the settings of a project declare, as values: nothing is built here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from huey.app.huey import Huey

#: The class that a dict without ``huey_class`` gets.
DEFAULT_CLASS = "huey.RedisHuey"

#: The key of the only queue, and of the first among several in ``HUEY``.
DEFAULT_KEY = "default"

#: Keys of a dict that describes one queue; others go to the class, such as ``filename``.
KNOWN_KEYS = frozenset(
    {
        "huey_class",
        "backend_class",
        "name",
        "results",
        "store_none",
        "store_intermediate_errors",
        "immediate",
        "immediate_use_memory",
        "utc",
        "blocking",
        "serializer",
        "compression",
        "use_zlib",
        "delivery",
        "storage_class",
        "connection",
        "consumer",
        "url",
        "database",
        "transactional",
    }
)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One queue, as the settings describe it."""

    #: Its name in decorators (``queue="mail"``) and commands (``--queue mail``).
    key: str
    #: Where it stands in the settings, for messages: ``HUEY["mail"]``.
    origin: str
    #: What stands there: a Huey instance, a URL, a dict, or something wrong.
    value: Any
    #: The name of the queue in its storage, unless the settings give one.
    name: str
    #: Whether it stands in no setting at all.
    implied: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The settings as one flat dict; entries of ``connection`` win. Empty for an instance."""
        match self.value:
            case str():
                return {"url": self.value}
            case Mapping():
                options = {**self.value}
                connection = options.pop("connection", None)
                return {**options, **connection} if isinstance(connection, Mapping) else options
        return {}

    @property
    def consumer(self) -> dict[str, Any]:
        """The options of its consumer; empty where the settings give none."""
        found = self.value.get("consumer") if isinstance(self.value, Mapping) else None
        return {**found} if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Declared:
    """All queues of a project."""

    queues: dict[str, Declaration]
    #: The key of the one that is meant where none is named.
    default: str
    #: Where the default was named, for messages.
    default_origin: str = "HUEY"


def read(settings: Any) -> Declared:
    """Find the queues in the settings ``HUEY`` and ``DJANGO_HUEY``; see the guide to Django."""
    base = queue_name(settings)
    own = _read_huey(getattr(settings, "HUEY", None), base)
    theirs = _django_huey(settings)
    if theirs is None:
        return own
    listed = theirs.get("queues")
    queues = {
        str(key): Declaration(str(key), f'DJANGO_HUEY["queues"]["{key}"]', value, str(key))
        for key, value in (listed.items() if isinstance(listed, Mapping) else ())
    }
    if getattr(settings, "HUEY", None) is not None:
        # Two packages side by side become one: the queue of djhuey stays its default.
        return Declared({**queues, **own.queues}, own.default)
    default = theirs.get("default") or next(iter(queues), "")
    return Declared(queues, str(default), 'DJANGO_HUEY["default"]')


def queue_name(settings: Any) -> str:
    """Give the name of a queue without one: that of the default database, or "huey"."""
    try:
        return str(settings.DATABASES["default"]["NAME"])
    except (AttributeError, KeyError):
        return "huey"


def is_several(value: Any) -> bool:
    """Tell whether a setting describes several queues: a dict of dicts, instances or URLs."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and not KNOWN_KEYS & value.keys()
        and all(isinstance(one, Mapping | Huey) or _is_url(one) for one in value.values())
    )


def plain_path(value: Any) -> Any:
    """Turn a path object into text; leave anything else."""
    return str(value) if isinstance(value, PathLike) else value


def _read_huey(value: Any, base: str) -> Declared:
    if not is_several(value):
        only = Declaration(DEFAULT_KEY, "HUEY", value, base, implied=value is None)
        return Declared({DEFAULT_KEY: only}, DEFAULT_KEY)
    # Two projects may share a server: only with the project's name no queue meets a namesake.
    names = {key: base if key == DEFAULT_KEY else f"{base}-{key}" for key in value}
    queues = {
        str(key): Declaration(str(key), f'HUEY["{key}"]', one, names[key])
        for key, one in value.items()
    }
    return Declared(queues, DEFAULT_KEY if DEFAULT_KEY in queues else next(iter(queues)))


def _django_huey(settings: Any) -> Mapping[str, Any] | None:
    """Give the setting of the package django-huey, unless that package itself uses it."""
    found = getattr(settings, "DJANGO_HUEY", None)
    if not isinstance(found, Mapping) or _is_installed(settings, "django_huey"):
        return None
    return found


def _is_installed(settings: Any, package: str) -> bool:
    apps = getattr(settings, "INSTALLED_APPS", ())
    return any(app.partition(".")[0] == package for app in apps)


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and "://" in value
