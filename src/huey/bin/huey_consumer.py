"""The historic command: ``huey_consumer [options] path.to.huey``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from huey.cli import run
from huey.cli.application import find
from huey.cli.parsing import parse
from huey.cli.terminal import err
from huey.constants import WORKER_PROCESS
from huey.consumer_options import ConsumerConfig, OptionParserHandler
from huey.utils import load_class

__all__ = [
    "WORKER_PROCESS",
    "ConsumerConfig",
    "OptionParserHandler",
    "consumer_main",
    "err",
    "load_class",
    "load_huey",
]


def load_huey(path: str) -> Any:
    """Import the object at ``pkg.module.name``, ``pkg.module:name`` or ``pkg.module:make()``.

    Raises:
        Exception: what the import raised, after a line on standard error.
    """
    try:
        return find(path)
    except Exception:
        err(f"Error importing {path}")
        raise


def consumer_main() -> None:
    """Run the command with the arguments of this process.

    Raises:
        SystemExit: unless the consumer ran and has stopped; code 1 without an application that
            can run, 2 for a wrong option.
    """
    parser = argparse.ArgumentParser(description="Run a consumer of a Huey task queue.")
    run.configure(parser)
    code = run.run(parse(parser, None))
    if code:
        sys.exit(code)


if __name__ == "__main__":
    consumer_main()
