"""Measure scenarios on ours and on Huey 3.5.4, print a table, and write benchmarks/results/."""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict

from benchmarks.harness import OURS, PEER, ROOT, SCENARIOS, STORAGES, Comparison, compare, sides

RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Parse the arguments, run, report."""
    known = sorted(path.stem for path in SCENARIOS.glob("[!_]*.py") if path.stem != "bench_app")
    options = parse(known)
    which = sides(options.side)
    for storage in options.storage:
        for scenario in options.scenario or known:
            result = compare(scenario, storage, which, options.rounds, options.scale)
            show(result)
            keep(result, options)


def parse(known: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"any of: {', '.join(known)}; default: all")
    parser.add_argument("--storage", nargs="+", default=["sqlite"], choices=STORAGES)
    parser.add_argument("--rounds", type=int, default=3, help="of each side, in turn (default: 3)")
    parser.add_argument("--side", default="both", choices=["both", "ours", "peer"])
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of tasks")
    options = parser.parse_args()
    unknown = set(options.scenario) - set(known)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    return options


def show(result: Comparison) -> None:
    """Print one scenario as a table."""
    print(f"\n{result.scenario} on {result.storage}")
    print(f"  {'':34}{OURS:>14}{PEER:>14}{'better':>10}")
    for what, mine, other, better in result.rows():
        ratio = "" if better is None else f"{better:.2f} x"
        print(f"  {what:34}{number(mine):>14}{number(other):>14}{ratio:>10}")


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def keep(result: Comparison, options: argparse.Namespace) -> None:
    """Write every round to a file, with what is needed to judge it."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}-{result.scenario}-{result.storage}.json"
    facts = {
        "python": platform.python_version(),
        "machine": platform.platform(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "scale": options.scale,
    }
    summary = {
        what: {"ours": mine, "peer": other, "times better": better}
        for what, mine, other, better in result.rows()
    }
    file.write_text(json.dumps(facts | {"summary": summary} | asdict(result), indent=1) + "\n")


if __name__ == "__main__":
    main()
