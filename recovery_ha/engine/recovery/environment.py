"""What the built-in tasks of a recovery work with."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from recovery_ha.context import RequestContext
from recovery_ha.db import owned
from recovery_ha.db.history import Remark
from recovery_ha.domain import errors
from recovery_ha.domain.gates import Decision
from recovery_ha.domain.ports import ComputePort, ImagePort, PlacementPort
from recovery_ha.domain.recovery import Notification
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.telling import Teller

#: What ends a task without the task having failed.
_INTERRUPTIONS = (
    errors.LeaseLost,
    errors.EngineStopping,
    errors.RecoveryInterrupted,
    errors.HostTakenOver,
    errors.NothingToRecover,
)


@dataclass(frozen=True, slots=True)
class Environment:
    """A :class:`plugin.TaskEnvironment`, and more for built-in tasks.

    :ivar sleep: waits for seconds, or raises when the work is to stop.
    :ivar notification: as it was when it was claimed.
    :ivar evacuations: the engine's limit over all hosts.
    :ivar confirmed_later: a later task waits for the evacuations.
    """

    conf: cfg.ConfigOpts
    compute: ComputePort
    placement: PlacementPort
    images: ImagePort
    ctx: RequestContext
    lease: Lease
    sleep: Callable[[float], None]
    notification: Notification
    evacuations: threading.Semaphore
    teller: Teller
    confirmed_later: bool = False

    def still_mine(self) -> bool:
        """See :class:`plugin.TaskEnvironment`."""
        return self.lease.still_mine()

    def is_interruption(self, exc: BaseException) -> bool:
        """See :class:`plugin.TaskEnvironment`.

        Who was told by the database that the work is another one's writes
        nothing about it any more, whatever the lease's own clock says.
        """
        if isinstance(exc, errors.LeaseLost):
            self.lease.lose()
        return isinstance(exc, _INTERRUPTIONS)

    def wait(self, seconds: float) -> None:
        """See :class:`plugin.TaskEnvironment`."""
        self.sleep(seconds)

    def publish(self, task_name: str, remarks: list[dict[str, str]]) -> None:
        """See :class:`plugin.TaskEnvironment`."""
        if not self.lease.still_mine():
            return
        said = [
            Remark(item["message"], task_name, float(item["progress"]))
            for item in remarks
        ]
        owned.say(self.ctx, self.lease.claim, self.notification, said)

    def undoing(self) -> AbstractContextManager[None]:
        """See :class:`plugin.TaskEnvironment`."""
        return self.lease.undoing()

    def decide(self, *decisions: Decision) -> None:
        """Keep what gates said about the recovery, or instances of it."""
        owned.decide(self.ctx, self.lease.claim, self.notification, decisions)

    def remember(self, **facts: Any) -> None:
        """Write down what was found or done outside, the first time only."""
        owned.remember(self.ctx, self.lease.claim, **facts)

    def recall(self) -> dict[str, Any]:
        """Return what was written down."""
        return owned.recall(self.ctx, self.notification.uuid)
