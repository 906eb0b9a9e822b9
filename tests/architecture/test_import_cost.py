"""What `import huey` loads: nothing that an application may never use."""

import subprocess
import sys

import pytest

from tests.architecture.source import SOURCE

#: Drivers, frameworks and rooms that are loaded when they are first used.
LAZY = [
    "asyncio",
    "cronsim",
    "cysqlite",
    "django",
    "gevent",
    "huey.bin",
    "huey.cli",
    "huey.consumer.consumer",
    "huey.contrib",
    "huey.testing",
    "msgspec",
    "multiprocessing",
    "peewee",
    "psycopg",
    "redis",
    "sqlite3",
    "uvloop",
    "valkey",
]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    # What the environment loads at every start, such as coverage, is not the package's doing.
    listing = (
        f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); before = set(sys.modules)\n"
        "import huey; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", listing], stdout=subprocess.PIPE, check=True)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("module", LAZY)
def test_importing_the_package_does_not_load(module: str, loaded: set[str]) -> None:
    below = sorted(name for name in loaded if name == module or name.startswith(f"{module}."))

    assert not below


def test_the_listing_is_of_the_package(loaded: set[str]) -> None:
    assert "huey" in loaded
