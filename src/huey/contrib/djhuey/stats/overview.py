"""What the page shows, as values: each part is read by itself, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from huey import keys
from huey.contrib.djhuey.stats.peek import read_message, shown

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.registry import Message
    from huey.storage.delivery import ConsumerRecord, DeadLetter

T = TypeVar("T")
#: Turns name, args and kwargs of a task into what is shown of its arguments.
ShowArguments = Callable[[str, Any, dict[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read."""

    tasks: int
    events: int
    minutes: int


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task that waits."""

    id: str
    name: str
    arguments: str
    priority: Any
    eta: datetime | None
    retries: Any
    size: int


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A task that will not be tried again."""

    key: str
    task: TaskRow
    cause: str
    detail: str
    died_at: datetime


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """A consumer that has signed on."""

    id: str
    host: Any
    pid: Any
    kind: Any
    workers: Any
    claims: int


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A task function."""

    name: str
    is_periodic: bool
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """One queue at this moment; None stands for what the storage could not tell."""

    key: str
    name: str
    storage: str
    immediate: bool
    pending: int | None
    planned: int | None
    results: int | None
    dead: int | None
    consumers: list[ConsumerRow] | None
    waiting: list[TaskRow] | None
    scheduled: list[TaskRow] | None
    letters: list[LetterRow] | None
    known: list[KnownRow] | None
    #: None: no statistics are recorded.
    recent: list[dict[str, Any]] | None
    throughput: list[tuple[int, int]] | None
    errors: list[str]


class _Asking:
    """Asks the storage one thing after the other, and keeps what went wrong."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def __call__(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except NotImplementedError:
            # A storage of a third party that lacks this.
            return None
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if text not in self.errors:
                self.errors.append(text)
            return None


def look_at(key: str, huey: Huey, bounds: Bounds, show: ShowArguments) -> Overview:
    """Read the state of a queue.

    Args:
        key: of the queue in the settings.
        huey: the queue.
        bounds: how much to read of each kind.
        show: what to show of arguments.
    """
    ask, storage = _Asking(), huey.storage
    lossless: Any = storage if storage.lossless else None
    stats = huey._stats
    return Overview(
        key=key,
        name=huey.name,
        storage=type(storage).__name__,
        immediate=huey.immediate,
        pending=ask(storage.queue_size),
        planned=ask(storage.schedule_size),
        results=ask(storage.result_store_size),
        dead=ask(lossless.dead_count) if lossless else None,
        consumers=ask(lambda: [_consumer(one) for one in lossless.consumers()])
        if lossless
        else None,
        waiting=ask(lambda: _rows(huey, storage.enqueued_items(bounds.tasks), show)),
        scheduled=ask(lambda: _rows(huey, storage.scheduled_items(bounds.tasks), show)),
        letters=ask(lambda: _letters(huey, lossless.dead_letters(bounds.tasks), show))
        if lossless
        else None,
        known=ask(lambda: _known(huey)),
        recent=ask(lambda: list(stats.recent_events(bounds.events))) if stats else None,
        throughput=ask(lambda: _throughput(stats.throughput(bounds.minutes))) if stats else None,
        errors=ask.errors,
    )


def _rows(huey: Huey, items: Iterable[bytes], show: ShowArguments) -> list[TaskRow]:
    return [_row(huey, data, show) for data in items]


def _row(huey: Huey, data: bytes, show: ShowArguments) -> TaskRow:
    message: Message | None = read_message(huey.serializer, data)
    if message is None:
        return TaskRow("", f"({len(data)} bytes)", "", None, None, None, len(data))
    return TaskRow(
        id=str(message.id),
        name=str(message.name),
        arguments=show(str(message.name), message.args, message.kwargs),
        priority=message.priority if isinstance(message.priority, int | float) else None,
        eta=_aware(message.eta, huey.utc),
        retries=message.retries if isinstance(message.retries, int) else None,
        size=len(data),
    )


def _letters(huey: Huey, letters: Iterable[DeadLetter], show: ShowArguments) -> list[LetterRow]:
    return [
        LetterRow(
            letter.key,
            _row(huey, letter.data, show),
            str(letter.cause),
            letter.detail,
            datetime.fromtimestamp(letter.died_at, UTC),
        )
        for letter in letters
    ]


def _consumer(record: ConsumerRecord) -> ConsumerRow:
    info = record.info
    return ConsumerRow(
        record.id,
        info.get("host"),
        info.get("pid"),
        info.get("worker_type"),
        info.get("workers"),
        record.claims,
    )


def _known(huey: Huey) -> list[KnownRow]:
    """List the task functions; whether one is revoked is told without reading the flag itself."""
    registry = huey._registry
    names = list(registry._registry)
    flags = {name: keys.revoked_class(name) for name in names}
    found = huey.storage.peek_many(list(flags.values())) if names else {}
    periodic = {registry.task_to_string(one) for one in registry._periodic_tasks}
    return [KnownRow(name, name in periodic, flags[name] in found) for name in names]


def _throughput(counts: dict[str, list[int]]) -> list[tuple[int, int]]:
    return list(zip(counts.get("complete", ()), counts.get("error", ()), strict=False))


def _aware(eta: Any, utc: bool) -> datetime | None:
    if not isinstance(eta, datetime):
        return None
    return eta.replace(tzinfo=UTC) if utc else eta.astimezone()


def hidden_arguments(name: str, args: Any, kwargs: dict[str, Any]) -> str:
    """Show how many arguments there are: they may hold secrets."""
    count = len(args or ()) + len(kwargs or {})
    return f"{count} argument{'' if count == 1 else 's'}"


def short_arguments(name: str, args: Any, kwargs: dict[str, Any]) -> str:
    """Show arguments in one short line."""
    texts = [*map(shown, args or ()), *(f"{k}={shown(v)}" for k, v in (kwargs or {}).items())]
    return ", ".join(texts)[:200]
