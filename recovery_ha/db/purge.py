"""Removing what ended long ago, in batches; running work is never touched.

Each batch is a short transaction of its own, which makes sure by itself that
what it removes has ended: an operator may have opened it again since.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import logbooks, models, types
from recovery_ha.db.maintenance import outbox
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain.ledger import TRANSACTION, Kind
from recovery_ha.domain.recovery import NOTIFICATION

_N, _T, _C = models.Notification, models.Transaction, models.Cluster
_H, _E, _S = models.DeploymentHistory, models.Event, models.Step
_CHILD = sa.orm.aliased(_T)

#: Recoveries and runs that are removed together: each has few rows, or else
#: the many are removed before.
_TOGETHER = 50
_BATCH = 1000

#: The kinds of what is removed, by what :class:`Limits` calls them.
_KINDS = {
    "maintenances": Kind.MAINTENANCE,
    "deployments": Kind.DEPLOYMENT,
    "clusters": Kind.CLUSTER,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many days what has ended is removed; None: never.

    :ivar recoveries: notifications with all that belongs to them.
    :ivar clusters: runs of clusters, and clusters that were deleted.
    :ivar events: events of what itself is kept.
    :ivar inventory: deleted hosts and segments.
    :ivar messages: what was told outside, or given up.
    """

    recoveries: float | None = None
    maintenances: float | None = None
    deployments: float | None = None
    clusters: float | None = None
    events: float | None = None
    inventory: float | None = None
    messages: float | None = None

    @classmethod
    def all(cls, days: float) -> "Limits":
        """Return the limits that treat everything alike."""
        return cls(days, days, days, days, None, days, days)

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> "Limits":
        """Return those of group [retention], where 0 means never."""
        names = (*_KINDS, "recoveries", "events", "messages")
        return cls(**{name: options[name] or None for name in names})


def never() -> bool:
    """Tell that a purge need not stop before its end."""
    return False


def purge(
    ctx: RequestContext,
    limits: Limits,
    *,
    max_rows: int = -1,
    batch_size: int = _BATCH,
    stopped: Callable[[], bool] = never,
) -> dict[str, int]:
    """Remove what ended or was deleted long ago, the oldest first.

    Notifications go with all that was written down of their recovery:
    vmoves, decisions, uses of reserved hosts, transaction, history and
    events, taskflow's logbooks. A transaction that others are parts of goes
    after these. Deleted segments, hosts and clusters go when nothing refers
    to them.

    :param max_rows: at most so many of each; -1 means all.
    :param batch_size: rows of a large table per database transaction.
    :param stopped: asked between batches; the rest is left if it says so.
    :returns: how many were removed, by what they are.
    """
    work = _Purge(ctx, max_rows, batch_size, stopped)
    removed: dict[str, int] = {}
    if limits.recoveries is not None:
        before = _before(limits.recoveries)
        removed["notifications"] = work.recoveries(before)
    for name, kind in _KINDS.items():
        days = getattr(limits, name)
        if days is not None:
            removed[f"{kind} transactions"] = work.runs(kind, _before(days))
    if limits.clusters is not None:
        before = _before(limits.clusters)
        removed["clusters"] = work.rows(_clusters, before)
    if limits.events is not None:
        removed["events"] = work.events(_before(limits.events))
    if limits.inventory is not None:
        before = _before(limits.inventory)
        removed["hosts"] = work.rows(_hosts, before)
        removed["segments"] = work.rows(_segments, before)
    if limits.messages is not None:
        before = _before(limits.messages)
        removed["messages"] = work.rows(outbox.drop_ended, before)
    return removed


def _before(days: float) -> datetime:
    return types.utcnow() - timedelta(days=days)


class _Purge:
    """One pass over the database."""

    def __init__(
        self,
        ctx: RequestContext,
        max_rows: int,
        batch_size: int,
        stopped: Callable[[], bool],
    ) -> None:
        self._ctx, self._batch = ctx, batch_size
        self._most = max_rows if max_rows >= 0 else None
        self._stopped = stopped

    def _room(self, removed: int, size: int) -> int:
        if self._stopped():
            return 0
        return size if self._most is None else min(size, self._most - removed)

    def rows(self, batch: Callable[..., int], before: datetime) -> int:
        """Remove rows to which little or nothing belongs."""
        removed = 0
        while (size := self._room(removed, self._batch)) > 0:
            count = batch(self._ctx, before, size)
            removed += count
            if count < size:
                break
        return removed

    def recoveries(self, before: datetime) -> int:
        """Remove notifications with all that belongs to them."""
        removed = 0
        while (size := self._room(removed, _TOGETHER)) > 0:
            uuids = _old_notifications(self._ctx, before, size)
            ids = _of_notifications(uuids, before)
            if not uuids or not self._empty(ids):
                break
            count = _drop_notifications(self._ctx, uuids, before)
            removed += count
            if not count:  # all opened again, or a replica lags behind
                break
        return removed

    def runs(self, kind: Kind, before: datetime) -> int:
        """Remove transactions of a kind with all that belongs to them."""
        removed = 0
        while (size := self._room(removed, _TOGETHER)) > 0:
            ids = _old_runs(self._ctx, kind, before, size)
            if not ids or not self._empty(_still(ids, before)):
                break
            count = _drop_runs(self._ctx, ids, before)
            removed += count
            if not count:
                break
        return removed

    def _empty(self, runs: "sa.Select[Any]") -> bool:
        """Remove the many rows of transactions; False: it was stopped."""
        for table in (_E, _H):
            while not self._stopped():
                count = _drop_some(self._ctx, runs, table, self._batch)
                if count < self._batch:
                    break
        return not self._stopped()

    def events(self, before: datetime) -> int:
        """Remove old events of what has ended, in the order of their ids."""
        removed, last = 0, 0
        while (size := self._room(removed, self._batch)) > 0:
            found = _old_events(self._ctx, last, before, size)
            if not found:
                break
            last = found[-1]
            removed += _drop_events(self._ctx, found, before)
        return removed


# Recoveries


def _ended_notification(before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        _N.status.in_([str(s) for s in NOTIFICATION.terminal]),
        _N.updated_at < before,
    )


def _no_parts() -> sa.ColumnElement[bool]:
    return ~sa.exists().where(_CHILD.parent_id == _T.id)


@reader
def _old_notifications(
    ctx: RequestContext, before: datetime, size: int
) -> list[str]:
    parts = sa.exists().where(
        _T.uuid == _N.notification_uuid, _CHILD.parent_id == _T.id
    )
    return list(
        connection(ctx).scalars(
            sa.select(_N.notification_uuid)
            .where(_N.created_at < before, _ended_notification(before), ~parts)
            .order_by(_N.created_at, _N.id)
            .limit(size)
        )
    )


def _of_notifications(
    uuids: Sequence[str], before: datetime
) -> "sa.Select[Any]":
    return (
        sa.select(_T.id)
        .join(_N, _N.notification_uuid == _T.uuid)
        .where(_N.notification_uuid.in_(uuids), _ended_notification(before))
        .with_for_update()
    )


@writer
def _drop_notifications(
    ctx: RequestContext, wanted: Sequence[str], before: datetime
) -> int:
    conn = connection(ctx)
    uuids = conn.scalars(
        sa.select(_N.notification_uuid)
        .where(_N.notification_uuid.in_(wanted), _ended_notification(before))
        .with_for_update()
    ).all()
    logbooks.drop(conn, uuids)
    for owned in (models.VMove, models.GateDecision, models.ReservedHostUse):
        conn.execute(
            sa.delete(owned).where(owned.notification_uuid.in_(uuids))
        )
    # Steps, and what may have been added to history and events, go with it.
    conn.execute(sa.delete(_T).where(_T.uuid.in_(uuids)))
    conn.execute(sa.delete(_N).where(_N.notification_uuid.in_(uuids)))
    return len(uuids)


# Other transactions


def _ended_run(before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        _T.created_at < before,
        _T.status.in_([str(s) for s in TRANSACTION.terminal]),
        _T.time_end < before,
        _no_parts(),
    )


@reader
def _old_runs(
    ctx: RequestContext, kind: Kind, before: datetime, size: int
) -> list[int]:
    return list(
        connection(ctx).scalars(
            sa.select(_T.id)
            .where(_T.kind == str(kind), _ended_run(before))
            .order_by(_T.created_at, _T.id)
            .limit(size)
        )
    )


def _still(ids: Sequence[int], before: datetime) -> "sa.Select[Any]":
    return (
        sa.select(_T.id)
        .where(_T.id.in_(ids), _ended_run(before))
        .with_for_update()
    )


@writer
def _drop_some(
    ctx: RequestContext,
    runs: "sa.Select[Any]",
    table: Any,
    size: int,
) -> int:
    """Remove some events, or some of the history, of transactions."""
    conn = connection(ctx)
    column = _H.task_id if table is _H else _E.transaction_id
    found = conn.scalars(runs).all()
    ids = conn.scalars(
        sa.select(table.id).where(column.in_(found)).limit(size)
    ).all()
    if ids:
        conn.execute(sa.delete(table).where(table.id.in_(ids)))
    return len(ids)


@writer
def _drop_runs(
    ctx: RequestContext, wanted: Sequence[int], before: datetime
) -> int:
    conn = connection(ctx)
    ids = conn.scalars(_still(wanted, before)).all()
    if ids:
        conn.execute(sa.delete(_S).where(_S.transaction_id.in_(ids)))
        conn.execute(sa.delete(_T).where(_T.id.in_(ids)))
    return len(ids)


# Events


@reader
def _old_events(
    ctx: RequestContext, last: int, before: datetime, size: int
) -> list[int]:
    """Return the next events that are old; ids rise with time."""
    rows = connection(ctx).execute(
        sa.select(_E.id, _E.created_at)
        .where(_E.id > last)
        .order_by(_E.id)
        .limit(size)
    )
    return [row.id for row in rows if row.created_at < before]


@writer
def _drop_events(
    ctx: RequestContext, ids: Sequence[int], before: datetime
) -> int:
    conn = connection(ctx)
    ended = conn.scalars(
        sa.select(_E.id)
        .join(_T, _T.id == _E.transaction_id)
        .where(
            _E.id.in_(ids),
            _T.status.in_([str(s) for s in TRANSACTION.terminal]),
            _T.time_end < before,
        )
    ).all()
    if ended:
        conn.execute(sa.delete(_E).where(_E.id.in_(ended)))
    return len(ended)


# What was deleted


@writer
def _clusters(ctx: RequestContext, before: datetime, size: int) -> int:
    conn = connection(ctx)
    ids = conn.scalars(
        sa.select(_C.id)
        .where(
            _C.deleted != 0,
            _C.deleted_at < before,
            _C.lease_owner.is_(None),
            ~sa.exists().where(_T.cluster_id == _C.uuid),
        )
        .limit(size)
    ).all()
    if ids:
        conn.execute(sa.delete(_C).where(_C.id.in_(ids)))
    return len(ids)


@writer
def _hosts(ctx: RequestContext, before: datetime, size: int) -> int:
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
def _segments(ctx: RequestContext, before: datetime, size: int) -> int:
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
