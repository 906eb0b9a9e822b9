"""The ``huey`` command: picks the subcommand and hands over to its file."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Protocol

from huey.cli import run
from huey.cli.options import add_version
from huey.cli.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Subcommand(Protocol):
    """What the module of a subcommand offers."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Give a parser the arguments of the subcommand."""

    def run(self, given: Mapping[str, Any]) -> int:
        """Do it, with what was on the command line; returns the exit code."""


_SUBCOMMANDS: dict[str, Subcommand] = {module.NAME: module for module in (run,)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Args:
        argv: arguments after the command's name; those of this process if ``None``.
    """
    parser = argparse.ArgumentParser("huey", description="Run and look after Huey task queues.")
    if sys.version_info >= (3, 14):
        parser.suggest_on_error = True
    add_version(parser)
    subcommands = parser.add_subparsers(dest="subcommand", metavar="command", required=True)
    for name, module in _SUBCOMMANDS.items():
        module.configure(subcommands.add_parser(name, help=module.HELP, description=module.HELP))
    given = parse(parser, argv)
    return _SUBCOMMANDS[given.pop("subcommand")].run(given)
