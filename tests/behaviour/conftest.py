"""A Huey on each storage that there is: whoever asks for `make_huey` or `huey` runs on several.

Memory and SQLite by default; HUEY_BEHAVIOUR_STORAGES names others, with commas, or is "all".
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from huey.api import (
    FileHuey,
    Huey,
    MemoryHuey,
    PostgresHuey,
    PriorityRedisHuey,
    SqliteHuey,
)
from tests.behaviour.driving import News


class MakeHuey(Protocol):
    """Builds a Huey on a storage of its own; `mixin` goes in front of the class."""

    def __call__(self, name: str = "app", *, mixin: type | None = None, **options: Any) -> Huey: ...


Options = Callable[[pytest.FixtureRequest, Path], dict[str, Any]]


#: The storages that know priorities and whose results are read once: class, and the options that
#: give it a place of its own.
STORAGES: dict[str, tuple[type[Huey], Options]] = {
    "memory": (MemoryHuey, lambda request, place: {}),
    "sqlite": (SqliteHuey, lambda request, place: {"filename": f"{place}.db"}),
    "file": (FileHuey, lambda request, place: {"path": str(place)}),
    "postgres": (
        PostgresHuey,
        lambda request, place: {"dsn": request.getfixturevalue("postgres_url")},
    ),
    "redis": (
        PriorityRedisHuey,
        lambda request, place: {"url": request.getfixturevalue("valkey_url")},
    ),
}

_ASKED = os.environ.get("HUEY_BEHAVIOUR_STORAGES", "memory,sqlite")


@pytest.fixture(params=list(STORAGES) if _ASKED == "all" else _ASKED.split(","))
def make_huey(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeHuey]:
    """A function that builds Hueys on the storage of this run."""
    kind, options_for = STORAGES[request.param]
    numbers = itertools.count()
    made: list[Huey] = []

    def make(name: str = "app", *, mixin: type | None = None, **options: Any) -> Huey:
        place = options_for(request, tmp_path / f"{next(numbers)}")
        base = kind if mixin is None else type(mixin.__name__, (mixin, kind), {})
        made.append(base(name, **place, **options))
        return made[-1]

    yield make
    for huey in made:
        huey.storage.close()


@pytest.fixture
def huey(make_huey: MakeHuey) -> Huey:
    """A Huey with the usual settings."""
    return make_huey()


@pytest.fixture
def news(huey: Huey) -> News:
    """What signals `huey` has sent so far."""
    return News(huey)
