"""The commands that start a consumer: what they take, from where, and how they refuse.

Applications here are stand-ins that print, except where an instance of Huey itself matters.
"""

import contextlib
import logging
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from huey.bin.huey_consumer import consumer_main, err, load_huey
from huey.cli import run
from huey.cli.application import Explained, MissingModule, find, find_application
from huey.cli.main import main

SOURCE = Path(run.__file__).parents[2]

APPLICATION = """
import logging, sys

print("imported", logging.getLogger("huey").handlers)

class Application:
    name = "stand-in"

    def create_consumer(self, **options):
        print("created", options["workers"], options["worker_type"])
        logging.getLogger("huey").warning("logged")
        return self

    def run(self):
        print("ran", "gevent" in sys.modules)

huey = Application()

def make():
    return huey
"""


MODULES = ("kitchen", "pantry", "house", "house.kitchen")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Be in a directory that is not on the import path, with an application in it."""
    (tmp_path / "kitchen.py").write_text(APPLICATION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in [name for name in os.environ if name.startswith("HUEY_")]:
        monkeypatch.delenv(name)
    logger = logging.getLogger("huey")
    handlers, level = logger.handlers[:], logger.level
    yield tmp_path
    logger.handlers[:] = handlers
    logger.setLevel(level)
    for name in MODULES:
        sys.modules.pop(name, None)


@contextlib.contextmanager
def started(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command the way its script in bin/ does: without the directory on the path."""
    paths = {"PYTHONPATH": str(SOURCE), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", *argv],
        env={**os.environ, **paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def command(*argv: str) -> SimpleNamespace:
    """Run a command to its end."""
    with started(*argv) as process:
        stdout, stderr = process.communicate(timeout=60)
    return SimpleNamespace(stdout=stdout, stderr=stderr, returncode=process.returncode)


def until(process: subprocess.Popen[str], line: str) -> None:
    """Read what a process prints until it prints this."""
    assert process.stdout is not None
    assert any(printed == f"{line}\n" for printed in process.stdout), f"never printed: {line}"


@pytest.mark.usefixtures("project")
class TestProcess:
    def test_the_application_is_imported_before_the_log_and_the_consumer(self) -> None:
        done = command("huey.bin.huey_consumer", "kitchen.huey", "-w", "3")

        assert done.stdout.splitlines() == ["imported []", "created 3 thread", "ran False"]
        assert "WARNING:huey:MainThread:logged" in done.stderr
        assert done.returncode == 0

    def test_greenlet_workers_have_a_patched_world_when_the_application_is_imported(
        self, project: Path
    ) -> None:
        pytest.importorskip("gevent")
        (project / "pantry.py").write_text(
            "import socket\nprint(socket.socket.__module__)\nfrom kitchen import huey"
        )

        done = command("huey", "run", "pantry.huey", "-k", "greenlet")

        patched, *_, ran = done.stdout.splitlines()
        assert (patched, ran) == ("gevent._socket3", "ran True")
        assert done.stderr.count("\n") == 1

    def test_without_a_path_two_lines_tell_what_is_missing(self) -> None:
        done = command("huey.bin.huey_consumer")

        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 2
        assert "\033" not in done.stderr

    def test_python_m_huey_tells_its_version(self) -> None:
        done = command("huey", "--version")

        assert done.stdout.startswith("huey ")
        assert done.returncode == 0

    def test_reload_starts_the_consumer_again_after_a_change_until_it_is_told_to_stop(
        self, project: Path
    ) -> None:
        application = (
            "import time\n"
            "from kitchen import Application\n"
            "class Waiting(Application):\n"
            "    def run(self):\n"
            "        try:\n"
            "            print('{} waits')\n"
            "            time.sleep(60)\n"
            "        except KeyboardInterrupt:\n"
            "            print('{} stops')\n"
            "huey = Waiting()"
        )
        (project / "pantry.py").write_text(application.replace("{}", "first"))

        with started("huey", "run", "pantry.huey", "--reload") as process:
            until(process, "first waits")
            (project / "pantry.py").write_text(application.replace("{}", "second"))
            until(process, "second waits")
            process.send_signal(signal.SIGINT)
            until(process, "second stops")

            assert process.wait(timeout=60) == 0


@pytest.mark.usefixtures("project")
class TestRun:
    def test_a_failing_application_shows_its_own_error_and_nothing_of_ours(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "pantry.py").write_text("import flour_of_nowhere")

        code = run.run({"app": "pantry.huey"})

        lines = capsys.readouterr().err.splitlines()
        assert code == 1
        assert lines[0] == "Error importing pantry.huey"
        assert [line for line in lines if line.startswith("  File")] == [
            f'  File "{project}/pantry.py", line 1, in <module>'
        ]
        assert "During handling" not in "".join(lines)

    @pytest.mark.parametrize("where", ["create_consumer", "run"])
    def test_a_wrong_set_up_is_one_line_and_code_1(
        self, project: Path, capsys: pytest.CaptureFixture[str], where: str
    ) -> None:
        (project / "pantry.py").write_text(
            "from huey.exceptions import ConfigurationError\n"
            "from kitchen import Application\n"
            f"class Wrong(Application):\n    def {where}(self, **_):\n"
            "        raise ConfigurationError('no tea, no milk')\n"
            "huey = Wrong()"
        )

        code = run.run({"app": "pantry.huey", "verbose": False})

        assert code == 1
        assert capsys.readouterr().err.splitlines()[-1] == "Error: no tea, no milk"

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"scheduler_interval": 7}, "scheduler_interval must be"),
            ({"backoff": 0.5}, "backoff must be at least 1, got 0.5"),
            ({"logfile": "missing/log"}, "logfile cannot be written"),
        ],
    )
    def test_a_bad_value_is_one_line_and_code_2(
        self, capsys: pytest.CaptureFixture[str], given: dict[str, Any], told: str
    ) -> None:
        code = run.run({"app": "kitchen.huey", **given})

        (line,) = capsys.readouterr().err.splitlines()
        assert code == 2
        assert told in line

    def test_a_bad_value_is_refused_before_the_application_is_imported(self) -> None:
        run.run({"app": "kitchen.huey", "backoff": 0.5})

        assert "kitchen" not in sys.modules

    def test_a_dry_run_tells_where_each_value_comes_from_and_starts_nothing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, project: Path
    ) -> None:
        (project / "pyproject.toml").write_text('[tool.huey]\napp = "kitchen.huey"')
        monkeypatch.setenv("HUEY_WORKERS", "4")

        code = run.run({"dry_run": True, "periodic": False})

        told = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
        assert code == 0
        assert ["app", "kitchen.huey", "[tool.huey] of pyproject.toml"] in told
        assert ["workers", "4", "environment HUEY_WORKERS"] in told
        assert ["periodic", "False", "command line"] in told
        assert ["backoff", "1.15", "default"] in told
        assert not any(line[0] in ("created", "ran") for line in told)

    def test_ctrl_c_during_the_import_leaves_no_traceback(
        self, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (project / "pantry.py").write_text("raise KeyboardInterrupt")

        assert run.run({"app": "pantry.huey"}) == 130
        assert capsys.readouterr().err == ""

    def test_a_misspelt_variable_is_pointed_out(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HUEY_WORKER", "4")
        monkeypatch.setenv("HUEY_URL", "redis://")

        run.run({"app": "kitchen.huey", "dry_run": True})

        assert capsys.readouterr().err == (
            "Warning: HUEY_WORKER is ignored. Did you mean HUEY_WORKERS?\n"
        )

    def test_greenlet_workers_without_gevent_are_refused_with_what_to_install(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "gevent", None)

        code = run.run({"app": "kitchen.huey", "worker_type": "greenlet"})

        assert code == 1
        assert "pip install 'huey[gevent]'" in capsys.readouterr().err
        assert "kitchen" not in sys.modules


@pytest.mark.usefixtures("project")
class TestArguments:
    @pytest.fixture
    def given(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What reaches the common part of both commands, filled by running one."""
        received: dict[str, Any] = {}

        def receive(given: dict[str, Any]) -> int:
            received.update(given)
            return 0

        monkeypatch.setattr(run, "run", receive)
        return received

    def consumer(self, monkeypatch: pytest.MonkeyPatch, *argv: str) -> None:
        monkeypatch.setattr(sys, "argv", ["huey_consumer", *argv])
        consumer_main()

    @pytest.mark.parametrize(
        ("argv", "expected"),
        [
            (["a.b", "-w4", "-k", "asyncio"], {"workers": 4, "worker_type": "asyncio"}),
            (["-q", "a.b", "--sched=5"], {"verbose": False, "scheduler_interval": 5}),
            (["-C", "-n", "a.b", "-t", "-1"], {"shutdown_timeout": -1.0}),
            (["a.b", "--log", "x", "--ver"], {"logfile": "x", "verbose": True}),
            (["a.b", "--log-f", "json"], {"log_format": "json"}),
        ],
    )
    def test_flags_may_be_glued_shortened_and_anywhere(
        self,
        monkeypatch: pytest.MonkeyPatch,
        given: dict[str, Any],
        argv: list[str],
        expected: dict[str, Any],
    ) -> None:
        self.consumer(monkeypatch, *argv)

        assert given.items() >= {"app": "a.b", **expected}.items()

    def test_both_commands_take_the_same(
        self, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
    ) -> None:
        argv = ["a.b", "-w", "2", "-L", "x,y", "--reload"]
        self.consumer(monkeypatch, *argv)
        historic = dict(given)
        given.clear()

        code = main(["run", *argv])

        assert code == 0
        assert given == historic
        assert given == {"app": "a.b", "workers": 2, "extra_locks": "x,y", "reload": True}

    def test_a_surplus_argument_is_ignored_as_ever(
        self,
        monkeypatch: pytest.MonkeyPatch,
        given: dict[str, Any],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.consumer(monkeypatch, "a.b", "-w", "2", "c.d")

        assert given == {"app": "a.b", "workers": 2}
        assert "ignored" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("argv", "told"),
        [
            (["-w", "many"], "-w/--workers: invalid int value: 'many'"),
            (["-k", "fiber"], "-k/--worker-type: invalid choice: 'fiber'"),
            (["--sh"], "expected one argument"),
            (["--s=1"], "ambiguous option"),
            (["--nonsense"], "unrecognized arguments: --nonsense"),
        ],
    )
    def test_a_wrong_flag_is_code_2_and_named(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        argv: list[str],
        told: str,
    ) -> None:
        with pytest.raises(SystemExit) as refusal:
            self.consumer(monkeypatch, "a.b", *argv)

        assert refusal.value.code == 2
        assert told in capsys.readouterr().err


@pytest.mark.usefixtures("project")
class TestApplication:
    @pytest.mark.parametrize("path", ["kitchen.huey", "kitchen:huey", "kitchen:make()"])
    def test_dots_a_colon_and_a_factory_lead_to_the_same(self, path: str) -> None:
        assert find_application(path) is sys.modules["kitchen"].huey

    def test_the_current_directory_counts_once_nothing_else_has_the_module(
        self, project: Path
    ) -> None:
        assert str(project) not in sys.path

        load_huey("kitchen.huey")

        assert sys.path[0] == str(project)

    def test_a_name_in_a_package_goes_before_the_submodule_of_that_name(
        self, project: Path
    ) -> None:
        (project / "house").mkdir()
        (project / "house/__init__.py").write_text("kitchen = 'a name'")
        (project / "house/kitchen.py").write_text("room = 'in the submodule'")

        assert find("house.kitchen") == "a name"
        assert find("house.kitchen.room") == "in the submodule"

    def test_a_missing_module_is_told_from_one_that_the_application_lacks(
        self, project: Path
    ) -> None:
        (project / "pantry.py").write_text("import flour_of_nowhere")

        with pytest.raises(MissingModule, match="no module 'cellar'"):
            find("cellar.huey")
        with pytest.raises(ModuleNotFoundError, match="flour_of_nowhere") as own:
            find("pantry.huey")

        assert not isinstance(own.value, Explained)

    def test_load_huey_names_the_path_and_raises_what_the_import_raised(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(ModuleNotFoundError):
            load_huey("cellar.huey")

        assert capsys.readouterr().err == "Error importing cellar.huey\n"

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("pantry", "got the module 'pantry'. Did you mean pantry.tea?"),
            ("pantry.coffee", "'pantry' has no 'coffee'. Did you mean pantry.tea?"),
            ("pantry.MemoryHuey", "got the class 'MemoryHuey', .* Did you mean pantry.tea?"),
            ("pantry:number", "got a value of type 'int'. Did you mean pantry.tea?"),
            ("kitchen.make", "If it returns a Huey instance, write kitchen.make()"),
            ("kitchen/huey", "expected pkg.module.name, .* got 'kitchen/huey'"),
        ],
    )
    def test_a_path_to_something_else_is_answered_with_what_to_write(
        self, project: Path, path: str, told: str
    ) -> None:
        (project / "pantry.py").write_text(
            "from huey.presets import MemoryHuey\ntea = MemoryHuey()\nnumber = 3"
        )

        with pytest.raises(Explained, match=told):
            find_application(path)


class TestColour:
    @pytest.mark.parametrize(
        ("no_color", "expected"), [("", b"\033[91mno tea\033[0m"), ("1", b"no tea")]
    )
    def test_an_error_is_red_on_a_terminal_unless_colour_is_unwanted(
        self, monkeypatch: pytest.MonkeyPatch, no_color: str, expected: bytes
    ) -> None:
        monkeypatch.setenv("NO_COLOR", no_color)
        ours, theirs = pty.openpty()

        with open(theirs, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            err("no tea")
            terminal.flush()
            shown = os.read(ours, 100)

        os.close(ours)
        assert shown.rstrip() == expected
