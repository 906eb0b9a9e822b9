"""django-huey builds the arguments of its command from the tables of OptionParserHandler.

It goes through the three groups, looks the text under ``type`` up in a table of its own, renames
``-v`` because Django has one, changes the dicts as it goes, and hands all it knows to
ConsumerConfig.
"""

import argparse
import logging
from typing import Any

import pytest
from django.core.management.base import BaseCommand

from huey.consumer_options import ConsumerConfig, OptionParserHandler

TYPES = {"int": int, "float": float}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Do to a parser what django-huey does."""
    handler = OptionParserHandler()
    for specs in (
        handler.get_logging_options(),
        handler.get_worker_options(),
        handler.get_scheduler_options(),
    ):
        for short, long_flag, kwargs in specs:
            if short == "-v":
                short, long_flag = "-V", "--huey-verbose"
            if "type" in kwargs:
                kwargs["type"] = TYPES[kwargs["type"]]
            kwargs.setdefault("default", None)
            parser.add_argument(long_flag, short, **kwargs)


class Command(BaseCommand):
    """A Django command that takes the options, as run_djangohuey does."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)


def parsed(*argv: str) -> dict[str, Any]:
    parser = Command().create_parser("manage.py", "run_djangohuey")
    return dict(vars(parser.parse_args(list(argv))))


def test_the_options_fit_beside_those_that_every_django_command_has() -> None:
    options = parsed("-w", "3", "-k", "process", "-d", ".5", "-V", "-n", "-v", "2", "-s", "5")

    given = {name: options[name] for name in ("workers", "worker_type", "initial_delay")}
    assert given == {"workers": 3, "worker_type": "process", "initial_delay": 0.5}
    assert (options["verbose"], options["periodic"], options["verbosity"]) == (True, False, 2)
    assert options["scheduler_interval"] == 5


def test_an_option_that_was_not_given_is_none() -> None:
    options = parsed()

    assert options["workers"] is options["periodic"] is options["verbose"] is None


def test_changing_what_was_read_leaves_the_next_reader_alone() -> None:
    first, second = parsed("-w", "2"), parsed("-w", "3")

    assert (first["workers"], second["workers"]) == (2, 3)


def test_the_help_can_be_shown() -> None:
    text = Command().create_parser("manage.py", "run_djangohuey").format_help()

    assert "--huey-verbose" in text


@pytest.mark.parametrize("worker_type", ["thread", "greenlet", "process", "asyncio"])
def test_every_kind_of_worker_can_be_asked_for(worker_type: str) -> None:
    assert parsed("-k", worker_type)["worker_type"] == worker_type


def test_all_that_a_django_command_knows_may_be_handed_to_the_config() -> None:
    options = parsed("-w", "3", "--settings", "site.settings")
    given = {name: value for name, value in options.items() if value is not None}
    logger = logging.getLogger("django-huey-options")
    before = len(logger.handlers)

    config = ConsumerConfig(**given)
    config.validate()
    config.setup_logger(logger)

    assert config.values == ConsumerConfig(workers=3).values
    assert len(logger.handlers) == before + 1
