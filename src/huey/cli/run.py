"""``huey run``, and with the same options ``huey_consumer``: start a consumer."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huey.cli.application import Explained, find_application
from huey.cli.options import add_consumer_options
from huey.cli.sources import BadSetting, Setting, collect, misspelt
from huey.cli.terminal import err, note
from huey.constants import WORKER_GREENLET, WORKER_PROCESS
from huey.consumer_options import ConsumerConfig, InvalidOption
from huey.exceptions import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from types import TracebackType

NAME = "run"
HELP = "start a consumer"

_FAILED = 1
_MISUSED = 2
_INTERRUPTED = 130


def configure(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of this subcommand."""
    add_consumer_options(parser)


def run(given: Mapping[str, Any]) -> int:
    """Start a consumer and stay until it has stopped.

    Args:
        given: what was on the command line; the rest comes from environment, file and defaults.

    Returns:
        The exit code: 0 after a stop, 1 if there is no application to run or it is not set up
        rightly, 2 if an option has a value that cannot be.
    """
    try:
        settings = collect(given, os.environ, Path("pyproject.toml"))
        config = _config(settings)
    except BadSetting as error:
        err(f"Error: {error}")
        return _MISUSED
    for name, meant in misspelt(os.environ).items():
        note(f"Warning: {name} is ignored. Did you mean {meant}?")
    path = settings["app"].value
    if not path:
        err("Error:   no application: expected the import path of a Huey instance,")
        err("Example: huey_consumer app.queue.huey (or set HUEY_APP, or app in [tool.huey]).")
        return _FAILED
    if settings["reload"].value and not settings["dry_run"].value:
        from huey.cli.reload import is_child, supervise

        if not is_child():
            return supervise(Path.cwd())
    return _run_application(path, config, settings)


def _config(settings: Mapping[str, Setting]) -> ConsumerConfig:
    config = ConsumerConfig(**{name: setting.value for name, setting in settings.items()})
    try:
        config.validate()
    except InvalidOption as error:
        raise BadSetting(f"{error} It was set by: {settings[error.option].origin}.") from error
    return config


def _run_application(path: str, config: ConsumerConfig, settings: Mapping[str, Setting]) -> int:
    try:
        _prepare(config.worker_type)
        huey = _load(path)
        if huey is None:
            return _FAILED
        if settings["dry_run"].value:
            _report(path, huey, settings)
            return 0
        if not _set_up_log(config):
            return _MISUSED
        huey.create_consumer(**config.values).run()
    except ConfigurationError as error:
        err(f"Error: {error}")
        return _FAILED
    except KeyboardInterrupt:
        # Before the consumer runs; a running one takes SIGINT as the wish to stop.
        return _INTERRUPTED
    return 0


def _prepare(worker_type: str) -> None:
    if worker_type == WORKER_GREENLET:
        from huey.cli.gevent_patch import patch_standard_library

        patch_standard_library()
    if worker_type == WORKER_PROCESS and sys.platform == "win32":
        raise ConfigurationError(
            "Worker type process needs fork, which Windows lacks: choose -k thread."
        )


def _load(path: str) -> Any:
    """Import the application; None after having told why that failed."""
    try:
        return find_application(path)
    except (Explained, ConfigurationError) as error:
        err(f"Error importing {path}: {error}")
    except Exception as error:
        err(f"Error importing {path}")
        traceback.print_exception(type(error), error, _application_part(error.__traceback__))
    return None


def _application_part(trace: TracebackType | None) -> TracebackType | None:
    """Leave out how we came to the application's code: the error is in there."""
    ways = (os.path.dirname(__file__), os.path.dirname(importlib.__file__), "<frozen importlib")
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(ways):
        trace = trace.tb_next
    return trace


def _set_up_log(config: ConsumerConfig) -> bool:
    try:
        config.setup_logger(logging.getLogger("huey"))
    except OSError as error:
        err(f"Error: logfile cannot be written: {error}.")
        return False
    return True


def _report(path: str, huey: Any, settings: Mapping[str, Setting]) -> None:
    print(f"{path}: {type(huey).__name__} {getattr(huey, 'name', '')!r}")
    width = max(map(len, settings))
    for name, setting in settings.items():
        print(f"  {name:{width}}  {setting.value!s:10}  {setting.origin}")
    print("Nothing was started (--dry-run).")
