"""How a command speaks: red errors where colour is wanted, plain text elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_RED = "\033[91m"
_PLAIN = "\033[0m"


def wants_colour(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal whose user did not set NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def err(text: str) -> None:
    """Write a line to standard error, red on a terminal."""
    if wants_colour(sys.stderr):
        text = f"{_RED}{text}{_PLAIN}"
    sys.stderr.write(f"{text}\n")


def note(text: str) -> None:
    """Write a plain line to standard error: what a person should know, but nothing failed."""
    sys.stderr.write(f"{text}\n")
