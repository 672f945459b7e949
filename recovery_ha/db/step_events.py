"""Dropping what was said about steps of clusters and is needed no more.

What was done with which instance stays in the history; only the runs of
clusters are touched, and none that has not ended.
"""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain.ledger import TRANSACTION, Kind

_T, _S, _E = models.Transaction, models.Step, models.Event
#: Rows of one transaction, so that nobody waits long for it.
_BATCH = 1000
_STEPS_AT_ONCE = 100
#: Steps of runs of clusters that have ended.
_ENDED = (
    sa.select(_S.id)
    .join_from(_T, _S, _S.transaction_id == _T.id)
    .where(
        _T.kind == str(Kind.CLUSTER),
        _T.status.in_([str(status) for status in TRANSACTION.terminal]),
    )
    .order_by(_S.id)
    .limit(_STEPS_AT_ONCE)
)


def drop_step_events(ctx: RequestContext, *, hours: float, most: int) -> int:
    """Drop the events of steps that succeeded, and too many of any step.

    In batches: each is a short transaction of its own.

    :param hours: how long ago steps must have succeeded.
    :param most: how many events, the latest, the other steps may keep.
    :returns: how many events were dropped.
    """
    return _drop_of_successful(ctx, hours) + _drop_surplus(ctx, most)


def _drop_of_successful(ctx: RequestContext, hours: float) -> int:
    before = clock() - timedelta(hours=hours)
    has_events = sa.exists().where(_E.step_id == _S.id)
    wanted = _ENDED.where(
        _S.successful.is_(True), _S.completed_at < before, has_events
    )
    dropped = 0
    while steps := _find(ctx, wanted):
        for step_id in steps:
            while count := _delete(ctx, step_id, None):
                dropped += count
    return dropped


def _drop_surplus(ctx: RequestContext, most: int) -> int:
    # The newest event that is too many; it and all before it go.
    newest = (
        sa.select(_E.id)
        .where(_E.step_id == _S.id)
        .order_by(_E.id.desc())
        .offset(most)
        .limit(1)
        .correlate(_S)
        .scalar_subquery()
    )
    wanted = _ENDED.where(newest.is_not(None))
    dropped = 0
    while steps := _find(ctx, wanted):
        for step_id in steps:
            last = _find(
                ctx,
                sa.select(_E.id)
                .where(_E.step_id == step_id)
                .order_by(_E.id.desc())
                .offset(most)
                .limit(1),
            )
            while last and (count := _delete(ctx, step_id, last[0])):
                dropped += count
    return dropped


@reader
def _find(ctx: RequestContext, wanted: sa.Select[Any]) -> list[int]:
    return list(connection(ctx).scalars(wanted))


@writer
def _delete(ctx: RequestContext, step_id: int, last: int | None) -> int:
    """Delete the oldest events of a step; return how many.

    :param last: none after this one; None: whichever.
    """
    conn = connection(ctx)
    query = sa.select(_E.id).where(_E.step_id == step_id)
    if last is not None:
        query = query.where(_E.id <= last)
    ids = conn.scalars(query.order_by(_E.id).limit(_BATCH)).all()
    if not ids:
        return 0
    deleted = conn.execute(sa.delete(_E).where(_E.id.in_(ids)))
    return int(deleted.rowcount)
