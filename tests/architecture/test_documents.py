"""What the project's texts say is true, and what they must not say they do not."""

import os
import re
import subprocess

import pytest

from tests.architecture.source import ROOT, shown, text_files

#: Folders of one machine. Written apart, so that this file passes its own test.
MACHINE = [f"/{name}/" for name in ("work", "root")]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]


def makefile_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):.*## ", text, flags=re.MULTILINE))


@pytest.mark.parametrize("folder", MACHINE)
def test_no_file_names_a_folder_of_the_machine_it_was_written_on(folder: str) -> None:
    # A word before the slash makes it a part of something else: a URL, or another folder.
    path = re.compile(rf"(?<![\w.}})]){re.escape(folder)}")

    telling = [shown(file) for file in text_files() if path.search(file.read_text("utf-8"))]

    assert not telling, "\n".join(telling)


def test_no_file_points_at_an_entry_of_a_tracker_that_readers_cannot_open() -> None:
    pointer = re.compile(r"\b(?:issue|ticket)s?[ /]#?\d+\b", re.IGNORECASE)

    telling = [shown(file) for file in text_files() if pointer.search(file.read_text("utf-8"))]

    assert not telling, "\n".join(telling)


def test_make_without_a_target_lists_every_target() -> None:
    # Under `make check` the variables of that make would have this one talk about folders.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    output = subprocess.run(
        ["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert {line.split()[1] for line in output.splitlines()} == makefile_targets()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_path_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")

    commands = set(re.findall(r"`make ([a-z-]+)", text)) | set(
        re.findall(r"^(?:\$ )?make ([a-z-]+)", text, flags=re.MULTILINE)
    )
    paths = re.findall(
        r"`((?:src|tests|docs|examples|benchmarks|changelog\.d|\.ci)/[\w./-]*)`", text
    )

    assert commands <= makefile_targets()
    assert [path for path in paths if not (ROOT / path).exists()] == []
