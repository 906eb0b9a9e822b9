"""``manage.py create_huey_tables``: create the tables of queues that live in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from huey.exceptions import HueyException

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from huey.app.huey import Huey


class Command(BaseCommand):
    """Creates what is missing; running it again changes nothing."""

    help = "Create the tables of the Huey queues that live in an SQL database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the key of one queue."""
        parser.add_argument("--queue", help="key of the queue in the settings (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the tables.

        Raises:
            CommandError: no queue has tables, or the database refuses.
        """
        made = [key for key, huey in _chosen(options["queue"]).items() if _create(huey)]
        if not made:
            raise CommandError(
                "There are no tables to create: the storage of the queue is no SQL database."
            )
        self.stdout.write(self.style.SUCCESS(f"The tables of {', '.join(made)} are there."))


def _chosen(name: str | None) -> dict[str, Huey]:
    from huey.contrib.djhuey import queues
    from huey.contrib.djhuey.facade import UnknownQueue

    try:
        return {name: queues.get_queue(name)} if name else queues.hueys
    except UnknownQueue as error:
        raise CommandError(str(error)) from error


def _create(huey: Huey) -> bool:
    """Create the tables of one queue; False if it has none."""
    try:
        # In immediate mode the storage at hand is memory.
        real = huey.get_storage(**huey.storage_kwargs) if huey.immediate else huey.storage
        create = getattr(real, "initialize_schema", None)
        if create is None:
            return False
        create()
    except HueyException as error:
        raise CommandError(str(error)) from error
    return True
