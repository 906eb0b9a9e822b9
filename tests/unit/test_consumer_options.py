"""What a consumer can be told, and what Huey's users read from the tables."""

import io
import json
import logging
import optparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huey.consumer_options import (
    ConsumerConfig,
    InvalidOption,
    OptionParserHandler,
    config_defaults,
    config_keys,
    option,
)
from huey.logs import JsonFormatter

#: Recorded by running Huey 3.5.4.
HISTORIC_DEFAULTS = (
    ("workers", 1),
    ("worker_type", "thread"),
    ("initial_delay", 0.1),
    ("backoff", 1.15),
    ("max_delay", 10.0),
    ("check_worker_health", True),
    ("health_check_interval", 10),
    ("scheduler_interval", 1),
    ("periodic", True),
    ("logfile", None),
    ("verbose", None),
    ("simple_log", None),
    ("flush_locks", False),
    ("extra_locks", None),
    ("max_tasks", None),
    ("shutdown_timeout", None),
    ("graceful_signal", "INT"),
)

#: Short flag, long flag, and the keywords which decide what a value becomes; likewise recorded.
HISTORIC_FLAGS = [
    ("-l", "--logfile", "logfile", None, None),
    ("-v", "--verbose", "verbose", None, "store_true"),
    ("-q", "--quiet", "verbose", None, "store_false"),
    ("-S", "--simple", "simple_log", None, "store_true"),
    ("-w", "--workers", "workers", "int", None),
    ("-k", "--worker-type", "worker_type", None, None),
    ("-d", "--delay", "initial_delay", "float", None),
    ("-m", "--max-delay", "max_delay", "float", None),
    ("-b", "--backoff", "backoff", "float", None),
    ("-c", "--health-check-interval", "health_check_interval", "float", None),
    ("-C", "--disable-health-check", "check_worker_health", None, "store_false"),
    ("-f", "--flush-locks", "flush_locks", None, "store_true"),
    ("-L", "--extra-locks", "extra_locks", None, None),
    ("-M", "--max-tasks", "max_tasks", "int", None),
    ("-t", "--shutdown-timeout", "shutdown_timeout", "float", None),
    ("-g", "--graceful-signal", "graceful_signal", None, None),
    ("-s", "--scheduler-interval", "scheduler_interval", "int", None),
    ("-n", "--no-periodic", "periodic", None, "store_false"),
]


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    own = logging.getLogger(f"huey-options-{request.node.name}")
    own.propagate = False
    yield own
    for handler in own.handlers:
        # Those which pytest put there are not ours to close.
        if isinstance(handler, logging.FileHandler):
            handler.close()


def written(logger: logging.Logger, path: Path, **options: Any) -> str:
    """Log one message through a logger that was set up with the options."""
    ConsumerConfig(logfile=str(path), **options).setup_logger(logger)
    logger.warning("tea is ready")
    return path.read_text()


class TestConfig:
    def test_the_historic_defaults_come_first_and_in_their_order(self) -> None:
        assert config_defaults[: len(HISTORIC_DEFAULTS)] == HISTORIC_DEFAULTS
        assert config_keys == [name for name, _ in config_defaults]

    def test_names_that_are_no_option_are_ignored(self) -> None:
        config = ConsumerConfig(workers=3, settings="site.settings", verbosity=1)

        assert config == ConsumerConfig(workers=3)
        assert config.workers == 3

    def test_options_cannot_be_given_by_position(self) -> None:
        with pytest.raises(TypeError):
            ConsumerConfig(3)  # type: ignore[call-arg]

    def test_the_consumer_is_told_everything_but_what_shapes_the_log(self) -> None:
        log_options = {"logfile", "verbose", "simple_log"}

        values = ConsumerConfig(verbose=True, simple_log=True, log_format="json").values

        assert values == {k: v for k, v in HISTORIC_DEFAULTS if k not in log_options}

    def test_the_defaults_are_valid(self) -> None:
        ConsumerConfig().validate()

    def test_a_consumer_with_a_scheduler_alone_is_valid(self) -> None:
        ConsumerConfig(workers=0).validate()

    @pytest.mark.parametrize("seconds", [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60])
    def test_an_interval_that_divides_a_minute_is_valid(self, seconds: int) -> None:
        ConsumerConfig(scheduler_interval=seconds).validate()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("backoff", 0.5),
            ("backoff", float("nan")),
            ("scheduler_interval", 0),
            ("scheduler_interval", 7),
            ("scheduler_interval", 45),
            ("scheduler_interval", 90),
            ("graceful_signal", "HUP"),
            ("log_format", "xml"),
            ("workers", -1),
        ],
    )
    def test_a_bad_value_is_refused_by_name_only_when_validated(
        self, name: str, value: Any
    ) -> None:
        config = ConsumerConfig(**{name: value})

        with pytest.raises(ValueError, match=f"{name} must be .* got {value!r}") as refusal:
            config.validate()

        assert isinstance(refusal.value, InvalidOption)
        assert refusal.value.option == name

    @pytest.mark.parametrize(
        ("verbose", "level"),
        [(None, logging.INFO), (True, logging.DEBUG), (False, logging.WARNING)],
    )
    def test_verbose_decides_the_level(
        self, logger: logging.Logger, verbose: bool | None, level: int
    ) -> None:
        config = ConsumerConfig(verbose=verbose)

        config.setup_logger(logger)

        assert config.loglevel == logger.level == level


class TestLog:
    def test_a_line_names_time_level_logger_and_thread(
        self, logger: logging.Logger, tmp_path: Path
    ) -> None:
        line = written(logger, tmp_path / "log")

        assert line.startswith("[")
        assert line.endswith(f"] WARNING:{logger.name}:MainThread:tea is ready\n")

    def test_process_workers_are_told_apart_by_process_id(
        self, logger: logging.Logger, tmp_path: Path
    ) -> None:
        line = written(logger, tmp_path / "log", worker_type="process")

        worker = line.split(":")[-2]
        assert worker.isdigit()

    def test_a_simple_line_is_the_time_of_day_and_the_message(
        self, logger: logging.Logger, tmp_path: Path
    ) -> None:
        line = written(logger, tmp_path / "log", simple_log=True)

        time_of_day, message = line.split(" ", 1)
        assert [part.isdigit() for part in time_of_day.split(":")] == [True, True, True]
        assert message == "tea is ready\n"

    def test_without_a_file_the_log_goes_to_standard_error(
        self, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ConsumerConfig().setup_logger(logger)

        logger.info("hello")

        assert capsys.readouterr().err.endswith(":hello\n")

    def test_a_handler_is_added_to_those_that_are_there(self, logger: logging.Logger) -> None:
        logger.addHandler(logging.NullHandler())
        before = logger.handlers[:]

        ConsumerConfig().setup_logger(logger)

        *kept, added = logger.handlers
        assert kept == before
        assert type(added) is logging.StreamHandler

    def test_a_json_line_says_who_logged_what_and_when(
        self, logger: logging.Logger, tmp_path: Path
    ) -> None:
        line = json.loads(written(logger, tmp_path / "log", log_format="json"))

        assert line.pop("time")[-6] in "+-"
        assert line == {
            "level": "WARNING",
            "logger": logger.name,
            "worker": "MainThread",
            "message": "tea is ready",
        }

    def test_a_json_line_carries_the_task_and_the_exception(self, logger: logging.Logger) -> None:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)

        try:
            raise RuntimeError("no\nmilk")
        except RuntimeError:
            extra = {"task_id": "7f3a", "task_name": "tea", "attempt": 2, "queue": "kitchen"}
            logger.exception("failed", extra=extra, stack_info=True)

        line = json.loads(stream.getvalue())
        assert line.items() >= extra.items()
        assert line["exception"].startswith("Traceback")
        assert "RuntimeError: no\nmilk" in line["exception"]
        assert line["stack"].startswith("Stack")
        assert stream.getvalue().count("\n") == 1


class TestOption:
    def test_a_plain_name_gives_letter_flag_and_destination(self) -> None:
        assert option("max_delay", type="float") == (
            "-m",
            "--max-delay",
            {"type": "float", "dest": "max_delay"},
        )

    def test_a_destination_of_its_own_is_kept(self) -> None:
        assert option("delay", dest="wait") == ("-d", "--delay", {"dest": "wait"})

    def test_a_pair_of_letter_and_name_is_taken_as_it_is(self) -> None:
        assert option(("q", "quiet"), help="hush") == ("-q", "--quiet", {"help": "hush"})


class TestParserHandler:
    def test_the_groups_hold_the_historic_flags_and_no_others(self) -> None:
        handler = OptionParserHandler()

        specs = (
            *handler.get_logging_options(),
            *handler.get_worker_options(),
            *handler.get_scheduler_options(),
        )

        found = [(s, f, k["dest"], k.get("type"), k.get("action")) for s, f, k in specs]
        assert found == HISTORIC_FLAGS

    def test_its_parser_is_unpacked_into_options_and_arguments(self) -> None:
        parser = OptionParserHandler().get_option_parser()

        options, arguments = parser.parse_args(["-w", "4", "app.huey", "--del=.5", "-q"])

        assert isinstance(parser, optparse.OptionParser)
        assert arguments == ["app.huey"]
        given = {name: value for name, value in vars(options).items() if value is not None}
        assert given == {"workers": 4, "initial_delay": 0.5, "verbose": False}
