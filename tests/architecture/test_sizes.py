"""How large a thing may be: files, function bodies; and that each file says its job."""

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SOURCE, modules, shown, tree_of

#: Lines of a file, by folder.
LONGEST_FILE = {"src": 400, "tests": 500, "benchmarks": 400, "examples": 400}
LONGEST_BODY = 40


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement to the last; signature and docstring are free."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


@pytest.mark.parametrize("folder", LONGEST_FILE)
def test_no_file_is_longer_than_one_sitting(folder: str) -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(ROOT / folder)
    }

    long = [f"{shown(path)}: {n}" for path, n in lengths.items() if n > LONGEST_FILE[folder]]

    assert not long, "\n".join(long)


def test_no_function_body_is_longer_than_a_screen() -> None:
    long = [
        f"{shown(path)}:{node.lineno} {node.name}: {body_lines(node)}"
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > LONGEST_BODY
    ]

    assert not long, "\n".join(long)


def test_the_first_line_of_every_module_says_its_job() -> None:
    silent = [shown(path) for path in modules() if not says_its_job(path)]

    assert not silent, "\n".join(silent)


def says_its_job(path: Path) -> bool:
    """Whether the first line is a sentence, and more than the name of the file."""
    first = (ast.get_docstring(tree_of(path)) or "").partition("\n")[0]
    return first.endswith((".", ":", "?", "…")) and len(first.split()) >= 2


def test_a_body_is_measured_without_its_docstring() -> None:
    function = ast.parse('def f():\n    """Two\n    lines."""\n    a = 1\n\n    return a\n').body[0]

    assert isinstance(function, ast.FunctionDef)
    assert body_lines(function) == 3


def test_the_package_is_where_these_tests_look() -> None:
    assert SOURCE / "__init__.py" in modules()
