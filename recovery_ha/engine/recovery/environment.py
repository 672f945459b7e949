"""What the built-in tasks of a recovery work with."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from oslo_config import cfg
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import owned, recovery_runs
from recovery_ha.db.actions import ASKED_BY
from recovery_ha.db.ledger.events import trace
from recovery_ha.db.recovery_runs import Node, Place
from recovery_ha.domain import errors
from recovery_ha.domain.gates import Decision
from recovery_ha.domain.history import Remark
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.ports import ComputePort, ImagePort, PlacementPort
from recovery_ha.domain.recovery import Notification, NotificationType
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.recovery.places import Places
from recovery_ha.engine.telling import Teller
from recovery_ha.plugin import TaskFailed

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
    :ivar places: the engine's limit of evacuations over all hosts.
    :ivar confirmed_later: a later task waits for the evacuations.
    :ivar ledger: where the tasks of the flow are in the ledger.
    """

    conf: cfg.ConfigOpts
    compute: ComputePort
    placement: PlacementPort
    images: ImagePort
    ctx: RequestContext
    lease: Lease
    sleep: Callable[[float], None]
    notification: Notification
    places: Places
    teller: Teller
    confirmed_later: bool = False
    ledger: Mapping[str, Place] = field(default_factory=dict)

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

    @property
    def node(self) -> Node:
        """What the tasks run on."""
        if self.notification.type is NotificationType.VM:
            return Node(
                str(self.notification.payload["instance_uuid"]), "instance"
            )
        return Node(self.notification.source_host_name, "host")

    def publish(
        self,
        task_name: str,
        remarks: list[dict[str, str]],
        status: str | None = None,
        failure: TaskFailed | None = None,
    ) -> None:
        """See :class:`plugin.TaskEnvironment`."""
        if failure is not None:
            failure.error_id = uuidutils.generate_uuid()
        if not self.lease.still_mine():
            return
        said = [
            Remark(item["message"], task_name, float(item["progress"]))
            for item in remarks
        ]
        if said:
            said[-1] = _last(said[-1], status, failure)
        recovery_runs.tell_task(
            self.ctx,
            self.lease.claim,
            self.notification,
            self.node,
            task_name,
            self.ledger.get(task_name, Place()),
            said,
            status=None if status is None else TaskStatus(status),
        )

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

    def operator(self) -> str:
        """Return who wants the recovery interrupted, for a sentence."""
        user = self.recall().get(ASKED_BY)
        return f"an operator (user {user})" if user else "an operator"


def _last(
    remark: Remark, status: str | None, failure: TaskFailed | None
) -> Remark:
    """Return the remark with which a task ends, if it does."""
    if failure is not None:
        return replace(
            remark,
            successful=False,
            error_id=failure.error_id,
            traceback=trace(failure.__cause__ or failure),
        )
    return replace(
        remark, successful=True if status == TaskStatus.READY else None
    )
