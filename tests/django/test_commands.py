"""The commands of manage.py, as a person or a service manager starts them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from huey.contrib.djhuey.management import starting
from tests.django.project import PROJECT, Project, until

#: Enqueues a task and waits for what it tells about its process.
WHERE = """
from reports.tasks import where  # type: ignore[import-not-found]  # of the example
print(json.dumps(where().get(blocking=True, timeout=30)))
"""
ADD = "from orders.tasks import add\nprint(json.dumps(add(2, 3).get(blocking=True, timeout=30)))"


class TestRunHuey:
    @pytest.mark.parametrize("kind", ["thread", "process", "asyncio"])
    def test_tasks_run_and_the_consumer_stops_in_order(self, project: Project, kind: str) -> None:
        with project.consumer("-k", kind, "-w", "2") as consumer:
            found = project.run(
                "from orders.tasks import add, count_orders\n"
                "from reports.tasks import report\n"
                "results = [add(2, 3), count_orders(), report()]\n"
                "print(json.dumps([one.get(blocking=True, timeout=30) for one in results]))"
            )
            code = consumer.end()

        assert found == [5, 0, {"orders": 0}]
        assert code == 0

    def test_tasks_of_all_installed_apps_are_found_and_options_of_the_settings_hold(
        self, project: Project
    ) -> None:
        with project.consumer() as consumer:
            text = until(lambda: _after(consumer, "commands are available"), "the list of tasks")

        assert "consumer started with 2 thread" in text
        assert "+ orders.tasks.ship" in text
        assert "+ reports.tasks.report" in text
        assert "+ huey.contrib.djhuey.tasks_backend.djtasks.run" in text

    def test_the_command_line_wins_over_the_settings(self, project: Project) -> None:
        with project.consumer("-w", "3", "-n", "-A") as consumer:
            text = until(lambda: _after(consumer, "commands are available"), "the list of tasks")

        assert "consumer started with 3 thread" in text
        assert "Periodic tasks are disabled" in text
        # Those of orders are there: its views, which the system checks load, import them.
        assert "reports.tasks" not in text

    def test_one_of_several_queues_is_chosen(self, project: Project) -> None:
        with project.consumer("djangohuey", "--queue", "mail", "-q"):
            found = project.run(
                "from orders.tasks import send_mail\n"
                "print(json.dumps(send_mail('me').get(blocking=True, timeout=30)))"
            )

        assert found == "sent to me"

    def test_greenlets_need_no_change_of_manage_py(self, project: Project) -> None:
        pytest.importorskip("gevent")
        with project.consumer("-q", "-k", "greenlet", "-w", "20") as consumer:
            found = project.run(WHERE)
            added = project.run(
                "from orders.tasks import count_orders\n"
                "print(json.dumps(count_orders().get(blocking=True, timeout=30)))"
            )
            code = consumer.end()

        # The process was replaced: whoever started it still holds its pid.
        assert found == {"pid": consumer.pid, "patched": True, "connected": False}
        assert (added, code) == (0, 0)

    def test_a_restart_in_place_keeps_the_greenlets(self, project: Project) -> None:
        pytest.importorskip("gevent")
        with project.consumer("-k", "greenlet") as consumer:
            until(lambda: _after(consumer, "commands are available"), "the start")
            consumer.process.send_signal(signal.SIGHUP)
            until(lambda: consumer.text().count("consumer started") == 2, "the second start")

            assert project.run(WHERE)["patched"]

    def test_a_forked_worker_shares_no_connection(self, project: Project) -> None:
        with project.consumer("-q", "-k", "process") as consumer:
            found = project.run(WHERE)

        assert found["pid"] != consumer.pid
        assert not found["connected"]

    def test_a_change_of_the_code_starts_it_again(self, project: Project, tmp_path: Path) -> None:
        code = tmp_path / "code"
        code.mkdir()
        with project.consumer(
            "--reload", SHOP_CODE=str(code), PYTHONDONTWRITEBYTECODE="1"
        ) as consumer:
            until(lambda: consumer.text().count("consumer started") == 1, "the start")
            first = project.run(WHERE)["pid"]
            (code / "new.py").write_text("x = 1\n")
            until(lambda: consumer.text().count("consumer started") == 2, "the second start")

            assert project.run(WHERE)["pid"] != first != consumer.pid
            assert consumer.end() == 0

    @pytest.mark.parametrize(
        ("arguments", "level"),
        [
            (["-v", "0"], "WARNING"),
            (["-v", "2"], "DEBUG"),
            (["-V"], "DEBUG"),
            (["-q", "-v", "2"], "WARNING"),
            ([], "INFO"),
        ],
    )
    def test_verbosity_is_that_of_djangos_commands(self, arguments: list[str], level: str) -> None:
        import logging

        from huey.contrib.djhuey.management.commands.run_huey import Command

        options = vars(Command().create_parser("manage.py", "run_huey").parse_args(arguments))
        config = Command()._config({}, options)

        assert logging.getLevelName(config.loglevel) == level


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "environment", "text"),
        [
            (["--queue", "post"], {}, "There is no queue 'post': the settings declare default"),
            (["-s", "7"], {}, "scheduler_interval must be a whole number of seconds"),
            (["-l", "/nowhere/huey.log"], {}, "No such file or directory: '/nowhere/huey.log'"),
            (["-k", "fibre"], {}, "invalid choice: 'fibre'"),
            ([], {"SHOP_IMMEDIATE": "1"}, "The queue is in immediate mode"),
            ([], {"SHOP_QUEUE": "pigeon://x"}, "Expected a URL that begins with one of"),
        ],
    )
    def test_one_is_told_and_the_exit_code_is_not_zero(
        self, tmp_path: Path, arguments: list[str], environment: dict[str, str], text: str
    ) -> None:
        done = Project(tmp_path).manage("run_huey", "--skip-checks", *arguments, **environment)

        assert text in done.stderr
        assert done.returncode > 0

    def test_greenlets_cannot_be_had_in_a_process_that_runs_already(self) -> None:
        from django.core.management import CommandError, call_command

        with pytest.raises(CommandError, match="patched before Django is loaded"):
            call_command("run_huey", worker_type="greenlet", skip_checks=True)


class TestCreateHueyTables:
    def test_the_tables_of_all_queues_are_made(self, project: Project) -> None:
        done = project.manage("create_huey_tables")

        assert (done.stdout.strip(), done.returncode) == (
            "The tables of default, mail are there.",
            0,
        )

    def test_a_queue_without_tables_is_an_error(self, tmp_path: Path) -> None:
        project = Project(tmp_path, SHOP_QUEUE="memory://")

        done = project.manage("create_huey_tables", "--queue", "default", "--skip-checks")

        assert "CommandError: There are no tables to create" in done.stderr
        assert done.returncode == 1


class TestThePatchedCommand:
    """How the command line is rebuilt for greenlets."""

    def command(self, *orig: str, argv: list[str]) -> list[str]:
        built = starting.patched_command(["python", *orig], argv)
        index = built.index("-c")
        return [*built[1:index], *built[index + 2 :]]

    def test_of_a_script(self) -> None:
        argv = ["manage.py", "run_huey", "-k", "greenlet"]

        assert self.command("-X", "dev", *argv, argv=argv) == [
            "-X",
            "dev",
            f"script:{argv[0]}",
            *argv[1:],
        ]

    def test_of_a_module(self) -> None:
        orig = ["-W", "error", "-m", "django", "run_huey"]

        assert self.command(*orig, argv=["/lib/django/__main__.py", "run_huey"]) == [
            "-W",
            "error",
            "module:django",
            "run_huey",
        ]


def test_a_consumer_dies_with_what_started_it_and_nothing_is_lost(project: Project) -> None:
    with project.consumer("-q", "-k", "process") as consumer:
        first = project.run(WHERE)["pid"]
        consumer.kill()
        until(lambda: not _lives(first), "the end of the worker")

    with project.consumer("-q"):
        assert project.run(ADD) == 5


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _after(consumer: Any, text: str) -> str:
    """What it has written, once a text is among it."""
    assert consumer.process.poll() is None, consumer.text()
    found: str = consumer.text()
    if text not in found or not found.endswith("\n"):
        return ""
    time.sleep(0.05)  # the list of tasks comes in one record, but maybe not in one read
    return str(consumer.text())


def test_the_example_is_where_these_tests_look() -> None:
    assert (PROJECT / "manage.py").exists()
