"""Fixtures for the whole suite: the real servers, and a summary that names a missing one."""

import os
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from tests.services import NotOurs, Service, ServiceMissing, open_postgres, open_valkey

#: What this test process had to do without, and why. Workers of xdist send theirs when they end.
_missing: dict[str, str] = {}


@pytest.fixture(scope="session")
def valkey_server(worker_number: int) -> Iterator[Service]:
    """A Valkey of this test process: `url`, `clear`, `restart`, `kill`, `start`, `pause`."""
    yield from _serve("Valkey", open_valkey, worker_number)


@pytest.fixture(scope="session")
def postgres_server(worker_number: int) -> Iterator[Service]:
    """A PostgreSQL of this test process: `url`, `clear`, `restart`, `kill`, `start`, `pause`."""
    yield from _serve("PostgreSQL", open_postgres, worker_number)


@pytest.fixture
def valkey_url(valkey_server: Service) -> str:
    """Where an empty Valkey answers."""
    valkey_server.clear()
    return valkey_server.url


@pytest.fixture
def postgres_url(postgres_server: Service) -> str:
    """Where an empty PostgreSQL answers."""
    postgres_server.clear()
    return postgres_server.url


@pytest.fixture(scope="session")
def worker_number() -> int:
    """Which of the test processes this is, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _serve(name: str, start: Callable[[int], Service], worker: int) -> Iterator[Service]:
    try:
        server = start(worker)
    except ServiceMissing as reason:
        _do_without(name, str(reason))
    try:
        yield server
    finally:
        server.close()


def _do_without(name: str, reason: str) -> NoReturn:
    _missing[name] = reason
    if os.environ.get("HUEY_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{name} is required (HUEY_REQUIRE_SERVICES=1): {reason}", pytrace=False)
    pytest.skip(f"{name} is missing: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Treat a test that needs a private server, and found a named one, like a missing server."""
    try:
        return (yield)
    except NotOurs as reason:
        _do_without("private server", str(reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the list of missing servers from a worker to the process that writes the summary."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["missing_services"] = _missing


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Receive that list; a worker that crashed sent none."""
    _missing.update(getattr(node, "workeroutput", {}).get("missing_services", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was missing: a skipped test must never look like a passed one."""
    if _missing:
        terminalreporter.section("services that were missing", yellow=True)
    for name, reason in _missing.items():
        terminalreporter.line(f"{name}: {reason}")
