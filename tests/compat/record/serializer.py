"""Record what the serializers of Huey 3.5.4 write, or check that they read what ours write.

With a Python that has the original package::

    python serializer.py write > ../data/serializer.json     what our tests read
    python serializer.py read ours.json                      where "ours.json" is what the same
                                                             "write" gives with our package
"""

import base64
import itertools
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import huey
from huey.registry import Message
from huey.serializer import Serializer, SignedSerializer
from huey.utils import SKIPPED, Error

SECRET, SALT = "a secret", "a salt"
CALLBACK = Message("id-2", "app.callback", args=([],), kwargs={}, retries=0)
MESSAGE = Message(
    "4a3f8f7c-0d51-4f5e-8a4e-1f8a1f0e9b7d",
    "app.add",
    datetime(2026, 11, 23, 4, 5, 6, 789_012),
    3,
    1.5,
    10,
    (1, "two", [3, (4,)], b"\x00\xff"),
    {"key": {"nested": None}},
    Message("id-1", "app.then", args=(), kwargs={}),
    Message("id-3", "app.error", args=(), kwargs={}),
    timedelta(hours=1),
    datetime(2026, 11, 23, 5, 5, 6, 789_012),
    30,
    ("chord-id", 2, 1, CALLBACK),
    2,
)


class Short:
    """A message with as few fields as an older version of Huey wrote."""

    def __init__(self, fields: int) -> None:
        self.fields = fields

    def __reduce__(self) -> Any:
        return Message, MESSAGE[: self.fields]


def values() -> dict[str, Any]:
    """What is written, by name."""
    return {
        "none": None,
        "int": 2**70,
        "text": "Grüße, \U0001f41d",
        "long text": "x" * 5000,
        "bytes": bytes(range(256)),
        "containers": [(1, 2.5), {"a": {3, 4}}, [None, True]],
        "message": MESSAGE,
        "message of 10 fields": Short(10),
        "message of 12 fields": Short(12),
        "message of 14 fields": Short(14),
        "error": Error({"error": "ValueError('no')", "retries": 1, "task_id": "id-1"}),
        "skipped": SKIPPED,
        "revoke flag": (datetime(2026, 1, 2, 3, 4, 5), False),
        "exception": ValueError("no", 5),
    }


def expected(name: str) -> Any:
    """What is read again, by name."""
    value = values()[name]
    return Message(*MESSAGE[: value.fields]) if isinstance(value, Short) else value


def serializers() -> dict[str, Serializer]:
    """Each way to write, by name."""
    found: dict[str, Serializer] = {}
    for signed, packing in itertools.product(("plain", "signed"), ("", " gzip", " zlib")):
        options: dict[str, Any] = {"compression": bool(packing), "use_zlib": packing == " zlib"}
        found[signed + packing] = (
            SignedSerializer(SECRET, SALT, **options)
            if signed == "signed"
            else Serializer(**options)
        )
    found["plain protocol 2"] = Serializer(pickle_protocol=2)
    return found


def same(one: Any, other: Any) -> bool:
    """Compare, also what is not equal to its copy."""
    if isinstance(one, Exception):
        return repr(one) == repr(other) and type(one) is type(other)
    return one is other if one is SKIPPED else bool(one == other)


def write() -> None:
    cases = [
        {"serializer": by, "value": name, "data": base64.b64encode(made.serialize(value)).decode()}
        for by, made in serializers().items()
        for name, value in values().items()
    ]
    version = getattr(huey, "__version__", "ours")
    lines = ",\n".join(json.dumps(case) for case in cases)
    sys.stdout.write(f'{{"huey": "{version}", "cases": [\n{lines}\n]}}\n')


def read(path: str) -> None:
    made = serializers()
    cases = json.loads(Path(path).read_text(encoding="utf-8"))["cases"]
    for case in cases:
        found = made[case["serializer"]].deserialize(base64.b64decode(case["data"]))
        if not same(found, expected(case["value"])):
            raise SystemExit(f"{case['serializer']}, {case['value']}: {found!r}")
    sys.stdout.write(f"{len(cases)} read\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        read(sys.argv[2])
    else:
        write()
