"""Reserved hosts: who has taken which, and what was done to it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain.lease import Claim

_H = models.Host
_M = models.MaintenanceHost
_U = models.ReservedHostUse


class UseStatus(StrEnum):
    """What a recovery has made of a reserved host."""

    #: It is this recovery's, and nothing was done to it.
    TAKEN = "taken"
    #: It is being enabled, or is enabled; instances may go to it.
    USED = "used"
    #: Instances have gone to it: it is reserved no more.
    KEPT = "kept"
    #: Everything was undone.
    GIVEN_BACK = "given_back"


@dataclass(frozen=True, slots=True)
class Use:
    """A reserved host in a recovery.

    :ivar enabled_by_us: its service was disabled, for ``disabled_reason``.
    :ivar aggregates: ids of those that it was not in before.
    """

    id: int
    host_uuid: str
    host_name: str
    status: UseStatus
    enabled_by_us: bool
    disabled_reason: str | None
    aggregates: tuple[int, ...]


def _in_session(name: sa.ColumnElement[str] | Any) -> sa.Exists:
    return sa.exists().where(_M.live_name == name)


@reader
def list_reserved(ctx: RequestContext, segment_uuid: str) -> list[str]:
    """Return the names of a segment's reserved hosts that can be used.

    In the order in which they are tried: that of their registration. Those
    of maintenance sessions cannot.
    """
    return list(
        connection(ctx).scalars(
            sa.select(_H.name)
            .where(
                _H.failover_segment_id == segment_uuid,
                _H.reserved.is_(True),
                _H.on_maintenance.is_(False),
                _H.deleted == 0,
                ~_in_session(_H.name),
            )
            .order_by(_H.id)
        )
    )


@writer
def take(ctx: RequestContext, claim: Claim, attempt: int, host: str) -> bool:
    """Have a reserved host for this recovery.

    :param attempt: of which it is a part.
    :returns: False if another recovery or a maintenance session has it, or
        it is reserved no more.
    :raises errors.LeaseLost: and nothing was changed.
    """
    conn = connection(ctx)
    if work.lock_resource(ctx, claim, "host", host) is not None:
        return False
    row = conn.execute(
        sa.select(_H.uuid, _H.reserved, _H.on_maintenance)
        .where(_H.name == host, _H.deleted == 0, ~_in_session(_H.name))
        .with_for_update()
    ).first()
    if row is None or not row.reserved or row.on_maintenance:
        work.unlock_resources(ctx, claim, host)
        return False
    known = conn.scalar(
        sa.select(_U.id).where(
            _U.notification_uuid == claim.uuid,
            _U.attempt == attempt,
            _U.host_name == host,
        )
    )
    if known is None:
        conn.execute(
            sa.insert(_U).values(
                notification_uuid=claim.uuid,
                attempt=attempt,
                host_uuid=row.uuid,
                host_name=host,
                status=str(UseStatus.TAKEN),
                enabled_by_us=False,
                aggregates=[],
                created_at=types.utcnow(),
            )
        )
    return True


@reader
def list_uses(ctx: RequestContext, notification_uuid: str) -> list[Use]:
    """Return the reserved hosts of a recovery, in the order of taking."""
    rows = connection(ctx).execute(
        sa.select(
            _U.id,
            _U.host_uuid,
            _U.host_name,
            _U.status,
            _U.enabled_by_us,
            _U.disabled_reason,
            _U.aggregates,
        )
        .where(_U.notification_uuid == notification_uuid)
        .order_by(_U.id)
    )
    return [
        Use(
            row.id,
            row.host_uuid,
            row.host_name,
            UseStatus(row.status),
            row.enabled_by_us,
            row.disabled_reason,
            tuple(row.aggregates),
        )
        for row in rows
    ]


@writer
def begin(
    ctx: RequestContext,
    claim: Claim,
    use: Use,
    *,
    disabled: bool,
    reason: str | None,
    aggregates: list[int],
) -> None:
    """Write down what is about to be done to a reserved host.

    It is reserved no more from now on.

    :param disabled: its service is disabled and will be enabled.
    :param reason: why it was disabled.
    :param aggregates: ids of those that it will be added to.
    :raises errors.LeaseLost: and nothing was changed.
    """
    _change(
        ctx,
        claim,
        use,
        reserved=False,
        status=UseStatus.USED,
        enabled_by_us=disabled,
        disabled_reason=reason,
        aggregates=aggregates,
    )


@writer
def keep(ctx: RequestContext, claim: Claim, use: Use) -> None:
    """Record that instances have gone to a reserved host.

    :raises errors.LeaseLost: and nothing was changed.
    """
    _change(ctx, claim, use, reserved=False, status=UseStatus.KEPT)


@writer
def give_back(ctx: RequestContext, claim: Claim, use: Use) -> None:
    """Record that everything was undone: it is free for others again.

    :raises errors.LeaseLost: and nothing was changed.
    """
    _change(ctx, claim, use, reserved=True, status=UseStatus.GIVEN_BACK)
    work.unlock_resources(ctx, claim, use.host_name)


def _change(
    ctx: RequestContext,
    claim: Claim,
    use: Use,
    *,
    reserved: bool,
    status: UseStatus,
    **values: Any,
) -> None:
    work.fence(ctx, claim)
    conn, updated_at = connection(ctx), types.utcnow()
    conn.execute(
        sa.update(_U)
        .where(_U.id == use.id)
        .values(status=str(status), updated_at=updated_at, **values)
    )
    conn.execute(
        sa.update(_H)
        .where(_H.uuid == use.host_uuid, _H.deleted == 0)
        .values(reserved=reserved, updated_at=updated_at)
    )
