"""Arguments to a dict, with the tolerance that the historic command had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huey.cli.terminal import note

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> dict[str, Any]:
    """Parse a command line; surplus arguments are ignored, surplus options are an error."""
    namespace, surplus = parser.parse_known_args(argv)
    if any(argument.startswith("-") for argument in surplus):
        parser.error(f"unrecognized arguments: {' '.join(surplus)}")
    if surplus:
        note(f"Warning: ignored, since one application is enough: {' '.join(surplus)}")
    return vars(namespace)
