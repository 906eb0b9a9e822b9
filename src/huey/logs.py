"""Log records as lines of JSON, for machines that collect them."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

#: Taken over from a record that carries them (``extra=`` of the logging call).
_TASK_FIELDS = ("task_id", "task_name", "attempt", "queue")


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, worker, message, task fields, exception.

    Args:
        worker: attribute of the record that names the worker: ``threadName`` or ``process``.
    """

    def __init__(self, worker: str = "threadName") -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Turn a record into one line; the time is local, with its offset from UTC."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created)
            .astimezone()
            .isoformat("T", "milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "worker": str(getattr(record, self._worker)),
            "message": record.getMessage(),
        }
        fields.update(
            (name, getattr(record, name)) for name in _TASK_FIELDS if hasattr(record, name)
        )
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            # Another handler's formatter, or a record that came out of a queue, left only the text.
            fields["exception"] = record.exc_text
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return json.dumps(fields, default=str)
