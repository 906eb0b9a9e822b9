"""Django's own tests of its immediate backend, on ours; HUEY_DJANGO_SOURCE is an unpacked sdist."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from huey.contrib.djhuey.tasks_api import PACKAGE
from huey.contrib.djhuey.testing import immediate_mode

SOURCE = os.environ.get("HUEY_DJANGO_SOURCE")
TASKS = {
    "default": {"BACKEND": "huey.contrib.djhuey.tasks_backend.HueyBackend", "QUEUES": []},
}

if SOURCE is None:
    pytest.skip(
        "they come with Django's sdist: name it unpacked in HUEY_DJANGO_SOURCE",
        allow_module_level=True,
    )
if PACKAGE != "django.tasks":
    pytest.skip("this Django has no tasks", allow_module_level=True)

sys.path.append(str(Path(SOURCE) / "tests"))
theirs: Any = importlib.import_module("tasks.test_immediate_backend")


class TestImmediateBackend(theirs.ImmediateBackendTestCase):  # type: ignore[misc]  # of the sdist
    @classmethod
    def setUpClass(cls) -> None:
        cls._overridden_settings = {"TASKS": TASKS}
        super().setUpClass()

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(immediate_mode(databases=()))

    def test_these_are_tests_of_our_backend(self) -> None:
        from huey.contrib.djhuey.tasks_backend import HueyBackend

        assert isinstance(theirs.task_backends["default"], HueyBackend)

    # What follows is true of that backend and not of ours, which can more.

    test_using_correct_backend = None
    test_cannot_get_result = None
    test_cannot_refresh_result = None
    test_cannot_pass_run_after = None
