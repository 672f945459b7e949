"""Removing what ended long ago, in batches; running work is never touched."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.recovery import NOTIFICATION

_BATCH = 500
_LOGBOOKS = sa.table("logbooks", sa.column("uuid"))
_FLOWS = sa.table("flowdetails", sa.column("uuid"), sa.column("parent_uuid"))
_ATOMS = sa.table("atomdetails", sa.column("parent_uuid"))


def purge(
    ctx: RequestContext, *, age_in_days: int, max_rows: int = -1
) -> dict[str, int]:
    """Remove what ended or was deleted so many days ago.

    Notifications go with all that was written down of their recovery:
    vmoves, decisions, uses of reserved hosts, transaction and events,
    taskflow's logbooks. Deleted segments and hosts go when nothing refers to
    them.

    :param max_rows: at most so many rows of each; -1 means all.
    :returns: how many rows were removed, by table.
    """
    before = types.utcnow() - timedelta(days=age_in_days)
    removed: dict[str, int] = {}
    for name, batch in (
        ("notifications", _notifications),
        ("hosts", _hosts),
        ("segments", _segments),
    ):
        total = 0
        while max_rows < 0 or total < max_rows:
            size = _BATCH if max_rows < 0 else min(_BATCH, max_rows - total)
            count = batch(ctx, before, size)
            total += count
            if count < size:
                break
        removed[name] = total
    return removed


@writer
def _notifications(ctx: RequestContext, before: Any, size: int) -> int:
    conn, table = connection(ctx), models.Notification
    uuids = conn.scalars(
        sa.select(table.notification_uuid)
        .where(
            table.status.in_([str(s) for s in NOTIFICATION.terminal]),
            table.updated_at < before,
        )
        .order_by(table.id)
        .limit(size)
    ).all()
    if not uuids:
        return 0
    flows = sa.select(_FLOWS.c.uuid).where(_FLOWS.c.parent_uuid.in_(uuids))
    conn.execute(sa.delete(_ATOMS).where(_ATOMS.c.parent_uuid.in_(flows)))
    conn.execute(sa.delete(_FLOWS).where(_FLOWS.c.parent_uuid.in_(uuids)))
    conn.execute(sa.delete(_LOGBOOKS).where(_LOGBOOKS.c.uuid.in_(uuids)))
    for owned in (models.VMove, models.GateDecision, models.ReservedHostUse):
        conn.execute(
            sa.delete(owned).where(owned.notification_uuid.in_(uuids))
        )
    runs = sa.select(models.Transaction.id).where(
        models.Transaction.uuid.in_(uuids)
    )
    conn.execute(
        sa.delete(models.Event).where(models.Event.transaction_id.in_(runs))
    )
    conn.execute(
        sa.delete(models.Transaction).where(models.Transaction.uuid.in_(uuids))
    )
    conn.execute(sa.delete(table).where(table.notification_uuid.in_(uuids)))
    return len(uuids)


@writer
def _hosts(ctx: RequestContext, before: Any, size: int) -> int:
    conn, table = connection(ctx), models.Host
    ids = conn.scalars(
        sa.select(table.id)
        .where(table.deleted != 0, table.deleted_at < before)
        .limit(size)
    ).all()
    if ids:
        conn.execute(sa.delete(table).where(table.id.in_(ids)))
    return len(ids)


@writer
def _segments(ctx: RequestContext, before: Any, size: int) -> int:
    conn, table = connection(ctx), models.Segment
    used = sa.select(models.Host.failover_segment_id)
    ids = conn.scalars(
        sa.select(table.id)
        .where(
            table.deleted != 0,
            table.deleted_at < before,
            table.uuid.not_in(used),
        )
        .limit(size)
    ).all()
    if ids:
        conn.execute(sa.delete(table).where(table.id.in_(ids)))
    return len(ids)
