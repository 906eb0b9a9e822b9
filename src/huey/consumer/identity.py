"""Who a consumer is, and whether it can be told that one is dead."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

Info = Mapping[str, str | int | float | bool | None]


def new_id() -> str:
    """Make the identity of a consumer that starts now; unique even across forks and restarts."""
    return f"{socket.gethostname()}.{os.getpid()}.{uuid.UUID(bytes=os.urandom(16)).hex[:12]}"


def describe(workers: int, worker_type: str) -> dict[str, str | int | float | bool | None]:
    """Say where this process runs, so that a watcher on the same host can look for it."""
    return {
        "host": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid_namespace": _pid_namespace(),
        "pid": os.getpid(),
        "process_started": process_start(os.getpid()),
        "started_at": time.time(),
        "workers": workers,
        "worker_type": worker_type,
        "python": sys.version.split()[0],
    }


def is_gone(info: Info) -> bool | None:
    """Tell whether the process behind ``info`` is dead.

    Returns:
        True if it is certainly dead, False if it certainly lives, None if it cannot be seen from
        here: another host, another pid namespace, or a system without ``/proc``.
    """
    here = describe(0, "")
    if info.get("host") != here["host"] or info.get("boot_id") is None:
        return None
    if info["boot_id"] != here["boot_id"]:
        return True
    if info.get("pid_namespace") != here["pid_namespace"] or here["pid_namespace"] is None:
        return None
    return process_start(int(info["pid"] or 0)) != info.get("process_started")


def is_suspended(info: Info) -> bool:
    """Tell whether a living process on this host is stopped, and so cannot beat."""
    return _stat_fields(int(info["pid"] or 0))[0] in ("T", "t")


def process_start(pid: int) -> str | None:
    """Give the start time of a process, in the kernel's ticks; None if there is no such process."""
    fields = _stat_fields(pid)
    return None if fields[0] in ("", "Z", "X") else fields[19]


def _stat_fields(pid: int) -> list[str]:
    """Read the fields of /proc/<pid>/stat from the state on; [""] if there are none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [""]
    # The name of the program stands in parentheses and may hold anything.
    return text.rpartition(")")[2].split()


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _pid_namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
