"""Real consumers for tests, as processes of their own."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
#: Seconds after which a wait in a test has failed.
PATIENCE = 30.0


class Application:
    """The application of `tests/apps.py`, on a storage and in a folder of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.environment = {
            **os.environ,
            "HUEY_TEST_URL": url,
            "HUEY_TEST_FOLDER": str(folder),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        }
        self.module = self._import()
        self.huey = self.module.huey
        self.consumers: list[Consumer] = []

    def _import(self) -> ModuleType:
        """Import the module afresh, so that its tasks belong to this test's storage."""
        before = {name: os.environ.get(name) for name in ("HUEY_TEST_URL", "HUEY_TEST_FOLDER")}
        os.environ.update(HUEY_TEST_URL=self.url, HUEY_TEST_FOLDER=str(self.folder))
        sys.modules.pop("tests.apps", None)
        try:
            return importlib.import_module("tests.apps")
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    def start_consumer(
        self, *options: str, periodic: bool = False, quick: bool = False
    ) -> Consumer:
        """Start a consumer; ``quick`` ones have a short lease."""
        module = "tests.faults.quick_consumer" if quick else "huey.bin.huey_consumer"
        consumer = Consumer(self, module, options if periodic else ("-n", *options))
        self.consumers.append(consumer)
        return consumer

    def notes(self) -> Counter[str]:
        try:
            return Counter((self.folder / "notes").read_text().splitlines())
        except FileNotFoundError:
            return Counter()

    def wait_for_note(self, what: str, count: int = 1) -> None:
        wait_until(lambda: self.notes()[what] >= count, f"{count} notes of {what!r}")

    def close(self) -> None:
        for consumer in self.consumers:
            consumer.kill()
        self.huey.storage.close()


class Consumer:
    """A `huey_consumer` process; its log can be waited for."""

    def __init__(self, application: Application, module: str, options: tuple[str, ...]) -> None:
        self.log = application.folder / f"consumer-{len(application.consumers)}.log"
        self._file = self.log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "tests.apps.huey", *options],
            cwd=application.folder,
            env=application.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.log.read_text(), f"{text!r} in the log")

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._file.close()

    def stop(self, signum: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.send(signum)
        return self.process.wait(PATIENCE)

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


def is_running(pid: int) -> bool:
    """Whether a process lives: one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for something outside of this process, which has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        select.select([], [], [], 0.005)


@contextlib.contextmanager
def application(url: str, folder: Path) -> Iterator[Application]:
    """Give an application, and end all its consumers afterwards."""
    opened = Application(url, folder)
    try:
        yield opened
    finally:
        opened.close()
