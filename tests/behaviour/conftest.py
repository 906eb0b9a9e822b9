"""A Huey on each storage that there is: whoever asks for `make_huey` or `huey` runs on all."""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from huey.api import Huey, MemoryHuey, SqliteHuey
from tests.behaviour.driving import News


class MakeHuey(Protocol):
    """Builds a Huey on a storage of its own; `mixin` goes in front of the class."""

    def __call__(self, name: str = "app", *, mixin: type | None = None, **options: Any) -> Huey: ...


Options = Callable[[Path], dict[str, Any]]

#: The storages: class, options that give it a place of its own, and the module that must exist.
STORAGES: dict[str, tuple[type[Huey], Options, str]] = {
    "memory": (MemoryHuey, lambda place: {}, "huey.storage.memory"),
    "sqlite": (SqliteHuey, lambda place: {"filename": f"{place}.db"}, "huey.storage.sql.sqlite"),
}


def _available() -> list[str]:
    return [name for name, (_, _, module) in STORAGES.items() if importlib.util.find_spec(module)]


@pytest.fixture(params=_available())
def make_huey(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeHuey]:
    """A function that builds Hueys on the storage of this run."""
    kind, options_for, _ = STORAGES[request.param]
    numbers = itertools.count()
    made: list[Huey] = []

    def make(name: str = "app", *, mixin: type | None = None, **options: Any) -> Huey:
        place = options_for(tmp_path / f"{next(numbers)}")
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
