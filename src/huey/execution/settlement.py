"""What follows from one task, collected until it is written at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from huey.tasks.task import Task


@dataclass(slots=True)
class Aftermath:
    """The writes that follow from one attempt.

    It is filled while hooks and signals run and then becomes one ``Settlement``.
    """

    #: Serialised results by key. Hooks and receivers that ask for one already see it.
    results: dict[str, bytes] = field(default_factory=dict)
    #: Messages for the queue and the schedule, as ``storage.delivery.Outgoing``.
    outgoing: list[Any] = field(default_factory=list)
    #: In immediate mode: tasks to be executed here once this one is settled.
    tasks: list[Task] = field(default_factory=list)
    #: All tasks that were enqueued or scheduled, in either case.
    announced: list[Task] = field(default_factory=list)
    #: The handles of the unique tasks among them, by task id.
    handles: dict[str, Any] | None = None
    delete: list[str] = field(default_factory=list)
    delete_if: list[tuple[str, bytes]] = field(default_factory=list)
    delete_counters: list[str] = field(default_factory=list)
    #: The report to a chord, as ``storage.delivery.ChordStep``.
    chord: Any = None
    #: The task with the chord configuration that ``chord`` reports to.
    chord_task: Task | None = None
    #: The dead letter, as ``storage.delivery.DeadLetter``.
    dead: Any = None
    #: Whether it stands for one that the storage would not write.
    refused: bool = False

    def contains(self, task: Task) -> bool:
        """Tell whether this very task was enqueued again."""
        return any(other.id == task.id for other in self.announced)


def reporting_task(task: Task) -> Task | None:
    """Find which task of a pipeline reports to a chord: itself, or one further down."""
    stage: Task | None = task
    while stage is not None and stage.chord_config is None:
        stage = stage.on_complete
    return stage
