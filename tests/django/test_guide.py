"""The page about Django: every program on it runs as it is written."""

from __future__ import annotations

import os
import re
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from tests.django.project import ROOT

PAGE = (ROOT / "docs" / "guide" / "django.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n# (\S+)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
Reload = Callable[..., Any]


def programs(kind: str) -> list[str]:
    return [text for name, text in PROGRAMS if name == kind]


def run(name: str, text: str, **names: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = name
    vars(module).update(names)
    sys.modules[name] = module
    exec(compile(text, name, "exec"), vars(module))
    return module


@pytest.fixture(autouse=True)
def app() -> Iterator[None]:
    yield
    for name in ("app", "app.settings", "app.tasks", "app.views", "app.inspect", "app.tests"):
        sys.modules.pop(name, None)


def test_no_program_was_overlooked() -> None:
    assert len(PROGRAMS) == PAGE.count("```python\n")


@pytest.mark.parametrize("text", programs("settings.py"))
def test_settings(text: str, reloaded: Reload, tmp_path: Path) -> None:
    names = {
        "os": os,
        "BASE_DIR": tmp_path,
        "DEBUG": False,
        "DATABASES": settings.DATABASES,
    }
    found = vars(run("app.settings", text, **names))
    wanted = {key: found[key] for key in ("HUEY", "DJANGO_HUEY", "TASKS") if key in found}
    if "DJANGO_HUEY" in wanted:
        wanted["HUEY"] = None

    module = reloaded(DEBUG=False, **wanted)

    for key, huey in module.queues.hueys.items():
        expected = wanted.get("HUEY")
        if isinstance(expected, dict) and "consumer" in expected.get(key, expected):
            assert module.queues.consumers[key] == expected.get(key, expected)["consumer"]
        assert not huey.immediate


@pytest.mark.parametrize("name", ["app/tasks.py", "app/views.py", "app/inspect.py"])
def test_modules(name: str, reloaded: Reload) -> None:
    for text in programs(name):
        reloaded(HUEY={"default": {"immediate": True}, "mail": {"immediate": True}})
        run(name.removesuffix(".py").replace("/", "."), text)


def test_the_tests_of_a_project_pass(reloaded: Reload) -> None:
    reloaded(HUEY={"huey_class": "huey.MemoryHuey", "immediate": False})
    sys.modules["app"] = types.ModuleType("app")
    run("app.tasks", programs("app/tasks.py")[0])
    tests = run("app.tests", programs("tests.py")[0])

    suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
    result = unittest.TestResult()
    with override_settings(DEBUG=False):
        suite.run(result)

    assert (result.testsRun, result.errors, result.failures) == (3, [], [])


def test_every_name_of_the_page_is_there() -> None:
    from huey.contrib import djhuey

    listed = PAGE.split("## Names")[1].split("```")[0]
    names = re.findall(r"`(\w+)`", listed)

    assert len(names) > 30
    assert not [name for name in names if not hasattr(djhuey, name)]
