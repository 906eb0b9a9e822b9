"""Who imports whom: the table of ARCHITECTURE.md, held against every import of the package."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.source import SOURCE, modules, name_of, shown, table_below, tree_of

#: The one import that points up at run time: deferred into this function, and of this room.
EXCEPTION = ("app", "create_consumer", "consumer")


@dataclass(frozen=True)
class Law:
    """The import table, as sets of rooms."""

    rooms: frozenset[str]
    allowed: dict[str, frozenset[str]]

    def permits(self, importer: str, imported: str) -> bool:
        return importer == imported or imported in self.allowed.get(importer, frozenset())


@dataclass(frozen=True)
class Import:
    """One import of a module of the package, as it stands in a file."""

    path: Path
    line: int
    #: Names of the functions around it, the outermost first.
    inside: tuple[str, ...]
    target: str

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.line} imports {self.target}"

    @property
    def is_the_exception(self) -> bool:
        room, function, imported = EXCEPTION
        return (room, imported) == (
            room_of(name_of(self.path)),
            room_of(self.target),
        ) and function in self.inside


def read_law() -> Law:
    cells = [(_names(left), right) for left, right in table_below("## Who may import whom")]
    vocabulary = cells[0][0]
    rooms = frozenset(room for names, _ in cells for room in names)
    doors = frozenset(
        room for names, right in cells if "nothing imports" in right for room in names
    )
    allowed: dict[str, frozenset[str]] = {}
    for names, right in cells:
        granted = frozenset(_names(right))
        if "vocabulary" in right:
            granted |= vocabulary
        if right.startswith("anything"):
            granted = rooms - (doors if "but the last row" in right else frozenset())
        allowed.update(dict.fromkeys(names, granted))
    return Law(rooms, allowed)


def _names(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", cell))


def room_of(module: str) -> str:
    """The folder or file directly below the package; `__init__` for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> Iterator[Import]:
    yield from _walk(path, tree_of(path).body, ())


def _walk(
    path: Path, nodes: list[ast.AST] | list[ast.stmt], inside: tuple[str, ...]
) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _walk(path, node.orelse, inside)
            continue
        for target in _targets(path, node):
            yield Import(path, getattr(node, "lineno", 0), inside, target)
        around = (node.name,) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ()
        yield from _walk(path, list(ast.iter_child_nodes(node)), inside + around)


def _targets(path: Path, node: ast.AST) -> Iterator[str]:
    """The modules of the package that a statement imports."""
    if isinstance(node, ast.Import):
        found = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        found = [_resolve(_base(path, node), alias.name) for alias in node.names]
    else:
        found = []
    yield from sorted({name for name in found if name.split(".")[0] == "huey"})


def _base(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = list(path.relative_to(SOURCE.parent).parts[:-1])
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def _resolve(base: str, name: str) -> str:
    """`from base import name` imports a module if there is one, and a name of `base` otherwise."""
    whole = SOURCE.parent.joinpath(*base.split("."), name)
    return f"{base}.{name}" if whole.is_dir() or whole.with_suffix(".py").is_file() else base


ALL_IMPORTS = [found for path in modules() for found in imports_of(path)]


def test_every_import_keeps_to_the_table() -> None:
    law = read_law()

    broken = [
        str(found)
        for found in ALL_IMPORTS
        if not law.permits(room_of(name_of(found.path)), room_of(found.target))
        and not found.is_the_exception
    ]

    assert not broken, "\n".join(broken)


def test_one_import_points_up_and_it_is_deferred() -> None:
    exceptions = [str(found) for found in ALL_IMPORTS if found.is_the_exception]

    assert len(exceptions) <= 1, "\n".join(exceptions)


def test_names_come_from_the_module_that_defines_them_and_not_from_the_package_root() -> None:
    broken = [str(found) for found in ALL_IMPORTS if found.target == "huey"]

    assert not broken, "\n".join(broken)


def test_the_table_names_every_room_and_no_other() -> None:
    existing = {room_of(name_of(path)) for path in modules()}

    assert existing == set(read_law().rooms)


class TestTheReading:
    """The law is worth what the reading of it is worth."""

    @pytest.mark.parametrize(
        ("importer", "imported", "permitted"),
        [
            ("timing", "constants", True),
            ("timing", "storage", False),
            ("storage", "tasks", False),
            ("tasks", "storage", False),
            ("storage", "storage", True),
            ("app", "consumer", False),
            ("consumer", "app", False),
            ("cli", "app", True),
            ("app", "cli", False),
            ("api", "contrib", False),
            ("api", "consumer", True),
        ],
    )
    def test_the_table_says(self, importer: str, imported: str, permitted: bool) -> None:
        assert read_law().permits(importer, imported) is permitted

    def test_every_way_to_import_is_seen(self, tmp_path: Path) -> None:
        text = (
            "from __future__ import annotations\n"
            "import os, huey.timing\n"
            "from huey import keys\n"
            "from .base import BaseStorage\n"
            "from ..exceptions import HueyException\n"
            "if TYPE_CHECKING:\n    from huey.app import huey\n"
            "else:\n    import huey.utils\n"
            "def late():\n    try:\n        import huey.signals\n    finally:\n        pass\n"
        )
        path = SOURCE / "storage" / "imagined.py"

        seen = [found.target for found in _walk(path, ast.parse(text).body, ())]

        assert seen == [
            "huey.timing",
            "huey.keys",
            "huey.storage.base",
            "huey.exceptions",
            "huey.utils",
            "huey.signals",
        ]
