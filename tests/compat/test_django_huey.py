"""django-huey runs several queues in one project, through the names that it knows of Huey.

Its tables of options are looked at in `test_django_huey_options.py`; here it runs as it is.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of a site's tasks, after its command was stopped by SIGINT."""
    folder = tmp_path_factory.mktemp("queues")
    done = subprocess.run(
        [sys.executable, "-m", "tests.compat.programs.queues", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_its_command_runs_a_consumer_until_it_is_told_to_stop(told: dict[str, Any]) -> None:
    assert told["first"] == [3, 7, None]
    assert told["scheduled"] == 1


def test_options_come_from_the_settings_and_the_command_line(told: dict[str, Any]) -> None:
    options = told["options"]

    assert options["workers"] == 3
    assert options["worker_type"] == "thread"
    assert told["starts"] == 3
    assert not {"verbose", "logfile", "simple_log", "unknown option"} & options.keys()


def test_queues_are_apart_and_named(told: dict[str, Any]) -> None:
    assert told["second"] == 8
    assert told["names"] == ["first", "other"]
    assert told["is redis"] is False


def test_the_wrapped_methods_work(told: dict[str, Any]) -> None:
    assert told["revoked"] == [True, True]
    assert sorted(told["hooks"]) == sorted(["before", "after"] * 3)


def test_a_replaced_call_local_is_the_function(told: dict[str, Any]) -> None:
    assert told["local"] == 2
