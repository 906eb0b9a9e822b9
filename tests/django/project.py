"""The example project, as other programs see it: manage.py, a consumer, a web server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "django_project"
#: Seconds for what takes a part of one on a machine that is not busy.
PATIENCE = 40.0


class Project:
    """One copy of the shop, with data of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "SHOP_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            **environment,
        }

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py to its end."""
        return subprocess.run(
            [sys.executable, str(PROJECT / "manage.py"), *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def run(self, program: str) -> Any:
        """Run Python in the project; gives what it prints, read as JSON."""
        start = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nimport django, json\n"
        done = subprocess.run(
            [sys.executable, "-c", f"{start}django.setup()\n{program}"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    def migrate(self) -> Project:
        """Make the tables."""
        done = self.manage("migrate", "-v", "0", "--skip-checks")
        assert not done.returncode, done.stderr
        return self

    @contextlib.contextmanager
    def consumer(self, *arguments: str, **environment: str) -> Iterator[Consumer]:
        """Start a consumer in a process of its own, and end it at the end of the block."""
        consumer = Consumer(self, arguments, environment)
        try:
            yield consumer
        finally:
            consumer.end()


class Consumer:
    """A running ``manage.py`` with a consumer."""

    def __init__(
        self, project: Project, arguments: tuple[str, ...], environment: dict[str, str]
    ) -> None:
        self.log = project.folder / f"consumer-{time.monotonic_ns()}.log"
        command = arguments if arguments[:1] == ("djangohuey",) else ("run_huey", *arguments)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(PROJECT / "manage.py"), *command],
                env=project.environment | environment,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> int:
        """Ask it to stop, and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def until(condition: Callable[[], Any], what: str) -> Any:
    """Look until something is so, and give it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)
    return found
