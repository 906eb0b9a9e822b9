"""The table of consumer options, as arguments of an argparse parser."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from huey.consumer_options import LOG_FORMATS, OptionParserHandler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Beside Huey's: long flags only, and not in the groups of OptionParserHandler, whose readers
#: hand over every short and long flag to parsers of their own.
_LOG_FORMAT = (
    "--log-format",
    {
        "choices": LOG_FORMATS,
        "dest": "log_format",
        "help": "text, or one JSON object per line (default=text)",
    },
)
_RELOAD = (
    "--reload",
    {
        "action": "store_true",
        "dest": "reload",
        "help": "start again whenever a Python file below the current directory changes",
    },
)
_DRY_RUN = (
    "--dry-run",
    {
        "action": "store_true",
        "dest": "dry_run",
        "help": "check the options, import the application, tell where each value comes from, "
        "and exit",
    },
)

_TYPES = {"int": int, "float": float}

#: Prefixes which meant one option until ours came beside it; scripts may use them.
_HISTORIC_PREFIXES: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--l", "--lo", "--log"), {"dest": "logfile"}),
    (("--v", "--ve", "--ver"), {"dest": "verbose", "action": "store_true"}),
)

_EPILOG = (
    "A value is taken from the flag, else from the environment variable in brackets, else from "
    "the table [tool.huey] of pyproject.toml in the current directory (same name without HUEY_, "
    "in small letters), else it is the default."
)


def variable_of(name: str) -> str:
    """Name the environment variable of an option."""
    return f"HUEY_{name.upper()}"


def every_option() -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through all options that hold a value, as long flag and argparse keywords."""
    for _, _, specs in OptionParserHandler().groups():
        for _, flag, kwargs in specs:
            yield flag, kwargs
    for flag, kwargs in (_LOG_FORMAT, _RELOAD, _DRY_RUN):
        yield flag, dict(kwargs)


def add_consumer_options(parser: argparse.ArgumentParser) -> None:
    """Let a parser take the path of the application and every option of the consumer.

    What was not given is absent from the namespace, so that other sources can fill it in.
    """
    parser.epilog = _EPILOG
    if sys.version_info >= (3, 14):
        parser.suggest_on_error = True
    parser.add_argument(
        "app",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="path.to.huey",
        help=f"pkg.module.name or pkg.module:name of a Huey instance, or pkg.module:make() of a "
        f"function that returns one [{variable_of('app')}]",
    )
    for title, description, specs in OptionParserHandler().groups():
        group = parser.add_argument_group(title, description)
        for short, flag, kwargs in specs:
            _add(group, (short, flag), kwargs)
        if title == "Logging":
            _add(group, *_split(_LOG_FORMAT))
    for command_option in (_RELOAD, _DRY_RUN):
        _add(parser, *_split(command_option))
    for prefixes, kwargs in _HISTORIC_PREFIXES:
        parser.add_argument(*prefixes, **kwargs, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    add_version(parser)


def add_version(parser: argparse.ArgumentParser) -> None:
    """Let a parser answer ``--version``."""
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")


def _split(spec: tuple[str, dict[str, Any]]) -> tuple[tuple[str], dict[str, Any]]:
    flag, kwargs = spec
    return (flag,), dict(kwargs)


def _add(target: argparse._ActionsContainer, flags: Sequence[str], kwargs: dict[str, Any]) -> None:
    if "type" in kwargs:
        kwargs["type"] = _TYPES[kwargs["type"]]
    kwargs["help"] = f"{kwargs['help']} [{variable_of(kwargs['dest'])}]"
    target.add_argument(*flags, default=argparse.SUPPRESS, **kwargs)


class _ShowVersion(argparse.Action):
    """Looks the version up only when asked: reading the package's metadata takes a while."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            installed = version("huey")
        except PackageNotFoundError:
            installed = "(not installed, run from its source)"
        print(f"huey {installed}")
        parser.exit()
