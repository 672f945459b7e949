"""What an engine writes on the instances of the session that it owns.

Each function is fenced by the claim, see :mod:`session_work`. What is about
to be asked of Nova is on the row before it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.maintenance import outbox, session_runs
from recovery_ha.db.maintenance.session_runs import Told
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.maintenance import (
    INSTANCE_ACTION_DONE,
    ActionStatus,
    InstanceAction,
    Session,
    SessionInstance,
)

_I = models.MaintenanceInstance
_C = models.InstanceConstraints
_TOLD = {
    ActionStatus.RUNNING: TaskStatus.RUNNING,
    ActionStatus.DONE: TaskStatus.READY,
    ActionStatus.FAILED: TaskStatus.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An instance's row, the status it is to have, and new values of it.

    :ivar row: as it is believed to be.
    :ivar status: may be its present one.
    :ivar action: what was agreed; it names the instance's task.
    :ivar values: by the names of :class:`SessionInstance`.
    :ivar payload: what its project is told, as its action is done.
    """

    row: SessionInstance
    status: ActionStatus
    action: InstanceAction | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] | None = None


@writer
def change(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    changes: Sequence[Change],
    event_types: Sequence[str] = (),
) -> list[SessionInstance]:
    """Bring instances into other states, all or none, and tell of it.

    Harmless when repeated, as a commit that succeeded unheard of is.

    :param event_types: under which names projects are told.
    :returns: the rows as they are now, in the order of the changes.
    :raises errors.LeaseLost: the session is somebody else's.
    :raises errors.IllegalTransition: a row is not as it was believed to be;
        nothing was changed.
    """
    work.fence(ctx, claim)
    for one in changes:
        _write(ctx, session, one)
        if one.payload is not None:
            outbox.add(
                ctx,
                session=session,
                event_type=event_types,
                payload=one.payload,
                dedupe_key=_key(session, one.row),
                project_id=one.row.project_id,
            )
    session_runs.tell(
        ctx, session, [_told(one) for one in changes if one.status in _TOLD]
    )
    return [
        replace(one.row, action_status=one.status, **one.values)
        for one in changes
    ]


def _write(ctx: RequestContext, session: Session, one: Change) -> None:
    values = {
        name: str(value) if isinstance(value, InstanceAction) else value
        for name, value in one.values.items()
    }
    result = connection(ctx).execute(
        sa.update(_I)
        .where(
            _I.session_uuid == session.uuid,
            _I.instance_id == one.row.instance_id,
            _I.action_status.in_(
                [str(one.row.action_status), str(one.status)]
            ),
        )
        .values(
            action_status=str(one.status),
            updated_at=types.utcnow(),
            **values,
        )
    )
    if result.rowcount != 1:
        raise errors.IllegalTransition(
            f"Instance {one.row.instance_id} of session {session.uuid} is"
            f" not {one.row.action_status} any more."
        )


def _key(session: Session, row: SessionInstance) -> str:
    return (
        f"{session.uuid}:{session.round}:project:{INSTANCE_ACTION_DONE}"
        f":{session.state}:{row.instance_id}"
    )


def _told(one: Change) -> Told:
    message = one.values.get("message")
    return Told(
        node_id=one.row.instance_id,
        node_type="instance",
        status=_TOLD[one.status],
        task=str(one.action) if one.action else None,
        message=None if one.status is ActionStatus.RUNNING else message,
    )


@reader
def max_interruptions(
    ctx: RequestContext, owners: Mapping[str, str]
) -> dict[str, float]:
    """Return how many seconds a live migration of instances may take.

    :param owners: whose each instance is, by its id.
    :returns: by instance, of those whose own project has said so.
    """
    rows = connection(ctx).execute(
        sa.select(
            _C.instance_id, _C.project_id, _C.max_interruption_time
        ).where(
            _C.project_id.in_(sorted(set(owners.values()))),
            _C.instance_id.in_(sorted(owners)),
            _C.max_interruption_time.is_not(None),
        )
    )
    return {
        one: float(most)
        for one, project_id, most in rows
        if most is not None and owners[one] == project_id
    }
