"""The example project inside of this process, and in processes of its own."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.django.project import PROJECT, Project

# Django reads its settings once per process: they must be there before any test is imported.
_FOLDER = tempfile.TemporaryDirectory(prefix="huey-django-", dir="/tmp")
os.environ["SHOP_DIR"] = _FOLDER.name
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

import django  # noqa: E402

_zone = os.environ.get("TZ")
django.setup()
# Django sets the zone of the whole process, and other tests run in it, too.
os.environ.pop("TZ", None)
if _zone is not None:
    os.environ["TZ"] = _zone
time.tzset()


@pytest.fixture(scope="session", autouse=True)
def database() -> Iterator[None]:
    """Make the tables of the project in this process's own SQLite file."""
    from django.core.management import call_command
    from django.db import connections
    from django.test.utils import setup_test_environment, teardown_test_environment

    setup_test_environment()
    call_command("migrate", verbosity=0)
    yield
    connections.close_all()
    teardown_test_environment()


@pytest.fixture
def reloaded() -> Iterator[Callable[..., Any]]:
    """Import djhuey anew under other settings; afterwards all is as before."""
    from django.test import override_settings

    from huey.contrib import djhuey
    from huey.contrib.djhuey import tasks_backend

    before = dict(vars(djhuey))
    overrides: list[Any] = []

    def reload(**settings: Any) -> Any:
        override = override_settings(**settings)
        override.enable()
        overrides.append(override)
        return importlib.reload(djhuey)

    yield reload
    for override in reversed(overrides):
        override.disable()
    vars(djhuey).clear()
    vars(djhuey).update(before)
    tasks_backend.serve(djhuey.queues)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables of the project, and nothing else."""
    folder = tmp_path_factory.mktemp("tables")
    Project(folder).migrate()
    return folder / "shop.db"


@pytest.fixture
def project(tmp_path: Path, tables: Path) -> Project:
    """A copy of the shop with its tables."""
    shutil.copy(tables, tmp_path)
    return Project(tmp_path)
