"""For development: start the consumer again whenever its code changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from huey.cli.terminal import note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: Tells the child process not to watch in its turn.
_CHILD = "HUEY_RELOAD_CHILD"

#: Seconds between two looks at the files, or at the child.
_PAUSE = 0.5

_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages"})


def is_child() -> bool:
    """Tell whether this process was started by one that watches the code."""
    return _CHILD in os.environ


def supervise(root: Path) -> int:
    """Run the command that is running now in a child process, and again after each change.

    SIGINT, SIGTERM and SIGHUP go on to the child; after the first two its end is ours.

    Returns:
        The exit code of the last child, or 128 plus the number of the signal that ended it.
    """
    note(f"Watching the Python files below {root}.")
    return _Supervisor(root).run()


class _Supervisor:
    """One child at a time, and the wish to stop."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stopping = False
        self._child: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._forward)
        changes = _changes(self._root)
        child = self._start()
        ended = False
        for changed in changes:
            if self._stopping:
                break
            if changed:
                note(f"{_listed(changed)} changed: starting again.")
                self._end(child)
                child, ended = self._start(), False
            elif not ended and child.poll() is not None:
                ended = True
                note(f"The consumer ended with code {child.returncode}; waiting for a change.")
        code = child.wait()
        return 128 - code if code < 0 else code

    def _start(self) -> subprocess.Popen[bytes]:
        # A process group of its own: Ctrl-C would reach the child twice, and a second SIGINT
        # means to stop at once.
        child = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            env={**os.environ, _CHILD: "1"},
            process_group=0 if os.name == "posix" else None,
        )
        self._child = child
        if self._stopping:
            # The signal came before there was a child to pass it on to.
            child.terminate()
        return child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        if child.poll() is None:
            child.terminate()
            child.wait()

    def _forward(self, signum: int, _: FrameType | None) -> None:
        self._stopping = self._stopping or signum in (signal.SIGINT, signal.SIGTERM)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signum)


def _changes(root: Path) -> Iterator[set[str]]:
    """Give the paths that changed, twice a second, mostly none."""
    try:
        import watchfiles
    except ImportError:
        return _poll(root, _modified(root))
    watched = watchfiles.watch(
        root,
        watch_filter=watchfiles.PythonFilter(),
        rust_timeout=int(_PAUSE * 1000),
        yield_on_timeout=True,
    )
    return ({path for _, path in changes} for changes in watched)


def _poll(root: Path, before: dict[str, int]) -> Iterator[set[str]]:
    while True:
        time.sleep(_PAUSE)
        now = _modified(root)
        yield {path for path, _ in before.items() ^ now.items()}
        before = now


def _modified(root: Path) -> dict[str, int]:
    """Read when each Python file below a folder was written last, in nanoseconds."""
    times = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS]
        for path in (os.path.join(folder, name) for name in files if name.endswith(".py")):
            try:
                times[path] = os.stat(path).st_mtime_ns
            except FileNotFoundError:
                # Editors replace files: it will be there on the next look.
                continue
    return times


def _listed(paths: set[str]) -> str:
    first, *others = sorted(os.path.relpath(path) for path in paths)
    return f"{first} and {len(others)} more" if others else first
