"""The ledger: transactions and their events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import NOTIFICATION

_T = models.Transaction.metadata.tables[models.Transaction.__tablename__]
_E = models.Event.metadata.tables[models.Event.__tablename__]
_N = models.Notification.metadata.tables[models.Notification.__tablename__]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something said about a run.

    :ivar task: by whom; None: by the engine itself.
    :ivar progress: how far the task had come, 0 to 1.
    """

    text: str
    task: str | None = None
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A remark with its place in the order.

    :ivar id: rises; the cursor of those who follow.
    :ivar created_at: naive UTC, by the clock of who said it.
    """

    id: int
    task: str | None
    progress: float | None
    text: str
    request_id: str | None
    created_at: datetime


_INSERT_TRANSACTION = sa.insert(_T)


@writer
def create_transaction(
    ctx: RequestContext, uuid: str, kind: str, created_at: datetime
) -> None:
    """Have a transaction; a recovery's uuid is its notification's."""
    connection(ctx).execute(
        _INSERT_TRANSACTION,
        {"uuid": uuid, "kind": kind, "created_at": created_at},
    )


@writer
def add_events(
    ctx: RequestContext,
    transaction_uuid: str,
    remarks: Sequence[Remark],
    request_id: str | None = None,
) -> None:
    """Append what was said; nothing of it is ever changed."""
    conn = connection(ctx)
    transaction_id = conn.scalar(
        sa.select(_T.c.id).where(_T.c.uuid == transaction_uuid)
    )
    if transaction_id is None or not remarks:
        return
    created_at = datetime.now(UTC).replace(tzinfo=None)
    conn.execute(
        sa.insert(_E),
        [
            {
                "transaction_id": transaction_id,
                "task": remark.task,
                "progress": remark.progress,
                "event_info": remark.text,
                "request_id": request_id,
                "created_at": created_at,
            }
            for remark in remarks
        ],
    )


@reader
def list_events(
    ctx: RequestContext, transaction_uuid: str, since: int, limit: int
) -> list[Event]:
    """Return the events after a cursor, oldest first.

    :param since: the id of the last one known; 0 for none.
    """
    rows = connection(ctx).execute(
        sa.select(
            _E.c.id,
            _E.c.task,
            _E.c.progress,
            _E.c.event_info,
            _E.c.request_id,
            _E.c.created_at,
        )
        .join(_T, _T.c.id == _E.c.transaction_id)
        .where(_T.c.uuid == transaction_uuid, _E.c.id > since)
        .order_by(_E.c.id)
        .limit(limit)
    )
    return [Event(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Latest:
    """How far a recovery has come.

    :ivar event: the id of its last event, 0 if there is none.
    :ivar ended: there will be no further one, unless an operator wants it.
    """

    event: int
    ended: bool


_LATEST = sa.select(
    _N.c.status,
    sa.select(sa.func.max(_E.c.id))
    .join(_T, _T.c.id == _E.c.transaction_id)
    .where(_T.c.uuid == _N.c.notification_uuid)
    .scalar_subquery(),
).where(_N.c.notification_uuid == sa.bindparam("uuid"))


@reader
def latest(ctx: RequestContext, notification_uuid: str) -> Latest:
    """Return how far a recovery has come, which costs little.

    :raises errors.NotificationNotFound: it was purged.
    """
    row = connection(ctx).execute(_LATEST, {"uuid": notification_uuid}).first()
    if row is None:
        raise errors.NotificationNotFound(
            f"No notification with id {notification_uuid}."
        )
    return Latest(row[1] or 0, row[0] in NOTIFICATION.terminal)
