"""How a command that runs a consumer starts: logging, greenlets, reloading."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.core.management.color import Style

    from huey.consumer_options import ConsumerConfig

#: Set in the process that has been patched, so that it is not replaced again.
_PATCHED = "HUEY_GEVENT_PATCHED"

#: Patches the standard library, and only then runs the command: nothing of Django is loaded before.
_BOOTSTRAP = """
import runpy, sys
from huey.cli.gevent_patch import patch_standard_library
patch_standard_library()
del sys.argv[0]
kind, target = sys.argv[0].split(":", 1)
sys.argv[0] = target
if kind == "module":
    runpy.run_module(target, run_name="__main__", alter_sys=True)
else:
    from os.path import abspath, dirname
    sys.path.insert(0, dirname(abspath(target)))
    runpy.run_path(target, run_name="__main__")
"""


# ── greenlets ──────────────────────────────────────────────────────────────────────────────────


def is_patched() -> bool:
    """Tell whether gevent has replaced the blocking functions of the standard library."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def restart_patched() -> None:
    """Replace this process by one that patches the standard library first; the pid stays.

    Does not return, unless the patched process itself comes here.
    """
    if os.environ.get(_PATCHED) == str(os.getpid()):
        return
    os.environ[_PATCHED] = str(os.getpid())
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, patched_command(sys.orig_argv, sys.argv))


def patched_command(orig_argv: list[str], argv: list[str]) -> list[str]:
    """Build the command line of the patched process.

    Args:
        orig_argv: ``sys.orig_argv``: the interpreter with its flags, the script, its arguments.
        argv: ``sys.argv``: the script and its arguments.
    """
    head = orig_argv[1 : len(orig_argv) - len(argv) + 1]
    if head[-2:-1] == ["-m"]:
        flags, target = head[:-2], f"module:{head[-1]}"
    else:
        flags, target = head[:-1], f"script:{head[-1]}"
    return [sys.executable, *flags, "-c", _BOOTSTRAP, target, *argv[1:]]


# ── reloading ──────────────────────────────────────────────────────────────────────────────────


def supervise(root: Any) -> int | None:
    """Run this command again in a child, and anew after each change of a Python file.

    Returns:
        The exit code at the end; None in the child, which has the work to do.
    """
    from huey.cli import reload

    if reload.is_child():
        return None
    return reload.supervise(Path(root))


# ── logging ────────────────────────────────────────────────────────────────────────────────────


def set_up_log(config: ConsumerConfig, style: Style) -> None:
    """Give the logger ``huey`` a handler and a level, unless the project's LOGGING did.

    Raises:
        OSError: the log file cannot be opened.
    """
    logger = logging.getLogger("huey")
    if logger.handlers:
        return
    config.setup_logger(logger)
    if not config.logfile and config.log_format == "text":
        [handler] = logger.handlers
        handler.setFormatter(_Coloured(handler.formatter, style))


class _Coloured(logging.Formatter):
    """Shows warnings and errors in the colours of Django's commands."""

    def __init__(self, plain: logging.Formatter | None, style: Style) -> None:
        super().__init__()
        self._plain = plain or logging.Formatter()
        self._colours = style

    def format(self, record: logging.LogRecord) -> str:
        text = self._plain.format(record)
        if record.levelno >= logging.ERROR:
            return str(self._colours.ERROR(text))
        if record.levelno >= logging.WARNING:
            return str(self._colours.WARNING(text))
        return text
