"""The consumer's options: one table for the consumer command, the admin command and run_huey."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from huey.constants import WORKER_ASYNCIO, WORKER_PROCESS, WORKER_THREAD, WORKER_TYPES

if TYPE_CHECKING:
    import optparse
    from typing import Self

__all__ = [
    "ConsumerConfig",
    "InvalidOption",
    "OptionParserHandler",
    "config_defaults",
    "config_keys",
    "option",
    "LOG_FORMATS",
    "WORKER_THREAD",
    "WORKER_TYPES",
]

#: A short flag, a long flag, and what ``add_argument`` takes beside them.
OptionSpec = tuple[str, str, dict[str, Any]]

LOG_FORMATS = ("text", "json")

_GRACEFUL_SIGNALS = ("INT", "TERM")

#: Periodic tasks are checked on the minute, so the scheduler must pass it without a remainder.
_INTERVALS = tuple(seconds for seconds in range(1, 61) if 60 % seconds == 0)


class InvalidOption(ValueError):
    """A value that the consumer cannot work with; ``option`` is its name in ``config_keys``."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


class _Options(NamedTuple):
    """What a consumer can be told, with defaults; durations in seconds."""

    # Those of Huey 3.5.4 stay first and in its order: applications read config_keys by position.
    workers: int = 1
    worker_type: str = WORKER_THREAD
    initial_delay: float = 0.1
    backoff: float = 1.15
    max_delay: float = 10.0
    check_worker_health: bool = True
    health_check_interval: float = 10
    scheduler_interval: int = 1
    periodic: bool = True
    logfile: str | None = None
    verbose: bool | None = None
    simple_log: bool | None = None
    flush_locks: bool = False
    extra_locks: str | None = None
    max_tasks: int | None = None
    shutdown_timeout: float | None = None
    graceful_signal: str = "INT"
    log_format: str = "text"


#: Pairs of name and default, in a fixed order.
config_defaults: tuple[tuple[str, Any], ...] = tuple(_Options._field_defaults.items())

#: The names alone, in the same order.
config_keys: list[str] = [name for name, _ in config_defaults]

#: What shapes the log is for ``setup_logger``; the consumer itself does not take it.
_LOG_KEYS = frozenset({"logfile", "verbose", "simple_log", "log_format"})


class ConsumerConfig(_Options):
    """The options of one consumer, filled up with defaults; nothing is checked until validate().

    Unknown names are ignored: Django commands hand over every option that they have.
    """

    __slots__ = ()

    def __new__(cls, **options: Any) -> Self:
        """Take any of ``config_keys`` by name."""
        known = {name: options[name] for name in config_keys if name in options}
        return super().__new__(cls, **known)

    def validate(self) -> None:
        """Check the values that would make a consumer misbehave.

        Raises:
            InvalidOption: a ValueError that names the option, what is allowed and what came.
        """
        if self.workers < 0:
            raise InvalidOption("workers", f"workers must be 0 or more, got {self.workers!r}.")
        if not self.backoff >= 1:  # true of NaN as well
            raise InvalidOption("backoff", f"backoff must be at least 1, got {self.backoff!r}.")
        if self.scheduler_interval not in _INTERVALS:
            allowed = ", ".join(map(str, _INTERVALS))
            raise InvalidOption(
                "scheduler_interval",
                f"scheduler_interval must be a whole number of seconds that divides a minute "
                f"({allowed}), got {self.scheduler_interval!r}.",
            )
        self._validate_choice("graceful_signal", _GRACEFUL_SIGNALS)
        self._validate_choice("log_format", LOG_FORMATS)

    def _validate_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            allowed = " or ".join(choices)
            raise InvalidOption(name, f"{name} must be {allowed}, got {value!r}.")

    @property
    def values(self) -> dict[str, Any]:
        """What ``Huey.create_consumer`` takes: every option except those of the log."""
        return {name: value for name, value in self._asdict().items() if name not in _LOG_KEYS}

    @property
    def loglevel(self) -> int:
        """INFO; DEBUG when ``verbose`` is True, WARNING when it is False."""
        if self.verbose is None:
            return logging.INFO
        return logging.DEBUG if self.verbose else logging.WARNING

    def setup_logger(self, logger: logging.Logger | None = None) -> None:
        """Give a logger its level and one more handler, to ``logfile`` or standard error.

        Args:
            logger: the logger to set up; ``None`` means the root logger.

        Raises:
            OSError: if ``logfile`` cannot be opened.
        """
        handler: logging.Handler
        handler = logging.FileHandler(self.logfile) if self.logfile else logging.StreamHandler()
        handler.setFormatter(self._formatter())
        logger = logging.getLogger() if logger is None else logger
        logger.addHandler(handler)
        logger.setLevel(self.loglevel)

    def _formatter(self) -> logging.Formatter:
        worker = "process" if self.worker_type == WORKER_PROCESS else "threadName"
        if self.log_format == "json":
            from huey.logs import JsonFormatter

            return JsonFormatter(worker)
        if self.simple_log:
            return logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S")
        return logging.Formatter(f"[%(asctime)s] %(levelname)s:%(name)s:%({worker})s:%(message)s")


def option(name: str | tuple[str, str], **options: Any) -> OptionSpec:
    """Describe one option the way argparse and optparse both take it.

    Args:
        name: an option's name, whose first letter becomes the short flag and which is also where
            the value is kept; or the pair of letter and long name, taken as they are.
        options: what ``add_argument`` takes; ``type`` as the text ``'int'`` or ``'float'``.
    """
    if isinstance(name, tuple):
        letter, long_name = name
    else:
        letter, long_name = name[0], name.replace("_", "-")
        options.setdefault("dest", name)
    return (f"-{letter}", f"--{long_name}", options)


class OptionParserHandler:
    """The table of options, by group.

    Each call builds fresh tuples, and a type is a text: django-huey changes the dicts and looks
    the texts up in a table of its own.
    """

    def get_logging_options(self) -> tuple[OptionSpec, ...]:
        """List what shapes the log."""
        return (
            option("logfile", metavar="FILE", help="log to this file (default=standard error)"),
            option("verbose", action="store_true", help="log more, DEBUG included"),
            option(
                ("q", "quiet"),
                action="store_false",
                dest="verbose",
                help="log less: WARNING and above",
            ),
            option(
                ("S", "simple"),
                action="store_true",
                dest="simple_log",
                help="log only the time of day and the message",
            ),
        )

    def get_worker_options(self) -> tuple[OptionSpec, ...]:
        """List what shapes the workers and the way they stop."""
        return (
            *_worker_options(),
            *_polling_options(),
            *_health_options(),
            *_lock_options(),
            *_ending_options(),
        )

    def get_scheduler_options(self) -> tuple[OptionSpec, ...]:
        """List what shapes the scheduler."""
        return (
            option(
                "scheduler_interval",
                type="int",
                metavar="SECONDS",
                help="how often to look after the schedule; must divide 60 (default=1)",
            ),
            option(
                ("n", "no-periodic"),
                action="store_false",
                dest="periodic",
                help="do not enqueue periodic tasks",
            ),
        )

    def get_option_parser(self) -> optparse.OptionParser:
        """Build a parser whose values, where no flag was given, are None.

        It stays one of optparse, since scripts unpack its ``(options, arguments)``; the command
        itself parses with argparse, from the same table.
        """
        import optparse

        parser = optparse.OptionParser("Usage: %prog [options] path.to.huey_instance")
        for title, description, specs in self.groups():
            group = parser.add_option_group(title, description)
            for short, long_flag, kwargs in specs:
                group.add_option(short, long_flag, **kwargs)
        return parser

    def groups(self) -> tuple[tuple[str, str, tuple[OptionSpec, ...]], ...]:
        """List title, description and options of each group, in the order of the help."""
        return (
            ("Logging", "What is logged, where and how.", self.get_logging_options()),
            (
                "Workers",
                "One thread runs the tasks unless you ask for more, or for another kind of worker.",
                self.get_worker_options(),
            ),
            (
                "Scheduler",
                "The scheduler enqueues tasks that are due, and periodic tasks.",
                self.get_scheduler_options(),
            ),
        )


def _worker_options() -> tuple[OptionSpec, ...]:
    choices = (*WORKER_TYPES, WORKER_ASYNCIO)
    return (
        option("workers", type="int", metavar="N", help="number of workers (default=1)"),
        option(
            ("k", "worker-type"),
            choices=choices,
            dest="worker_type",
            help=(
                f"kind of worker: {', '.join(choices)} (default=thread). Take process for work "
                "that keeps a CPU busy, greenlet or asyncio for work that waits for the network, "
                "and thread when in doubt."
            ),
        ),
    )


def _polling_options() -> tuple[OptionSpec, ...]:
    return (
        option(
            ("d", "delay"),
            type="float",
            dest="initial_delay",
            metavar="SECONDS",
            help="shortest wait before an empty queue is asked again (default=0.1)",
        ),
        option(
            "max_delay",
            type="float",
            metavar="SECONDS",
            help="longest wait before an empty queue is asked again (default=10)",
        ),
        option(
            "backoff",
            type="float",
            metavar="FACTOR",
            help="growth of that wait while the queue stays empty, at least 1 (default=1.15)",
        ),
    )


def _health_options() -> tuple[OptionSpec, ...]:
    return (
        option(
            ("c", "health-check-interval"),
            type="float",
            dest="health_check_interval",
            metavar="SECONDS",
            help="how often to check that the workers live (default=10)",
        ),
        option(
            ("C", "disable-health-check"),
            action="store_false",
            dest="check_worker_health",
            help="do not replace workers that die",
        ),
    )


def _lock_options() -> tuple[OptionSpec, ...]:
    return (
        option("flush_locks", action="store_true", help="free all locks at the start"),
        option(
            ("L", "extra-locks"),
            dest="extra_locks",
            metavar="NAMES",
            help="names of further locks to free at the start, separated by commas; implies -f",
        ),
    )


def _ending_options() -> tuple[OptionSpec, ...]:
    return (
        option(
            ("M", "max-tasks"),
            type="int",
            dest="max_tasks",
            metavar="COUNT",
            help="replace a worker after it has run this many tasks (default=never)",
        ),
        option(
            ("t", "shutdown-timeout"),
            type="float",
            dest="shutdown_timeout",
            metavar="SECONDS",
            help=(
                "how long running tasks may take to finish when the consumer is asked to stop; "
                "those which do not are handed back to the queue (default=8 on SIGTERM, without "
                "limit on SIGINT)"
            ),
        ),
        option(
            "graceful_signal",
            choices=_GRACEFUL_SIGNALS,
            help=(
                "the signal after which running tasks have all the time they need, INT or TERM "
                "(default=INT); after the other one they have 8 seconds. -t holds for both."
            ),
        ),
    )
