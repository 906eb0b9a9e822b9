"""django-huey-monitor keeps every signal in the database: row 4 of what the outside leans on.

It makes UUIDs of task ids, and formats sys.exc_info() inside of its receiver.
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
    """What a site with the monitor wrote down about some tasks."""
    database = tmp_path_factory.mktemp("monitored") / "db.sqlite"
    done = subprocess.run(
        [sys.executable, "-m", "tests.compat.programs.monitored", str(database)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("task", "signals"),
    [
        ("good", ["enqueued", "executing", "complete"]),
        ("cancelled", ["enqueued", "executing", "canceled"]),
        ("progress", ["enqueued", "executing", "complete"]),
        ("revoked", ["enqueued", "revoked"]),
        ("expired", ["enqueued", "expired"]),
        ("chord", ["enqueued", "executing", "complete"]),
        (
            "bad",
            ["enqueued", "executing", "error", "retrying", "enqueued", "executing", "error"],
        ),
    ],
)
def test_every_signal_arrives_and_the_end_is_seen(
    told: dict[str, Any], task: str, signals: list[str]
) -> None:
    assert told["tasks"][task]["signals"] == signals
    assert told["tasks"][task]["finished"] is True


def test_the_exception_is_there_with_its_traceback(told: dict[str, Any]) -> None:
    bad = told["tasks"]["bad"]

    assert bad["lines"] == ["broken on purpose"] * 2
    for text in bad["exceptions"]:
        assert text.startswith("Traceback")
        assert "raise ValueError" in text
        assert text.rstrip().endswith("ValueError: broken on purpose")


def test_its_progress_bar_takes_our_tasks(told: dict[str, Any]) -> None:
    assert told["tasks"]["progress"]["progress"] == 3


def test_its_startup_hook_runs_and_marks_what_an_earlier_worker_left(
    told: dict[str, Any],
) -> None:
    assert "unknown" in told["tasks"]["left over"]["signals"]


def test_its_admin_page_can_count(told: dict[str, Any]) -> None:
    assert "Pending: 8" in told["counts"]
    assert "Result: 1" in told["counts"]  # the revocation
