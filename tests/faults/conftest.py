"""The application of the fault tests, on each storage that outlives its consumers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Application, application


def _sqlite(folder: Path) -> str:
    return f"sqlite:////{folder / 'queue.db'}"


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Application]:
    """Give an application with an empty queue; its consumers end with the test."""
    match request.param:
        case "redis":
            url = request.getfixturevalue("valkey_url")
        case "postgres":
            url = request.getfixturevalue("postgres_url")
        case _:
            url = _sqlite(tmp_path)
    with application(url, tmp_path) as opened:
        yield opened


@pytest.fixture
def sqlite_app(tmp_path: Path) -> Iterator[Application]:
    """Give an application on SQLite."""
    with application(_sqlite(tmp_path), tmp_path) as opened:
        yield opened
