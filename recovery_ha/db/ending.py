"""How a notification's row looks when it has ended."""

from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, recovery_runs, types
from recovery_ha.db.session import connection, writer
from recovery_ha.db.types import now
from recovery_ha.domain.recovery import NotificationStatus, NotificationType

_N = models.Notification


def ended(
    status: NotificationStatus, message: str, duplicate_window: float
) -> dict[str, Any]:
    """Return the columns of a notification that has ended."""
    is_host = _N.type == NotificationType.COMPUTE_HOST
    return {
        "status": status,
        "message": message,
        "held": False,
        "requested_action": None,
        "updated_at": types.utcnow(),
        "dedupe_key": sa.case((is_host, _N.dedupe_key), else_=None),
        "dedupe_until": sa.case((is_host, now() + duplicate_window)),
    }


@writer
def end_joined(
    ctx: RequestContext,
    uuid: str,
    status: NotificationStatus,
    message: str,
    duplicate_window: float,
) -> None:
    """End the notifications that were joined to one that ends."""
    said = f"Ended with notification {uuid}: {message}"
    conn = connection(ctx)
    joined = conn.scalars(
        sa.select(_N.notification_uuid)
        .where(
            _N.joined_to == uuid,
            _N.status == NotificationStatus.NEW,
            _N.lease_expires_at.is_(None),
        )
        .order_by(_N.id)
        .with_for_update()
    ).all()
    if not joined:
        return
    conn.execute(
        sa.update(_N)
        .where(_N.notification_uuid.in_(joined))
        .values(wake_at=None, **ended(status, said, duplicate_window))
    )
    recovery_runs.end_all(ctx, joined, status, said)
