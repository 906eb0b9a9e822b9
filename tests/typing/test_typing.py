"""What the editor knows: both type checkers accept the good code, and find each mistake."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMMENT = re.compile(r"  # type: ignore\[.*\]$")

pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path = ROOT) -> str:
    """Run a checker, and give what it says."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.stdout


def mistakes(where: Path) -> set[int]:
    """Write the bad code without its comments, and give the lines that had one."""
    lines = (HERE / "bad.py").read_text(encoding="utf-8").splitlines()
    (where / "bad.py").write_text("\n".join(COMMENT.sub("", line) for line in lines) + "\n")
    return {number for number, line in enumerate(lines, 1) if COMMENT.search(line)}


@pytest.fixture
def pyright(tmp_path: Path) -> Path:
    """A project for pyright in a folder of its own."""
    settings = {
        "include": ["."],
        "extraPaths": [str(ROOT / "src")],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    return tmp_path


def errors_of_pyright(project: Path) -> list[tuple[str, int]]:
    """File and line of each error."""
    told = json.loads(run("pyright", "--outputjson", cwd=project))
    return [
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1)
        for found in told["generalDiagnostics"]
        if found["severity"] == "error"
    ]


def test_mypy_accepts_good_code() -> None:
    assert run("mypy", "--strict", "tests/typing/good.py").startswith("Success")


def test_mypy_finds_every_mistake(tmp_path: Path) -> None:
    expected = mistakes(tmp_path)

    told = run("mypy", "--strict", str(tmp_path / "bad.py"))

    assert {int(line) for line in re.findall(r"bad\.py:(\d+): error", told)} == expected, told


def test_pyright_accepts_good_code(pyright: Path) -> None:
    (pyright / "good.py").write_text((HERE / "good.py").read_text(encoding="utf-8"))

    assert errors_of_pyright(pyright) == []


def test_pyright_finds_every_mistake(pyright: Path) -> None:
    expected = mistakes(pyright)

    assert set(errors_of_pyright(pyright)) == {("bad.py", line) for line in expected}
