"""On which kind of file system is a file? SQLite's log needs memory that all processes share."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
#: File systems whose machines do not share memory, by the beginning of their names.
_REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "fuse.sshfs", "fuse.gluster")


def remote_kind(path: str, mounts: str | None = None) -> str | None:
    """Name the kind of network file system that a path is on; None if it is none, or unknown.

    Args:
        path: absolute.
        mounts: the table of mounts, in the format of Linux; by default that of this process.
    """
    if mounts is None:
        mounts = ""
        with contextlib.suppress(OSError):  # not Linux
            mounts = _MOUNTS.read_text()
    found = max(
        (_mount(line) for line in mounts.splitlines() if _contains(_mount(line)[0], path)),
        key=lambda mount: len(mount[0]),
        default=("", ""),
    )
    return found[1] if found[1].startswith(_REMOTE) else None


def _mount(line: str) -> tuple[str, str]:
    before, _, after = line.partition(" - ")
    # Blanks in names are written in octal.
    folder = before.split(" ")[4].replace("\\040", " ")
    return folder, after.split(" ")[0]


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
