"""Many rows in few statements.

Python's sqlite3 gives the interpreter lock away at every step of every statement, and gets it back
when the other threads please: up to 5 ms later. Few statements, and few rows to fetch, are what
keeps a batch short in a busy process. There are few sizes, so that statements stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: Sizes of lists in a statement. SQLite before 3.32 takes 999 parameters, and no row has over 4.
_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)
_PADDED = (1, 8, 64, 200, 500)


def insert_rows(conn: Any, head: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run ``head VALUES (…), (…)`` for all rows."""
    start = 0
    for size in _split(len(rows)):
        part = rows[start : start + size]
        start += size
        row = f"({', '.join('?' * len(part[0]))})"
        values = [value for line in part for value in line]
        conn.execute(f"{head} VALUES {', '.join([row] * size)}", values)


def select_in(
    conn: Any, query: str, params: tuple[Any, ...], items: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """Run a query that ends in ``IN`` for lists of items; yields all rows."""
    for part in parts(items):
        marks = ", ".join("?" * len(part))
        yield from conn.execute(f"{query} ({marks})", (*params, *part)).fetchall()


def change_in(conn: Any, statement: str, params: tuple[Any, ...], items: Sequence[Any]) -> None:
    """Run a statement that ends in ``IN`` for lists of items."""
    for part in parts(items):
        marks = ", ".join("?" * len(part))
        conn.execute(f"{statement} ({marks})", (*params, *part))


def _split(count: int) -> Iterator[int]:
    largest = _SIZES[0]
    yield from [largest] * (count // largest)
    yield from (size for size in _SIZES[1:] if count % largest & size)


def parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut a list into lists of few sizes: repeating an item within IN changes nothing."""
    largest = _PADDED[-1]
    for start in range(0, len(items), largest):
        part = list(items[start : start + largest])
        size = next(size for size in _PADDED if size >= len(part))
        yield part + part[-1:] * (size - len(part))
