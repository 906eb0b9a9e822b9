"""Record what crontab() of Huey 3.5.4 makes of many rules.

Run it with a Python that has the original package: ``python crontab.py > ../data/crontab.json``.
The rules come from a seeded generator, so a second run gives the same file.
"""

import importlib.metadata
import json
import random
import sys
from typing import Any

from huey.api import crontab

FIELDS = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "day_of_week": (0, 7),
}
#: How crontab() keeps its five lists.
ORDER = ["month", "day", "day_of_week", "hour", "minute"]
#: Text that is easily mistaken for a rule, for each field and both kinds of strictness.
ODD = [
    "", ",", "5,", ",5", "1,,2", "1, 2", " 1", "1 ", "+5", "-5", "5-", "-", "1-2-3", "1/2", "*/0",
    "*/", "*/x", "/2", "*/100", "3-5/0", "5-1/7", "**", "*,5", "*/5,*", "5-5/3", "007", "*/05",
    "1-5/+1", "1_0", "5\n", "5\n,6", "*\n", "1-2/2\n", "foo", "5,foo", "mon", "MON-FRI", "jan",
    "L", "?", "1W", "1#2", "60", "24", "32", "13", "8", "0", "0-60", "1.5", "1;2", "1-*",
    "\u0663-\u0665", "*/5x", "*/2\n", "1-5x", "1x",
]  # fmt: skip
RANDOM_RULES = 200


def numbers(low: int, high: int, random_: random.Random) -> int:
    # Now and then just outside of what is allowed.
    return (
        random_.randint(low - 1, high + 1)
        if random_.random() < 0.05
        else random_.randint(low, high)
    )


def piece(low: int, high: int, random_: random.Random) -> str:
    one, other = (str(abs(numbers(low, high, random_))) for _ in range(2))
    step = random_.randint(0, high) if random_.random() < 0.1 else random_.randint(1, 6)
    return random_.choice(
        ["*", one, one, f"{one}-{other}", f"{one}-{other}", f"{one}-{other}/{step}", f"*/{step}"]
    )


def field(low: int, high: int, random_: random.Random) -> str:
    return ",".join(piece(low, high, random_) for _ in range(random_.choice([1, 1, 1, 2, 3])))


def rules() -> list[dict[str, Any]]:
    random_ = random.Random(354)
    found: list[dict[str, Any]] = [{}, {"minute": 5, "hour": 0}, {"minute": -1}, {"minute": True}]
    for name in FIELDS:
        found += [{name: text, "strict": strict} for text in ODD for strict in (False, True)]
    found += [
        {"day_of_week": f"{first}-{last}" + (f"/{step}" if step > 1 else "")}
        for first in range(8)
        for last in range(8)
        for step in range(1, 5)
    ]
    for _ in range(RANDOM_RULES):
        names = random_.sample(list(FIELDS), random_.randint(1, 5))
        found.append({name: field(*FIELDS[name], random_) for name in names})
    return found


def outcome(rule: dict[str, Any]) -> dict[str, list[int]] | None:
    """Return the lists of the fields that the rule names, or None if it is refused."""
    try:
        predicate: Any = crontab(**rule)
    except ValueError:
        return None
    (cell,) = predicate.__closure__
    lists = dict(zip(ORDER, cell.cell_contents, strict=True))
    return {name: lists[name] for name in ORDER if name in rule or rule == {}}


def main() -> None:
    cases = [{"rule": rule, "settings": outcome(rule)} for rule in rules()]
    version = importlib.metadata.version("huey")
    lines = ",\n".join(json.dumps(case) for case in cases)
    sys.stdout.write(f'{{"huey": "{version}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
