"""``manage.py run_huey``: start a consumer."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.management.color import color_style, no_style
from django.utils.module_loading import autodiscover_modules

from huey.constants import WORKER_GREENLET, WORKER_PROCESS
from huey.consumer_options import LOG_FORMATS, ConsumerConfig, OptionParserHandler
from huey.contrib.djhuey.management import starting
from huey.exceptions import ConfigurationError

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from huey.app.huey import Huey

_TYPES = {"int": int, "float": float}


class Command(BaseCommand):
    """Runs the tasks of one queue until it is told to stop."""

    help = "Run a consumer of a Huey queue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take every option of the consumer, and a few of Django's world."""
        for title, description, specs in OptionParserHandler().groups():
            group = parser.add_argument_group(title, description)
            for short, flag, kwargs in specs:
                if short == "-v":
                    # Django's own: --verbosity.
                    short, flag = "-V", "--huey-verbose"
                if "type" in kwargs:
                    kwargs["type"] = _TYPES[kwargs["type"]]
                group.add_argument(short, flag, **{"default": None, **kwargs})
        parser.add_argument(
            "--log-format", choices=LOG_FORMATS, help="text, or one JSON object per line"
        )
        parser.add_argument(
            "-A",
            "--disable-autoload",
            action="store_true",
            help="do not import the tasks modules of the installed apps",
        )
        parser.add_argument("--queue", help="key of the queue in the settings (default queue)")
        parser.add_argument(
            "--reload", action="store_true", help="start again whenever a Python file changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the consumer.

        Raises:
            CommandError: it cannot be started that way.
        """
        if options["reload"] and self._is_supervisor():
            return
        huey, configured = self._find_queue(options["queue"])
        config = self._config(configured, options)
        self._prepare_workers(config)
        if not options["disable_autoload"]:
            autodiscover_modules("tasks")
        try:
            starting.set_up_log(config, self._log_style(options))
            self._run(huey, config)
        except (ConfigurationError, OSError) as error:
            raise CommandError(str(error)) from error

    def _is_supervisor(self) -> bool:
        code = starting.supervise(getattr(settings, "BASE_DIR", os.getcwd()))
        if code:
            sys.exit(code)
        return code is not None

    def _find_queue(self, name: str | None) -> tuple[Huey, dict[str, Any]]:
        from huey.contrib.djhuey import queues
        from huey.contrib.djhuey.facade import UnknownQueue

        try:
            return queues.get_queue(name), queues.consumers.get(name or queues.default, {})
        except UnknownQueue as error:
            raise CommandError(str(error)) from error

    def _config(self, configured: dict[str, Any], options: dict[str, Any]) -> ConsumerConfig:
        given = {key: value for key, value in options.items() if value is not None}
        if "verbose" not in given and options["verbosity"] != 1:
            given["verbose"] = options["verbosity"] > 1
        config = ConsumerConfig(**{**configured, **given})
        try:
            config.validate()
        except ValueError as error:
            raise CommandError(str(error)) from error
        return config

    def _prepare_workers(self, config: ConsumerConfig) -> None:
        if config.worker_type == WORKER_GREENLET and not starting.is_patched():
            if not getattr(self, "_called_from_command_line", False):
                raise CommandError(
                    "Greenlets need the standard library patched before Django is loaded: call "
                    "gevent.monkey.patch_all() first, or run `manage.py run_huey -k greenlet`."
                )
            starting.restart_patched()
        from huey.contrib.djhuey.database import keep_from_children

        if config.worker_type == WORKER_PROCESS:
            keep_from_children()

    def _run(self, huey: Huey, config: ConsumerConfig) -> None:
        if huey.immediate:
            raise CommandError(
                "The queue is in immediate mode, so its tasks run where they are called and there "
                'is nothing to consume. Set HUEY["immediate"] = False: without it, it is the value '
                f"of DEBUG, which is {settings.DEBUG}."
            )
        consumer = huey.create_consumer(**config.values)
        logging.getLogger("huey.consumer").debug("Queue %s, options %s", huey.name, config.values)
        consumer.run()

    def _log_style(self, options: dict[str, Any]) -> Any:
        if options["no_color"]:
            return no_style()
        return color_style(options["force_color"])
