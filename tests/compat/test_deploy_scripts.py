"""The commands and lines that deployments are made of: row 11 of what the outside leans on.

`manage.py run_huey` is looked at among the tests of djhuey.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from huey import SqliteHuey
from huey.serializer import Serializer

APP = """
import os, signal
from huey import SqliteHuey
from huey.serializer import Serializer

class Marked(Serializer):
    def _serialize(self, data):
        return b"marked" + super()._serialize(data)

    def _deserialize(self, data):
        return super()._deserialize(data.removeprefix(b"marked"))

huey = SqliteHuey("app", filename="queue.db", serializer=Marked(), results=False)

@huey.task()
def stop():
    open("ran", "w").write("ran")
    os.kill(os.getpid(), signal.SIGINT)
"""

BIN = Path(sys.executable).parent
COMMANDS = {
    "huey_consumer": [str(BIN / "huey_consumer")],
    "huey_consumer.py": [str(BIN / "huey_consumer.py")],
    "python -m": [sys.executable, "-m", "huey.bin.huey_consumer"],
}


class Marked(Serializer):
    """The serializer of the application above."""

    def _serialize(self, message: Any) -> bytes:
        return b"marked" + super()._serialize(message)

    def _deserialize(self, data: bytes) -> Any:
        return super()._deserialize(data.removeprefix(b"marked"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an application and one task in its queue."""
    (tmp_path / "app.py").write_text(APP)
    huey = SqliteHuey("app", filename=str(tmp_path / "queue.db"), serializer=Marked())

    def stop() -> None: ...

    stop.__module__ = "app"
    huey.task()(stop)()
    huey.storage.close()
    return tmp_path


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> list[str]:
    return COMMANDS[request.param]


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder of the application, which is not on any path."""
    return subprocess.run(command, cwd=site, capture_output=True, text=True, timeout=60)


def test_each_command_serves_a_queue_until_it_is_stopped(site: Path, command: list[str]) -> None:
    done = run(site, *command, "app.huey", "-w", "2", "-k", "thread", "-v")

    assert done.returncode == 0, done.stderr
    assert (site / "ran").exists()
    assert "+ app.stop" in done.stderr
    assert "Received SIGINT" in done.stderr


def test_without_an_application_each_command_ends_with_code_1(
    site: Path, command: list[str]
) -> None:
    done = run(site, *command)

    assert done.returncode == 1
    assert done.stderr


def test_a_wrong_option_ends_with_code_2(site: Path, command: list[str]) -> None:
    assert run(site, *command, "app.huey", "-k", "goblin").returncode == 2


def test_an_application_that_is_not_there_is_named(site: Path, command: list[str]) -> None:
    done = run(site, *command, "nowhere.huey")

    assert done.returncode == 1
    assert "Error importing nowhere.huey" in done.stderr


def test_the_arguments_of_mlflow_are_taken(tmp_path: Path) -> None:
    huey = SqliteHuey(filename=str(tmp_path / "jobs.db"), results=False)

    @huey.task()
    def job() -> None: ...

    assert job() is None
    assert len(huey) == 1
    huey.storage.close()
