"""One suite for every kind of worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Application, application

KINDS = ("thread", "process", "greenlet", "asyncio")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "greenlet":
        pytest.importorskip("gevent")
    return str(request.param)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    with application(f"sqlite:////{tmp_path / 'queue.db'}", tmp_path) as opened:
        yield opened
