"""Every example runs, and prints what its `expected.txt` says."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/demo.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_prints_what_it_promises(example: Path, tmp_path: Path) -> None:
    promised = (example.parent / "expected.txt").read_text(encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    # "..." in the file stands for what differs from run to run.
    checker = doctest.OutputChecker()
    assert checker.check_output(promised, done.stdout, doctest.ELLIPSIS), done.stdout


def test_an_example_without_a_demo_is_no_example() -> None:
    folders = {path.parent for path in (ROOT / "examples").glob("*/*.py")}

    assert folders == {path.parent for path in EXAMPLES}
