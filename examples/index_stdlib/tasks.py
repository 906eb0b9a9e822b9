"""The tasks: read one Python file each, and report progress once a second."""

import ast
import os
import tokenize
from datetime import timedelta

from huey import SqliteHuey

huey = SqliteHuey("index", filename=os.environ.get("INDEX_DB", "index.db"))

# Every start of a task leaves a line here, so that the demo can tell which ran twice.
RUNS = os.open(os.environ.get("INDEX_RUNS", "runs.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@huey.task(retries=2)
def index_file(path):
    """Count a file's tokens, find its longest function and what it imports."""
    os.write(RUNS, f"{path}\n".encode())
    try:
        with open(path, "rb") as file:
            tokens = sum(1 for _ in tokenize.tokenize(file.readline))
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except SyntaxError:
        # Python's own tests contain files that are wrong on purpose.
        return {"path": path, "tokens": 0, "functions": 0, "longest": None, "imports": []}

    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    longest = max(functions, key=lambda f: f.end_lineno - f.lineno, default=None)
    return {
        "path": path,
        "tokens": tokens,
        "functions": len(functions),
        "longest": longest and (longest.end_lineno - longest.lineno + 1, longest.name),
        "imports": sorted({name for node in ast.walk(tree) for name in imported(node)}),
    }


def imported(node):
    """List the packages that a statement imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name.split(".")[0] for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module.split(".")[0]]
    return []


@huey.periodic_task(timedelta(seconds=1), priority=10)
def report_progress():
    """Print how far the work is, from the consumer."""
    print(f"\r{huey.result_count():5} done, {len(huey):5} waiting ", end="", flush=True)
