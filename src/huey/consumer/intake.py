"""Turns claims into work: decodes them, and deals with those that cannot run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from huey.constants import AT_MOST_ONCE
from huey.consumer import policy
from huey.consumer.work import Hands, InHand, Work
from huey.exceptions import WorkerLost
from huey.execution.settlement import Aftermath
from huey.registry import UnknownTask
from huey.storage.delivery import Claim, DeadLetter, DeathCause, Outgoing
from huey.tasks.task import Task

if TYPE_CHECKING:
    from huey.app.huey import Huey
    from huey.storage.delivery import LosslessStorage

logger = logging.getLogger("huey.consumer")


class Intake:
    """What stands between the storage and the workers.

    Args:
        huey: the application.
        storage: where revocations are read, a whole batch at once.
        in_hand: where work is noted.
        hands: who has outcomes written, and gives claims back.
    """

    def __init__(self, huey: Huey, storage: LosslessStorage, in_hand: InHand, hands: Hands) -> None:
        self._huey = huey
        self._storage = storage
        self._in_hand = in_hand
        self._hands = hands

    def open(self, claims: list[Claim]) -> list[Work]:
        """Give the work that can run; what cannot is put off, or becomes a dead letter.

        Raises:
            StorageError: the storage could not be asked for revocations; nothing was noted, and
                the same claims may be opened again.
        """
        opened = [self._decode(claim) for claim in claims]
        known = [work for work, aftermath in opened if aftermath is None]
        flags = self._flags([work.task for work in known])
        # In hand before anything is settled: what is settled leaves it.
        self._in_hand.add([work for work, _ in opened])
        for work, aftermath in opened:
            if aftermath is not None:
                self._hands.settle(work, aftermath)
        for work in known:
            work.flags = flags
            work.task._delivery = work
        return [work for work in known if not self._is_given_up(work)]

    # ── decoding ───────────────────────────────────────────────────────────────────────────────

    def _decode(self, claim: Claim) -> tuple[Work, Aftermath | None]:
        """Give the work in a claim; what follows at once if it is none of this application."""
        try:
            task = self._huey.deserialize_task(claim.data)
        except UnknownTask as error:
            return Work(claim, _NO_TASK, self._hands), self._unknown(claim, error)
        # Whatever corrupt bytes make a decoder raise: they cannot become a task.
        except Exception as error:
            return Work(claim, _NO_TASK, self._hands), self._undecodable(claim, error)
        task.attempt = claim.attempt
        task.redelivered = claim.redelivered
        return Work(claim, task, self._hands), None

    def _undecodable(self, claim: Claim, error: Exception) -> Aftermath:
        logger.error(
            "A message of %d bytes cannot be decoded and becomes a dead letter: %s",
            len(claim.data),
            error,
        )
        detail = f"{type(error).__name__}: {error}"
        return Aftermath(dead=DeadLetter(claim.data, DeathCause.UNDECODABLE, detail))

    def _unknown(self, claim: Claim, error: UnknownTask) -> Aftermath:
        delay = policy.unknown_delay(claim.attempt)
        if delay is None:
            logger.error("%s It becomes a dead letter.", error)
            return Aftermath(dead=DeadLetter(claim.data, DeathCause.UNKNOWN_TASK, str(error)))
        logger.warning("%s The message is kept; next look in %.0f s.", error, delay)
        due = self._storage.now() + delay
        return Aftermath(outgoing=[Outgoing(claim.data, None, due, claim.attempt + 1)])

    # ── delivery ───────────────────────────────────────────────────────────────────────────────

    def _flags(self, tasks: list[Task]) -> dict[str, bytes]:
        if not tasks:
            return {}
        found = self._storage.peek_many(self._huey.revocation_keys(tasks))
        return {str(key): value for key, value in found.items()}

    def _is_given_up(self, work: Work) -> bool:
        """Tell whether a task is not tried again because its workers died; it is buried then."""
        claim, task = work.claim, work.task
        if not claim.redelivered:
            return False
        killed_by = claim.cause or "unknown"
        if (task.delivery or self._huey.delivery) == AT_MOST_ONCE:
            text = f"The worker that ran the task died (cause: {killed_by})."
            self._huey.bury(task, claim.data, WorkerLost(text), DeathCause.WORKER_LOST)
            return True
        if (
            claim.crashes_alone >= policy.MAX_CRASHES_ALONE
            or claim.crashes_in_company >= policy.MAX_CRASHES_IN_COMPANY
        ):
            crashes = claim.crashes_alone + claim.crashes_in_company
            text = f"{crashes} workers died while they ran the task (last cause: {killed_by})."
            self._huey.bury(task, claim.data, WorkerLost(text), DeathCause.CRASHED)
            return True
        return False


#: Stands in for a task in claims that are no task of this application.
_NO_TASK = Task(id="none")
