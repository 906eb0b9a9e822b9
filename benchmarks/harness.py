"""Runs one scenario script in both environments, round by round, and keeps its numbers."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.peer import peer_python
from tests.services import Service, open_postgres, open_valkey

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "benchmarks" / "scenarios"
STORAGES = ["sqlite", "file", "redis", "priority-redis", "postgres"]
OURS, PEER = "ours", "Huey 3.5.4"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two packages."""

    name: str
    python: Path
    #: Where its package lies, if it is not installed.
    source: Path | None = None

    def run(self, scenario: str, storage: str, where: str, scale: float) -> dict[str, float]:
        """Run a scenario once.

        Returns:
            Its numbers, by "what [unit]".

        Raises:
            RuntimeError: if it failed; with what it printed last.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment |= {"BENCH_STORAGE": storage, "BENCH_WHERE": where, "BENCH_SCALE": str(scale)}
        if self.source is not None:
            environment["PYTHONPATH"] = str(self.source)
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
            done = subprocess.run(
                [self.python, SCENARIOS / f"{scenario}.py"],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
            )
        if done.returncode:
            raise RuntimeError(f"{scenario} failed on {self.name}:\n{done.stderr[-2000:]}")
        numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return numbers


@dataclass(slots=True)
class Comparison:
    """What one scenario gave on both sides, in every round."""

    scenario: str
    storage: str
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def medians(self, side: str) -> dict[str, float]:
        """The middle of all rounds, by "what [unit]"."""
        rounds = self.rounds.get(side, [])
        return {what: median(r[what] for r in rounds) for what in (rounds[0] if rounds else {})}

    def rows(self) -> Iterator[tuple[str, float | None, float | None, float | None]]:
        """What, ours, theirs, and how many times better ours is."""
        ours, theirs = self.medians(OURS), self.medians(PEER)
        for what in ours | theirs:
            mine, other = ours.get(what), theirs.get(what)
            yield what, mine, other, how_much_better(what, mine, other)


def how_much_better(what: str, mine: float | None, other: float | None) -> float | None:
    """Above 1 if ours is better: more per second, or less of anything else."""
    if not mine or not other or what.startswith("earliest"):
        return None  # one instant is not better than another
    return mine / other if what.endswith("/s]") else other / mine


def sides(which: str) -> list[Side]:
    """The packages to measure: "ours", "peer" or "both"."""
    ours = Side(OURS, Path(sys.executable), ROOT / "src")
    if which == "ours":
        return [ours]
    peer = Side(PEER, peer_python())
    return [peer] if which == "peer" else [ours, peer]


def compare(
    scenario: str, storage: str, which: list[Side], rounds: int, scale: float
) -> Comparison:
    """Run a scenario on each side in turn, so that a change of the machine's mood meets both."""
    comparison = Comparison(scenario, storage)
    with _place(storage) as fresh:
        for number in range(rounds):
            for side in which if number % 2 == 0 else reversed(which):
                with fresh() as where:
                    numbers = side.run(scenario, storage, where, scale)
                comparison.rounds.setdefault(side.name, []).append(numbers)
    return comparison


class _Place:
    """Gives each run an empty storage."""

    def __init__(self, storage: str, server: Service | None) -> None:
        self.storage = storage
        self.server = server

    @contextmanager
    def __call__(self) -> Iterator[str]:
        if self.server is not None:
            self.server.clear()
            yield self.server.url
            return
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
            yield f"{folder}/queue.db" if self.storage == "sqlite" else f"{folder}/queue"


@contextmanager
def _place(storage: str) -> Iterator[_Place]:
    server = None
    if storage.endswith("redis"):
        server = open_valkey()
    elif storage == "postgres":
        server = open_postgres()
    try:
        yield _Place(storage, server)
    finally:
        if server is not None:
            server.close()
