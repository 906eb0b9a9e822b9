"""A flag beats the environment, which beats pyproject.toml, which beats the default."""

from pathlib import Path
from typing import Any

import pytest

from huey.cli.sources import BadSetting, collect


class TestSources:
    def collect(self, tmp_path: Path, toml: str = "", **environ: str) -> dict[str, Any]:
        """Read an environment and a table [tool.huey]; keep what is not a default."""
        pyproject = tmp_path / "pyproject.toml"
        pyproject.write_text(f"[tool.huey]\n{toml}\n[tool.other]\nworkers = 99")
        settings = collect({"workers": 1}, environ, pyproject)
        return {name: s.value for name, s in settings.items() if s.origin != "default"}

    def test_a_flag_beats_the_environment_which_beats_the_file(self, tmp_path: Path) -> None:
        toml = "workers = 3\nbackoff = 3\nmax-delay = 3"

        found = self.collect(tmp_path, toml, HUEY_WORKERS="2", HUEY_BACKOFF="2")

        assert found == {"workers": 1, "backoff": 2.0, "max_delay": 3}

    def test_a_variable_that_a_flag_overrides_may_hold_anything(self, tmp_path: Path) -> None:
        assert self.collect(tmp_path, HUEY_WORKERS="auto") == {"workers": 1}

    def test_an_empty_variable_is_not_set(self, tmp_path: Path) -> None:
        assert self.collect(tmp_path, HUEY_BACKOFF="", HUEY_LOGFILE=" ") == {"workers": 1}

    def test_there_need_be_no_file(self, tmp_path: Path) -> None:
        assert collect({}, {}, tmp_path / "pyproject.toml")["workers"].value == 1

    @pytest.mark.parametrize(
        ("word", "value"), [("1", True), ("Yes", True), ("off", False), ("FALSE", False)]
    )
    def test_a_switch_in_the_environment_is_a_word(
        self, tmp_path: Path, word: str, value: bool
    ) -> None:
        found = self.collect(tmp_path, HUEY_PERIODIC=word, HUEY_VERBOSE=word)

        assert (found["periodic"], found["verbose"]) == (value, value)

    def test_locks_may_be_a_list_in_the_file(self, tmp_path: Path) -> None:
        assert self.collect(tmp_path, 'extra_locks = ["a", "b"]')["extra_locks"] == "a,b"

    @pytest.mark.parametrize(
        ("name", "text", "told"),
        [
            ("HUEY_WORKERS_", "", None),
            ("HUEY_MAX_TASKS", "2.5", "a whole number"),
            ("HUEY_BACKOFF", "fast", "a number"),
            ("HUEY_PERIODIC", "maybe", "true or false"),
            ("HUEY_WORKER_TYPE", "fiber", "thread or greenlet or process or asyncio"),
        ],
    )
    def test_a_variable_of_the_wrong_kind_is_refused(
        self, tmp_path: Path, name: str, text: str, told: str | None
    ) -> None:
        if told is None:
            assert self.collect(tmp_path, **{name: text}) == {"workers": 1}
            return

        with pytest.raises(BadSetting, match=f"{name} must be {told}, got '{text}'"):
            self.collect(tmp_path, **{name: text})

    @pytest.mark.parametrize(
        ("toml", "told"),
        [
            ('workers = "3"', "workers must be a whole number, got '3'"),
            ("workers = true", "workers must be a whole number, got True"),
            ("backoff = false", "backoff must be a number, got False"),
            ("periodic = 1", "periodic must be true or false, got 1"),
            ('worker-type = "fiber"', "worker-type must be thread or .*, got 'fiber'"),
            ("logfile = 3", "logfile must be a text, got 3"),
            ("wrokers = 3", "unknown key 'wrokers'. Did you mean 'workers'?"),
            ("delay = 3", "unknown key 'delay'. Did you mean 'initial_delay'?"),
            ("backoff =", "pyproject.toml cannot be read"),
        ],
    )
    def test_a_wrong_table_is_refused(self, tmp_path: Path, toml: str, told: str) -> None:
        with pytest.raises(BadSetting, match=told):
            self.collect(tmp_path, toml)
