"""What recoveries have to know of maintenance sessions, read from tables."""

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.session import connection, reader
from recovery_ha.domain.gates import InSession
from recovery_ha.domain.maintenance import (
    ActionStatus,
    HostStatus,
    SessionState,
)

_S = models.MaintenanceSession
_H = models.MaintenanceHost
_I = models.MaintenanceInstance
#: A session that has failed moves nothing until it is continued.
_STILL = (
    str(SessionState.MAINTENANCE_FAILED),
    str(SessionState.MAINTENANCE_DONE),
)


@reader
def find(ctx: RequestContext, host: str) -> InSession | None:
    """Return the live session that a host is in, if any."""
    row = (
        connection(ctx)
        .execute(
            sa.select(_S.uuid, _S.state, _H.status)
            .join(_S, _S.uuid == _H.session_uuid)
            .where(_H.live_name == host)
        )
        .first()
    )
    if row is None:
        return None
    return InSession(
        row.uuid, row.state, in_work=row.status == HostStatus.IN_MAINTENANCE
    )


@reader
def find_mover(ctx: RequestContext, instance_uuid: str) -> str | None:
    """Return the uuid of the session that moves an instance now, if any."""
    return connection(ctx).scalar(
        sa.select(_S.uuid)
        .join(_I, _I.session_uuid == _S.uuid)
        .where(
            _I.instance_id == instance_uuid,
            _I.action_status == str(ActionStatus.RUNNING),
            _S.state.not_in(_STILL),
        )
        .limit(1)
    )


@reader
def of_session(ctx: RequestContext) -> set[str]:
    """Return the hosts of all live sessions."""
    names = connection(ctx).scalars(
        sa.select(_H.live_name).where(_H.live_name.is_not(None))
    )
    return {name for name in names if name is not None}


@reader
def to_be_emptied(ctx: RequestContext, session_uuid: str) -> set[str]:
    """Return the hosts that live sessions but this one are still to empty."""
    names = connection(ctx).scalars(
        sa.select(_H.live_name).where(
            _H.live_name.is_not(None),
            _H.session_uuid != session_uuid,
            _H.status != str(HostStatus.MAINTAINED),
        )
    )
    return {name for name in names if name is not None}
